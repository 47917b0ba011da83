"""Everything the command line shows: live on a terminal, plain lines when piped, JSON lines with `--json`.

Model text is always shown as text: rich markup in it is never interpreted, control characters never reach the terminal.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openstrawberry.problems.problem import Problem
from openstrawberry.stats import wilson
from openstrawberry.wording import counted, steers

if TYPE_CHECKING:
    from openstrawberry.selection.report import Report
    from openstrawberry.store.summary import Summary
    from openstrawberry.writing import Written

MARKS = {"correct": ("✓", "green"), "incorrect": ("✗", "red"), "no_answer": ("–", "yellow")}


def clean(text: str) -> str:
    """Text that a terminal can be shown: control characters (escape sequences above all) made visible."""
    return "".join(f"\\x{ord(c):02x}" if steers(c) else c for c in text)


def shorten(text: str, limit: int) -> str:
    """`text`, cut to `limit` characters with an ellipsis where something is left out."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def dollars(value: float) -> str:
    """Dollars with the digits that matter: cents from a dollar up, four decimals below."""
    if 0 < abs(value) < 0.0001:
        return "under $0.0001" if value > 0 else "$0"
    return f"{'-' if value < 0 else ''}${abs(value):,.{2 if abs(value) >= 1 else 4}f}" if value else "$0"


def show_summary(console: Console, summary: "Summary", slowest: str = "") -> None:
    """How many were right, what it took, where it is; `slowest` is who was, where several models replied."""
    judged = sum(summary.statuses.get(status, 0) for status in MARKS)
    right = summary.statuses.get("correct", 0) - summary.hinted
    low, high = wilson(right, judged)
    rows: list[tuple[str, str]] = []
    if judged:
        share = f"{right:,} of {judged:,}"
        rows.append(("right", f"{share} ({_percent(right, judged)}, 95% interval {low:.0%} to {high:.0%})"))
        others = {**summary.statuses, "correct": 0, "right only with a hint": summary.hinted}
        others = {name: count for name, count in others.items() if count}
        if others:
            why = f" ({clean(summary.no_answer)})" if summary.no_answer else ""
            counts = [f"{n:,} {name.replace('_', ' ')}{why * (name == 'no_answer')}" for name, n in others.items()]
            rows.append(("not", ", ".join(counts)))
        never = summary.problems - summary.solved_always - summary.solved_sometimes
        rows.append(
            (
                "problems",
                f"{summary.solved_always:,} always right, {summary.solved_sometimes:,} sometimes "
                f"(barely solvable), {never:,} never",
            )
        )
    tokens = summary.tokens
    if tokens.get("input", -1) >= 0:
        cached = f" ({_percent(tokens['cached'], tokens['input'])} from cache)" if tokens.get("cached", -1) >= 0 else ""
        rows.append(("tokens", f"{tokens['input']:,} in{cached}, {max(tokens['output'], 0):,} out"))
    rows += [("cost", cost)] if (cost := cost_of(summary)) else []
    replayed = f", {summary.replies_replayed:,} replayed" if summary.replies_replayed else ""
    rows.append(
        (
            "time",
            f"{summary.seconds:.1f} s for {counted(summary.made, 'trace')} "
            f"({counted(summary.replies_asked, 'reply', 'replies')}{replayed})",
        )
    )
    rows += [("slowest", slowest)] if slowest else []
    if summary.saved_traces >= 0:
        saved = f"{counted(summary.saved_traces, 'trace')}, about {counted(summary.saved_calls, 'call')}"
        rows.append(("saved", f"{saved}: their problems were decided without them"))
    rows.append(("traces", f"{summary.path}"))
    console.print()
    for name, value in rows:
        console.print(Text.assemble((f"{name:>9}  ", "bold"), value), soft_wrap=True)
    if summary.stopped:
        console.print(Text(f"Stopped early: {clean(summary.stopped)}", style="yellow"), soft_wrap=True)
    elif summary.failed:
        failed = counted(summary.failed, "trace")
        told = f"{failed} failed ({clean(summary.first_error)}) Run the same command to try again."
        console.print(Text(told, style="red"), soft_wrap=True)


def cost_of(summary: "Summary") -> str:
    """What the run cost; nothing where nobody bills."""
    if summary.unpriced:
        known = f"{dollars(summary.priced_usd)} and " if summary.priced_usd else ""
        told = f"{known}unknown for {counted(summary.unpriced, 'reply', 'replies')} (tell prices with --prices FILE)"
    elif summary.cost_usd:
        told = dollars(summary.cost_usd)
        saved = summary.cache_saved_usd
        told += f" (the prompt cache saved {dollars(saved)})" if saved > 0 else ""
    else:
        return ""
    lost = f", and at most {dollars(summary.open_usd)} for calls whose end is unknown" if summary.open_usd else ""
    return told + lost


def show_problems(source: str, problems: list[Problem], more: bool, skipped: list[str]) -> None:
    """A table of problems."""
    console = Console()
    table = Table("#", "question", "answer", "verifier", "difficulty", title=Text(source), title_justify="left")
    for number, problem in enumerate(problems, start=1):
        table.add_row(
            str(number),
            Text(clean(problem.question)),
            Text(clean(problem.answer)),
            problem.verifier,
            f"{problem.difficulty:g}",
        )
    console.print(table)
    if more:
        console.print(f"… and more: --limit {2 * len(problems)} shows them.")
    for reason in skipped[:5]:
        console.print(f"left out: {reason}", style="yellow", markup=False)


def show_written(written: "Written", summary: "Summary", json: bool) -> None:
    """How many tests a model has written, how many of them hold, and where the problems are."""
    if json:
        json_line(event="tests", **{**vars(written), "file": str(written.file)}, run=str(summary.path))
        return
    console = Console()
    low, high = written.interval
    checked = f"{written.written:,} by the model"
    if written.checked:
        share = _percent(written.held, written.checked)
        checked += f"; the known solution passes {written.held:,} of {written.checked:,} ({share}, "
        checked += f"95% interval {low:.0%} to {high:.0%})"
    if written.unchecked:
        checked += f"; {written.unchecked:,} kept unchecked, as no solution is known"
    left = {"no test that holds": written.without, "tests that doing nothing passes": written.idle}
    rows = [("tests", checked), ("problems", f"{written.problems:,} have tests now")]
    rows += [("", f"{written.had_tests:,} had tests already and are kept as they were")] if written.had_tests else []
    rows += [("left out", f"{count:,} with {why}") for why, count in left.items() if count]
    rows += [("run", str(summary.path)), ("file", str(written.file))]
    console.print()
    for name, value in rows:
        console.print(Text.assemble((f"{name:>9}  ", "bold"), value), soft_wrap=True)
    console.print(Text(f"     next  strawberry generate --problems {written.file}"), soft_wrap=True)


def show_selection(report: "Report", file: Path | None, then: str, json: bool) -> None:
    """What was selected, what was left out and why; `file` is None where nothing was written."""
    if json:
        json_line(event="selection", file=str(file or ""), **report.model_dump())
        return
    console = Console()
    rows = "paths" if report.format == "prm" else "pairs" if report.rejected_steps else "traces"
    table = Table("size", "problems", "right", "pass rate (95%)", "in the band", rows)
    for size in report.sizes:
        name = f"{size.family} {size.difficulty:g}".strip()
        rate = f"{size.share:.0%} ({size.low:.0%} to {size.high:.0%})"
        right = f"{size.right:,} of {size.right + size.wrong + size.other:,}"
        table.add_row(name, f"{size.problems:,}", right, rate, f"{size.in_band:,}", f"{size.rows:,}")
    console.print(table)
    for what in ("problems", "traces", "rows"):
        dropped = sorted(getattr(report, f"dropped_{what}").items(), key=lambda item: -item[1])
        if dropped:
            reasons = ", ".join(f"{count:,} {why}" for why, count in dropped)
            console.print(Text(f"left out  {what}: {reasons}"), soft_wrap=True)
    steps = f"{report.chosen_steps:g} step{'' if report.chosen_steps == 1 else 's'}"
    steps += "" if report.format == "prm" else " right"
    steps += f", {report.rejected_steps:g} wrong" if report.rejected_steps else ""
    kept = f"{counted(report.rows, rows[:-1])} from {report.problems_used:,} of {counted(report.problems, 'problem')}"
    kept += f" (mean {steps})"
    console.print(Text(f"kept      {kept}; clean guard {report.clean_guard}"), soft_wrap=True)
    console.print(Text(f"file      {file}" if file else "file      none: a dry run"), soft_wrap=True)
    if then:
        console.print(Text(f"next      {then}"), soft_wrap=True)


def json_line(**fields: object) -> None:
    """Writes one JSON object on a line of its own."""
    sys.stdout.write(json.dumps(fields, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole > 0 else "none"
