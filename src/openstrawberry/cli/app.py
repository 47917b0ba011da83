"""The `strawberry` command: the table of commands, and the one place where errors become sentences and exit codes.

Exit codes: 0 done, 1 a set-up error, 2 wrong usage, 3 finished but some traces failed, 130 interrupted.
Start-up must stay fast: commands import what they need when they run, never here.
"""

import os
import shlex
import sys

import typer

from openstrawberry import __version__
from openstrawberry.cli import ask, doctor, generate, problems, verify
from openstrawberry.errors import StrawberryError

SET_UP_ERROR, SOME_FAILED, INTERRUPTED = 1, 3, 130

app = typer.Typer(
    name="strawberry",
    help="Grow, check and learn from the step-by-step reasoning of language models.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command("generate")(generate.command)
app.command("ask")(ask.command)
app.command("problems")(problems.command)
app.command("verify")(verify.command)
app.command("doctor")(doctor.command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"strawberry {__version__}")
        raise typer.Exit


@app.callback()
def top(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it.")) -> None:
    """Grow, check and learn from the step-by-step reasoning of language models."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; every failure on purpose leaves as one sentence on stderr. Ends in `SystemExit`."""
    try:
        app(arguments)
    except StrawberryError as error:
        print(f"strawberry: {error}", file=sys.stderr)
        sys.exit(SET_UP_ERROR)
    except KeyboardInterrupt:
        print(f"\nInterrupted. The same command goes on from here: {this_command()}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `strawberry ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def this_command() -> str:
    """The command as the user typed it."""
    return shlex.join(["strawberry", *sys.argv[1:]])
