"""The `strawberry` command: the table of commands, and the one place where errors become sentences and exit codes.

Exit codes: 0 done, 1 a set-up error, 2 wrong usage, 3 finished but some traces failed, 130 interrupted.
Start-up must stay fast: commands import what they need when they run, never here.
"""

import io
import os
import sys

import typer

from openstrawberry import __version__
from openstrawberry.cli import ask, bootstrap, doctor, evaluate, generate, problems, select, training, ui, verify, view
from openstrawberry.errors import Interrupted, OutputError, StrawberryError

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
app.command("select")(select.command)
app.command("train-dpo")(training.dpo)
app.command("train-sft")(training.sft)
app.command("bootstrap")(bootstrap.command)
app.command("eval")(evaluate.command)
app.command("view")(view.command)
app.command("ui")(ui.command)
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows question marks, and goes on
    try:
        app(arguments)
    except StrawberryError as error:
        print(f"strawberry: {error}", file=sys.stderr)
        stopped = isinstance(error, Interrupted | OutputError)
        if stopped:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - what is still buffered has nowhere to go
        sys.exit(INTERRUPTED if stopped else SET_UP_ERROR)
