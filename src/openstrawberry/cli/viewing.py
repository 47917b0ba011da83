"""What `strawberry view` shows on a terminal: a list of traces, one trace, or where the HTML file went."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from openstrawberry.cli.render import MARKS, clean, json_line, shorten
from openstrawberry.errors import SetupError, UsageError
from openstrawberry.store.browsing import Browser, Row, Wanted
from openstrawberry.trace import OWED
from openstrawberry.ui.reading import Reading, Side, read
from openstrawberry.ui.report import write_report
from openstrawberry.ui.summaries import read_summaries
from openstrawberry.ui.tree import is_tree

_STATUSES = {
    "right": "correct",
    "wrong": "incorrect",
    "no-answer": "no_answer",
    "unchecked": "unknown",
    "timeout": "timeout",
}


def wanted_of(asked: list[str], text: str) -> Wanted:
    """What the words of `--status` and `--text` ask for.

    Raises:
        UsageError: a word means nothing here.
    """
    unknown = [word for word in asked if word not in _STATUSES and word != "error"]
    if unknown:
        raise UsageError(f"--status {unknown[0]} means nothing here: choose of {', '.join([*_STATUSES, 'error'])}.")
    if "error" in asked and len(asked) > 1:
        raise SetupError("--status error stands alone: such traces have no verdict; leave the other words out.")
    if "error" in asked:
        return Wanted(stops=tuple(sorted(OWED)), text=text)
    return Wanted(statuses=tuple(_STATUSES[word] for word in asked), text=text)


def show_list(browser: Browser, wanted: Wanted, limit: int, json: bool) -> None:
    """The first traces that fit, one per line."""
    rows = browser.page(wanted, size=limit)
    if json:
        for row in rows:
            json_line(event="trace", **_fields(row))
        return
    console = Console()
    console.print(Text(str(browser.path), style="bold"), soft_wrap=True)
    table = Table("#", "", "question", "answer", "turns", "tokens", box=None, pad_edge=False)
    for number, row in enumerate(rows, start=1):
        mark, style = MARKS.get(row.status, ("?", "yellow")) if row.stop not in OWED else ("!", "red")
        question = Text(shorten(" ".join(clean(row.question).split()), 60))
        answer = Text(shorten(" ".join(clean(row.answer).split()), 24))
        tokens = f"{row.output:,}" if row.output >= 0 else ""
        table.add_row(f"{number:,}", Text(mark, style), question, answer, f"{row.turns:,}", tokens)
    console.print(table if rows else "No trace fits.")
    total = browser.count(wanted)
    more = f" of {total:,} (--limit {total} shows all)" if total > len(rows) else ""
    if rows:
        console.print(f"{len(rows):,}{more}; --trace 1 reads the first, --html run.html writes a page.", style="dim")


def show_trace(browser: Browser, wanted: Wanted, which: str, json: bool) -> None:
    """One trace from beginning to end.

    Raises:
        SetupError: there is no such trace.
    """
    row = _found(browser, wanted, which)
    trace = browser.read(row)
    if json:
        json_line(event="trace", **trace.model_dump(by_alias=True))
        return
    reading, console = read(trace), Console()
    told = read_summaries(browser.path).told(reading)
    console.print(Text(clean(trace.problem.question), style="bold"))
    for turn in reading.given:
        _shown(console, Text.assemble((f"{turn.role}: ", "dim"), (shorten(clean(turn.content), 600), "dim")), 2)
    for step in reading.steps:
        if summary := told.get(step.index):
            _shown(console, Text.assemble((f"{summary.name}: ", "bold"), (clean(summary.text), "italic")), 0)
        if step.asked and not step.asked.endswith(trace.problem.question):
            _shown(console, Text(f"→ {shorten(clean(step.asked), 300)}", style="dim"), 2)
        head = Text.assemble(
            (f"{step.number:>3}  ", "bold red"), (clean(step.title), "bold"), (f"  {step.facts}", "dim")
        )
        console.print(head)
        _shown(console, Text(clean(step.turn.content)), 5)
        for side in step.sides:
            _side(console, side)
    _end(console, reading)


def show_written(browser: Browser, wanted: Wanted, file: Path, json: bool) -> None:
    """Writes the HTML file and says where."""
    files = write_report(browser, file, wanted)
    if json:
        json_line(event="written", files=[str(each) for each in files])
        return
    more = f" and {len(files) - 1:,} more pages beside it" if len(files) > 1 else ""
    Console().print(Text(f"{files[0]}{more}: open it in a browser."), soft_wrap=True)


def _found(browser: Browser, wanted: Wanted, which: str) -> Row:
    if which.isdecimal() and len(which) < 9:  # an id is longer
        rows = browser.page(wanted, start=int(which) - 1, size=1) if int(which) else []
        row = rows[0] if rows else None
    else:
        row = browser.find(which)
    if row is not None:
        return row
    count = browser.count(wanted)
    raise SetupError(
        f"There is no trace {which!r} in {browser.path}: name a number from 1 to {count}, or the beginning of an id "
        "that only one trace has."
    )


def _side(console: Console, side: Side) -> None:
    for turn in side.turns:
        if turn.role == "assistant":
            _shown(console, Text.assemble((f"{side.channel}: ", "magenta"), clean(turn.content)), 7)


def _end(console: Console, reading: Reading) -> None:
    trace = reading.trace
    mark, style = MARKS.get(trace.verdict.status, ("?", "yellow")) if not trace.owed else ("!", "red")
    known = f", known answer {clean(trace.problem.answer)}" if trace.problem.answer else ""
    if is_tree(trace):
        console.print(f"     {reading.branches:,} more replies beside this way; --html draws the tree.", style="dim")
    console.print(Text(f"  {mark} {clean(trace.answer) or 'no answer'} ({clean(reading.outcome)}{known})", style))


def _shown(console: Console, text: Text, indent: int) -> None:
    console.print(Padding(text, (0, 0, 0, indent)))


def _fields(row: Row) -> dict[str, Any]:
    names = ("id", "question", "answer", "sample", "status", "stop", "turns", "difficulty", "model", "strategy")
    figures = ("input", "cached", "output", "seconds", "cost", "error")
    return {name: getattr(row, name) for name in (*names, *figures)}
