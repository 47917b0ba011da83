"""Everything the command line shows: live on a terminal, plain lines when piped, JSON lines with `--json`.

Model text is always shown as text: rich markup in it is never interpreted, control characters never reach the terminal.
"""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from openstrawberry.engine.events import Event, Judged, TraceEnded, TraceStarted, TurnEnded
from openstrawberry.evaluation.stats import wilson
from openstrawberry.problems.problem import Problem
from openstrawberry.trace import Node, Trace, title_of, turn_of

if TYPE_CHECKING:
    from openstrawberry.generate import Run, Summary
    from openstrawberry.verify import Recheck

MARKS = {"correct": ("✓", "green"), "incorrect": ("✗", "red"), "no_answer": ("–", "yellow")}
LINES_LIMIT = 60  # more problems than this: no line per problem, only the bar


class RunView(Protocol):
    """Shows a run while it goes on."""

    def start(self, run: "Run") -> None: ...

    def hear(self, event: Event) -> None: ...

    def stop(self) -> None: ...

    def summary(self, summary: "Summary") -> None: ...


def open_view(json: bool, watch: bool) -> RunView:
    """The view that fits where the output goes."""
    return JsonView() if json else TextView(Console(), watch)


def clean(text: str) -> str:
    """Text that a terminal can be shown: control characters (escape sequences above all) made visible."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


class TextView:
    """For people. Follows one trace step by step, says a line per finished problem, and keeps a progress bar."""

    def __init__(self, console: Console, watch: bool) -> None:
        self.console = console
        self.watch = watch
        self.followed = ""
        self.seen_any = False
        self.verdicts: dict[str, list[Trace]] = defaultdict(list)
        self.right = self.wrong = self.none = self.errors = 0
        self.live: Live | None = None
        self.samples = 1
        self.lines = True

    def start(self, run: "Run") -> None:
        """Says what begins and where it is kept."""
        config, total = run.config, run.total
        self.samples = config.samples
        self.lines = total is not None and total <= LINES_LIMIT
        many = f"{total:,} problems" if total is not None else "problems"
        self.console.print(
            Text.assemble(
                ("strawberry ", "bold red"), (run.model.spec, "bold"), f" · {run.strategy.name} · {many} × "
                f"{config.samples} samples · {config.concurrency} at a time"
            )
        )
        if run.skipped_rows:
            self.console.print(f"{run.skipped_rows:,} rows that could not be read are left out.", style="yellow")
        if run.directory.resumed:
            done = run.summary().traces - run.summary().failed
            self.console.print(f"Going on with {run.directory.path}: {done:,} traces are there.")
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), console=self.console,
        )
        made = run.summary().traces - run.summary().failed
        whole = total * config.samples if total is not None else None
        self.bar = self.progress.add_task("traces", total=whole, completed=made)
        if self.console.is_terminal:
            self.live = Live(self.progress, console=self.console, refresh_per_second=8)
            self.live.start()

    def hear(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, TraceStarted):
            if not self.followed and (self.watch or not self.seen_any):
                self.followed, self.seen_any = event.trace_id, True
                self.console.print(Text(f"\n{clean(event.question)}", style="bold"))
        elif isinstance(event, TurnEnded) and event.trace_id == self.followed:
            show_turn(self.console, event.node)
        elif isinstance(event, Judged) and event.trace_id == self.followed:
            mark, style = MARKS.get(event.verdict.status, ("?", "yellow"))
            self.console.print(Text(f"  {mark} {clean(event.answer) or 'no answer'} ({event.verdict.status})\n", style))
        elif isinstance(event, TraceEnded):
            self._ended(event.trace)

    def _ended(self, trace: Trace) -> None:
        if trace.id == self.followed:
            self.followed = ""
        self.right += trace.correct
        self.wrong += trace.verdict.status == "incorrect"
        self.errors += trace.stop == "error"
        self.none += trace.verdict.status not in ("correct", "incorrect") and trace.stop != "error"
        counts = f"[green]✓ {self.right:,}[/] [red]✗ {self.wrong:,}[/] [yellow]– {self.none:,}[/]"
        failed = f" [red]! {self.errors:,}[/]" if self.errors else ""
        self.progress.update(self.bar, advance=1, description=counts + failed)
        group = self.verdicts[trace.problem.id]
        group.append(trace)
        if len(group) == self.samples:
            if self.lines:
                self.console.print(problem_line(group, self.console.width))
            del self.verdicts[trace.problem.id]

    def stop(self) -> None:
        """Takes the live display down."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def summary(self, summary: "Summary") -> None:
        """The last words."""
        show_summary(self.console, summary)


class JsonView:
    """For programs: one JSON object per line."""

    def start(self, run: "Run") -> None:
        """Says what begins."""
        _line(event="run", path=str(run.directory.path), model=run.model.spec, problems=run.total,
              samples=run.config.samples, resumed=run.directory.resumed)

    def hear(self, event: Event) -> None:
        """Writes turns and finished traces."""
        if isinstance(event, TurnEnded):
            turn = turn_of(event.node)
            _line(event="turn", trace=event.trace_id, **turn.model_dump(include={
                "content", "title", "latency_s", "finish_reason", "model", "usage"}))
        elif isinstance(event, TraceEnded):
            trace = event.trace
            _line(event="trace", trace=trace.id, problem=trace.problem.id, question=trace.problem.question,
                  sample=trace.sample, answer=trace.answer, stop=trace.stop, status=trace.verdict.status,
                  turns=trace.turns, seconds=trace.seconds, usage=trace.usage.model_dump(), error=trace.error.message)

    def stop(self) -> None:
        """Nothing to take down."""

    def summary(self, summary: "Summary") -> None:
        """Writes the summary."""
        _line(event="summary", **{**vars(summary), "path": str(summary.path)})


def show_turn(console: Console, node: Node) -> None:
    """One step: its title and time, and what was said."""
    if node.reply is None or node.parent is None:
        return
    asked = node.parent.content.strip().splitlines()[-1] if node.parent.content.strip() else ""
    console.print(Text(f"  {clean(asked)[:100]}", style="dim"))
    head = f"  {sum(n.reply is not None for n in node.path()):>3}  {node.reply.latency_s:5.2f}s  "
    body = clean(node.content).strip()
    console.print(Text(head, style="cyan") + Text(body.replace("\n", "\n" + " " * len(head))))


def problem_line(traces: list[Trace], width: int = 80) -> Text:
    """One finished problem: how many of its samples were right, and what was answered."""
    right = sum(trace.correct for trace in traces)
    style = "green" if right == len(traces) else "yellow" if right else "red"
    steps = sorted(trace.turns for trace in traces)
    question = " ".join(clean(traces[0].problem.question).split())
    tail = f"  {steps[0]}–{steps[-1]} turns" if steps[0] != steps[-1] else f"  {steps[0]} turns"
    room = max(20, width - 8 - len(tail))
    line = Text(f"{right:>3}/{len(traces)} ", style=style)
    return line + Text(question if len(question) <= room else question[: room - 1] + "…") + Text(tail, style="dim")


def show_summary(console: Console, summary: "Summary") -> None:
    """How many were right, what it took, where it is."""
    judged = sum(count for status, count in summary.statuses.items() if status in ("correct", "incorrect", "no_answer"))
    judged -= summary.failed if "no_answer" in summary.statuses else 0
    right = summary.statuses.get("correct", 0)
    low, high = wilson(right, max(judged, right))
    rows: list[tuple[str, str]] = []
    if summary.traces:
        share = f"{right:,} of {max(judged, right):,}"
        rows.append(("right", f"{share} ({_percent(right, judged)}, 95% interval {low:.0%} to {high:.0%})"))
        others = {name: count for name, count in summary.statuses.items() if name != "correct" and count}
        if others:
            rows.append(("not", ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in others.items())))
        never = summary.problems - summary.solved_always - summary.solved_sometimes
        rows.append(("problems", f"{summary.solved_always:,} always right, {summary.solved_sometimes:,} sometimes "
                                 f"(barely solvable), {never:,} never"))
    tokens = summary.tokens
    if tokens.get("input", -1) >= 0:
        cached = f" ({_percent(tokens['cached'], tokens['input'])} from cache)" if tokens.get("cached", -1) >= 0 else ""
        rows.append(("tokens", f"{tokens['input']:,} in{cached}, {max(tokens['output'], 0):,} out"))
    replayed = f", {summary.replies_replayed:,} replayed" if summary.replies_replayed else ""
    rows.append(("time", f"{summary.seconds:.1f} s for {summary.made:,} traces ({summary.replies_asked:,} replies{replayed})"))
    rows.append(("traces", f"{summary.path}"))
    console.print()
    for name, value in rows:
        console.print(Text(f"{name:>9}  ", style="bold") + Text(value), soft_wrap=True)
    if summary.failed:
        console.print(
            Text(f"{summary.failed:,} traces failed ({clean(summary.first_error)}) Run the same command to retry them.",
                 style="red"), soft_wrap=True)


def show_problems(source: str, problems: list[Problem], more: bool, skipped: list[str]) -> None:
    """A table of problems."""
    console = Console()
    table = Table("#", "question", "answer", "verifier", "difficulty", title=source, title_justify="left")
    for number, problem in enumerate(problems, start=1):
        table.add_row(
            str(number), Text(clean(problem.question)), Text(clean(problem.answer)), problem.verifier,
            f"{problem.difficulty:g}",
        )
    console.print(table)
    if more:
        console.print(f"… and more: --limit {2 * len(problems)} shows them.")
    for reason in skipped[:5]:
        console.print(f"left out: {reason}", style="yellow", markup=False)


def show_recheck(path: Path, result: "Recheck", json: bool) -> None:
    """What verifying again changed."""
    if json:
        for (before, after), count in sorted(result.moves.items()):
            _line(event="verdicts", before=before, after=after, traces=count)
        return
    console = Console()
    table = Table("before", "after", "traces", title=str(path), title_justify="left")
    for (before, after), count in sorted(result.moves.items()):
        table.add_row(before, after, f"{count:,}", style="bold" if before != after else "")
    console.print(table)
    console.print(f"{result.changed:,} of {result.moves.total():,} verdicts changed; kept in {result.file}")


class AskView:
    """Streams one trace as it happens: each step with its title and time."""

    def __init__(self, console: Console, streaming: bool) -> None:
        self.console = console
        self.streaming = streaming
        self.shown = 0
        self.turn = 0
        self.open_line = False
        self.began = time.monotonic()

    def again(self) -> None:
        """The trace is continued: its first turns are replayed and not shown a second time."""
        self.turn = 0

    def hear(self, event: Event) -> None:
        """Shows one event."""
        from openstrawberry.engine.events import Streamed, TurnStarted

        if isinstance(event, TurnStarted):
            self.turn += 1
            if self.turn > self.shown:
                asked = event.node.content.strip().splitlines()
                self.console.print(Text(f"{self.turn:>3}  {clean(asked[-1])[:100] if asked else ''}", style="dim"))
        elif isinstance(event, Streamed) and self.turn > self.shown and self.streaming:
            self._delta(event.delta.channel, event.delta.text)
        elif isinstance(event, TurnEnded) and self.turn > self.shown:
            self.shown = self.turn
            self._end(event.node)

    def _delta(self, channel: str, text: str) -> None:
        if channel not in ("content", "reasoning"):
            self.console.print("\n     (interrupted, asking again)", style="yellow", highlight=False)
            return
        if not self.open_line:
            self.console.print("     ", end="")
            self.open_line = True
        style = "dim italic" if channel == "reasoning" else ""
        self.console.print(Text(clean(text).replace("\n", "\n     "), style=style), end="", soft_wrap=True)

    def _end(self, node: Node) -> None:
        if not self.streaming:
            self.console.print(Text("     " + clean(node.content).strip().replace("\n", "\n     ")), soft_wrap=True)
        elif self.open_line:
            self.console.print()
        self.open_line = False
        seconds = node.reply.latency_s if node.reply else 0.0
        title = title_of(node.content)
        said = clean(title) if title not in node.content.strip().splitlines()[:1] else ""
        self.console.print(Text(f"     {said + ' · ' if said else ''}{seconds:.2f} s", style="cyan"))

    def verdict(self, trace: Trace) -> None:
        """How it ended."""
        mark, style = MARKS.get(trace.verdict.status, ("→", "bold"))
        labels = {"correct": "right", "incorrect": f"wrong, expected {trace.problem.answer}"}
        checked = labels.get(trace.verdict.status, "not checked: give the right answer with --answer")
        if not trace.answer:
            checked = {"max_turns": "no answer within the allowed turns", "truncated": "the reply was cut by --max-tokens",
                       "refused": "the model refused"}.get(trace.stop, "no answer")
        known = [f"{count:,} tokens {name}" for name, count in
                 (("in", trace.usage.input), ("cached", trace.usage.cached_input), ("out", trace.usage.output)) if count >= 0]
        self.console.print(Text(f"\n{mark} {clean(trace.answer)}".rstrip(), style=style) + Text(f"  ({clean(checked)})", "dim"))
        self.console.print(Text(" · ".join([f"{trace.turns} turns", f"{time.monotonic() - self.began:.1f} s", *known]), "dim"))


def _line(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole > 0 else "none"
