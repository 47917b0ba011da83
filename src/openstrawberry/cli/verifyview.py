"""How verdicts look that were given again, and two verifiers side by side."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openstrawberry.cli.render import clean, json_line, shorten
from openstrawberry.wording import counted

if TYPE_CHECKING:
    from openstrawberry.audit import Audit
    from openstrawberry.stats import Interval
    from openstrawberry.verify import Recheck

SHOWN = 20  # disagreements that people are shown; programs get all


def show_recheck(path: Path, result: "Recheck", json: bool) -> None:
    """What verifying again changed."""
    if json:
        for (before, after), count in sorted(result.moves.items()):
            json_line(event="verdicts", before=before, after=after, traces=count)
        return
    console = Console()
    console.print(Text(str(path)), soft_wrap=True)
    table = Table("before", "after", "traces")
    for (before, after), count in sorted(result.moves.items()):
        table.add_row(before, after, f"{count:,}", style="bold" if before != after else "")
    console.print(table)
    changed = f"{result.changed:,} of {counted(result.moves.total(), 'verdict')} changed; kept in {result.file}"
    console.print(Text(changed), soft_wrap=True)
    if result.asked:
        console.print(
            Text(f"{counted(result.asked, 'reply', 'replies')} of the judge, kept in the run's record"), soft_wrap=True
        )


def show_audit(path: Path, found: "Audit", json: bool) -> None:
    """How far two verifiers agree, and where they do not."""
    if json:
        _audit_lines(path, found)
        return
    console = Console()
    console.print(Text(f"{path}: {found.first} against {found.second}"), soft_wrap=True)
    table = Table(found.first, found.second, "traces")
    for (one, other), count in sorted(found.table.items()):
        table.add_row(one, other, f"{count:,}", style="" if one == other else "bold")
    console.print(table)
    if found.share is None:
        console.print("There is no trace on which both decided: nothing can be said about their agreement.")
    else:
        over = f"{found.decided:,} traces of {found.problems:,} problems on which both decided"
        console.print(Text(f"agree  {_interval(found.share, percent=True)} of the {over}"), soft_wrap=True)
        beyond = "unknown: all have one status" if found.kappa is None else _interval(found.kappa, percent=False)
        console.print(Text(f"kappa  {beyond}"), soft_wrap=True)
    for each in found.disagreements[:SHOWN]:
        question = shorten(" ".join(clean(each.question).split()), 60)
        said = f"{each.trace}  {each.first} against {each.second}  {shorten(clean(each.answer), 40)!r}, known"
        console.print(Text(f"{said} {shorten(clean(each.known), 40)!r}  {question}"), soft_wrap=True)
    if (more := len(found.disagreements) - SHOWN) > 0:
        console.print(f"… and {more:,} more: --json shows all.")


def _audit_lines(path: Path, found: "Audit") -> None:
    json_line(
        event="audit",
        run=str(path),
        first=found.first,
        second=found.second,
        table=[{"first": one, "second": other, "traces": n} for (one, other), n in sorted(found.table.items())],
        decided=found.decided,
        problems=found.problems,
        share=asdict(found.share) if found.share else None,
        kappa=asdict(found.kappa) if found.kappa else None,
        failed=found.failed,
        error=found.error,
    )
    for each in found.disagreements:
        json_line(event="disagreement", **asdict(each))


def _interval(interval: "Interval", percent: bool) -> str:
    form = "{:.1%}" if percent else "{:.2f}"
    mean, low, high = (form.format(value) for value in (interval.mean, interval.low, interval.high))
    return f"{mean} (95% interval {low} to {high})"
