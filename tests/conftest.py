"""Fixtures that more than one room uses, and what the tests' own commands inherit."""

import signal

from tests.cli.commands import shell

__all__ = ["shell"]

# A shell that starts the tests in the background has them ignore Ctrl-C, and every command they start would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
