"""The `strawberry` command: the table of commands, and the one place where errors become sentences and exit codes.

Exit codes: 0 done, 1 a set-up error, 2 wrong usage, 3 finished but some traces failed, 130 interrupted. What nobody
foresaw is one sentence as well, with code 1; its traceback goes into a file.
Start-up must stay fast: commands import what they need when they run, never here.
"""

import io
import os
import sys
import tempfile
import traceback

import typer
from typer.exceptions import TyperException

from openstrawberry import __version__
from openstrawberry.cli import (
    ask,
    bootstrap,
    doctor,
    evaluate,
    evolve,
    generate,
    problems,
    select,
    training,
    ui,
    verify,
    view,
)
from openstrawberry.errors import Interrupted, OutputError, StrawberryError, UsageError

SET_UP_ERROR, USAGE, SOME_FAILED, INTERRUPTED = 1, 2, 3, 130

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
app.command("evolve")(evolve.command)
app.command("verify")(verify.command)
app.command("select")(select.command)
app.command("train-dpo")(training.dpo)
app.command("train-sft")(training.sft)
app.command("train-prm")(training.prm)
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
    """Runs the command line; every failure leaves as one sentence on stderr. Ends in `SystemExit`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows question marks, and goes on
    try:
        sys.exit(app(arguments, prog_name="strawberry", standalone_mode=False) or 0)
    except StrawberryError as error:
        print(f"strawberry: {error}", file=sys.stderr)
        stopped = isinstance(error, Interrupted | OutputError)
        if stopped:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - what is still buffered has nowhere to go
        sys.exit(INTERRUPTED if stopped else USAGE if isinstance(error, UsageError) else SET_UP_ERROR)
    except TyperException as error:
        if said := error.format_message().strip():  # a bare `strawberry` has shown its help
            print(f"strawberry: {_misused(error, said)}", file=sys.stderr)
        sys.exit(USAGE)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except Exception as error:  # nobody foresaw it: a fault of ours, or of a library
        print(f"strawberry: {_unforeseen(error)}", file=sys.stderr)
        sys.exit(SET_UP_ERROR)


def _misused(error: TyperException, said: str) -> str:
    """What is said of a command line that cannot be read."""
    option, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if option is not None and type(error.__cause__).__name__ == "ValidationError":
        from openstrawberry.wording import misfit

        _, value, advice = misfit(error.__cause__)  # type: ignore[arg-type]
        return f"The value {value!r} of {option.opts[0]} does not fit: {advice}."
    where = context.command_path if context else "strawberry"
    return said if said.endswith("?") else f"{said.rstrip('.')}: see {where} --help."


def _unforeseen(error: Exception) -> str:
    """What is said of a fault that has no sentence of its own; what whoever mends it needs goes into a file."""
    told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="strawberry-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
        ) as log:
            log.write(f"strawberry {__version__}, Python {sys.version}\n\n{traceback.format_exc()}")
    except OSError:
        return f"Something went wrong that should not ({told}): run the same command again, and report it if it stays."
    return (
        f"Something went wrong that should not ({told}): run the same command again, and if it stays, report it with "
        f"{log.name}."
    )
