"""Fixtures that more than one room uses."""

from tests.cli.commands import shell

__all__ = ["shell"]
