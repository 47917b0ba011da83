"""`strawberry select [RUN...]`: from checked traces to training data."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openstrawberry.cli import options as o

if TYPE_CHECKING:
    from openstrawberry.selection.options import Selecting

Runs = Annotated[list[Path] | None, typer.Argument(help="Run directories (default: the newest in traces/).")]
Out = Annotated[Path | None, typer.Option(help="File to write (default: in the run directory, named by its format).")]
Unit = Annotated[
    str | None,
    typer.Option(help="trace (default): whole traces; step: two replies to one conversation; correction: at a doubt."),
]
Skew = Annotated[
    float | None, typer.Option(help="How much more short right traces are preferred to long wrong ones (1; 0 is off).")
]
Pairing = Annotated[
    str | None, typer.Option(help="skewed: the shortest right with the longest wrong; plain: as sampled.")
]
Clean = Annotated[
    bool | None,
    typer.Option("--clean/--no-clean", help="Learn only from traces of right steps (default: where steps are known)."),
]
Composed = Annotated[
    bool | None, typer.Option("--composed", help="Learn from replies that a strategy put together (journey) as well.")
]
Hinted = Annotated[
    bool | None,
    typer.Option("--hinted/--no-hinted", help="Learn from traces found with the answer as a hint (default: yes)."),
]
PerProblem = Annotated[int | None, typer.Option(help="Rows of one problem at most (default: 4).")]
Balance = Annotated[float | None, typer.Option(help="Rows of a size, in medians of all sizes, at most (2; 0 is off).")]
Low = Annotated[float | None, typer.Option(help="Lowest pass rate of a barely solvable problem (default: 0.05).")]
High = Annotated[float | None, typer.Option(help="Highest pass rate of a barely solvable problem (default: 0.8).")]
BandOnly = Annotated[
    bool | None,
    typer.Option("--band-only/--no-band-only", help="Only barely solvable problems (default: for pairs)."),
]
Near = Annotated[float | None, typer.Option(help="Likeness from which rows are copies (0.95; 1: exact copies only).")]
Evaluation = Annotated[list[str] | None, typer.Option(help="Problem source that must stay unseen; may be given again.")]
DropEvaluated = Annotated[
    bool | None, typer.Option("--drop-evaluated", help="Leave evaluation problems out instead of refusing.")
]
Ngram = Annotated[
    int | None, typer.Option(help="Words in a row that make a question a copy of an evaluation one (13; 0 is off).")
]
Format = Annotated[str | None, typer.Option("--format", "-f", help="trl (default), openai, kto, sft, prm or sharegpt.")]
Rendering = Annotated[
    str | None, typer.Option(help="chat (default): the turns as they were; flat: one reply that thinks, then answers.")
]
Seed = Annotated[int | None, typer.Option(help="Which problems are left out to balance sizes (default: 0).")]
Dry = Annotated[bool | None, typer.Option("--dry-run/--no-dry-run", help="Show the report and write nothing.")]

BESIDE = ("dry_run", "json")  # what is shown; all other flags are settings of the selection


def command(
    runs: Runs = None,
    out: Out = None,
    format: Format = None,
    unit: Unit = None,
    skew: Skew = None,
    pairing: Pairing = None,
    clean: Clean = None,
    composed: Composed = None,
    hinted: Hinted = None,
    rendering: Rendering = None,
    per_problem: PerProblem = None,
    balance: Balance = None,
    low: Low = None,
    high: High = None,
    band_only: BandOnly = None,
    near: Near = None,
    evaluation: Evaluation = None,
    drop_evaluated: DropEvaluated = None,
    ngram: Ngram = None,
    seed: Seed = None,
    config: o.Config = None,
    dry_run: Dry = None,
    json: o.Json = None,
) -> None:
    """Turn checked traces into training data: pairs of a right and a wrong trace, or right traces alone.

    Bare, it takes the newest run. Problems of an evaluation set and held-out problems never get in.
    """
    flags = dict(locals())
    from openstrawberry.config import load_switches

    shown = load_switches(config, {name: flags.pop(name) for name in BESIDE})
    run_command(flags, dry=shown["dry_run"], json=shown["json"])


def run_command(flags: dict[str, Any], dry: bool, json: bool) -> None:
    """Selects with the given flags, writes the file, and shows the report."""
    from openstrawberry.cli.render import show_selection
    from openstrawberry.config import load_settings
    from openstrawberry.selection.options import Selecting
    from openstrawberry.selection.select import select
    from openstrawberry.store.reading import newest

    runs, out = flags.pop("runs") or [newest(Path("traces"))], flags.pop("out")
    flags["evaluation"] = flags["evaluation"] or None
    options = load_settings(Selecting, flags.pop("config"), flags, BESIDE)
    selection = select(runs, options)
    file = out or (runs[0] / options.file_name if len(runs) == 1 else Path(options.file_name))
    if not dry:
        selection.write(file)
    shown = None if dry else file
    show_selection(selection.report, shown, "" if dry else _next(options, file, selection.shelves[0].run), json=json)


def _next(options: "Selecting", file: Path, run: dict[str, Any]) -> str:
    """The command that trains on the file, as far as one here does."""
    if options.format in ("openai", "sharegpt"):
        return ""
    spec = str(run.get("identity", {}).get("model", ""))
    trainer = {"sft": "train-sft", "prm": "train-prm"}.get(options.format, "train-dpo")
    command = ["strawberry", trainer, str(file)]
    command += ["--loss", "kto"] if options.format == "kto" else []
    return shlex.join([*command, "--model", spec if spec.partition(":")[0] in ("berry", "hf") else "hf:PATH"])
