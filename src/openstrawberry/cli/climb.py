"""How a loop looks while it climbs: one line per stage, with a bar while it goes on; JSON lines with `--json`."""

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from openstrawberry.bootstrap.events import LoopEvent, Reported, RoundEnded, StageStarted
from openstrawberry.cli.bottom import REDRAWS, drawable
from openstrawberry.cli.document import show_document
from openstrawberry.engine.events import TraceEnded
from openstrawberry.training.progress import Notice, Step
from openstrawberry.wording import counted

if TYPE_CHECKING:
    from openstrawberry.bootstrap.ladder import Ladder
    from openstrawberry.bootstrap.lineage import Lineage
    from openstrawberry.bootstrap.loop import Bootstrap


class LoopView(Protocol):
    """Shows a loop."""

    def start(self, bootstrap: "Bootstrap") -> None: ...

    def hear(self, event: LoopEvent) -> None: ...

    def stop(self) -> None: ...

    def finish(self, lineage: "Lineage", ladder: "Ladder") -> None: ...


def open_view(json: bool) -> LoopView:
    """The view that fits where the output goes."""
    return JsonLoop() if json else TextLoop(Console())


class TextLoop:
    """For people: what each stage did and how long it took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=REDRAWS,
        )
        self.task = self.bar.add_task("", total=None)
        self.stage: StageStarted | None = None
        self.began = time.monotonic()
        self.made = self.right = 0
        self.last: Step | None = None

    def start(self, bootstrap: "Bootstrap") -> None:
        """Who climbs what, and where it is kept."""
        loop = bootstrap.loop
        ladder = ", ".join(f"{family.name} {family.ladder[0]} to {family.ladder[-1]}" for family in loop.ladder)
        made_by = f", taught by {loop.teacher}" if loop.teacher else ""
        self.console.print(
            Text.assemble(
                ("strawberry ", "bold red"),
                (loop.student, "bold"),
                f"{made_by} · {ladder} · up to {counted(loop.rounds, 'round')}",
            ),
            soft_wrap=True,
        )
        self.console.print(Text(f"everything is kept in {loop.out}", style="dim"), soft_wrap=True)
        if drawable(self.console):
            self.bar.start()

    def hear(self, event: LoopEvent) -> None:
        """Counts traces and steps; says a line when a stage or a round ends."""
        if isinstance(event, StageStarted):
            self._end_stage()
            self.stage, self.began, self.made, self.right, self.last = event, time.monotonic(), 0, 0, None
            self.bar.reset(self.task, total=event.traces or None, description=self._title(event))
        elif isinstance(event, TraceEnded):
            self.made += 1
            self.right += event.trace.correct
            self.bar.update(self.task, completed=self.made)
        elif isinstance(event, Step):
            self.last = event
            self.bar.update(self.task, completed=event.step, total=event.steps)
        elif isinstance(event, Notice):
            self.console.print(Text(f"  ! {event.text}", style="bold yellow"), soft_wrap=True)
        elif isinstance(event, RoundEnded):
            self._end_stage()
            mark, style = ("✓ accepted", "bold green") if event.accepted else ("✗ rejected", "bold red")
            self.console.print(Text(f"  {mark}: {event.note}", style=style), soft_wrap=True)
        elif isinstance(event, Reported):
            self._end_stage()

    def stop(self) -> None:
        """Takes the bar away."""
        self._end_stage()
        self.bar.stop()

    def finish(self, lineage: "Lineage", ladder: "Ladder") -> None:
        """The report in brief, and where its page is."""
        from openstrawberry.bootstrap.report import brief

        show_document(self.console, brief(lineage, ladder))
        self.console.print()
        for name, value in (
            ("page", f"{lineage.loop.out}/report.html"),
            ("model", lineage.model),
            ("next", f"strawberry ask --model {lineage.model} 'What is 1234567 + 7654321?'"),
        ):
            self.console.print(Text.assemble((f"{name:>9}  ", "bold"), value), soft_wrap=True)

    def _title(self, stage: StageStarted) -> str:
        return f"round {stage.round} · {stage.stage}"

    def _end_stage(self) -> None:
        if self.stage is None:
            return
        stage, self.stage = self.stage, None
        found = f"{self.right:,} of {self.made:,} right" if self.made else ""
        if self.last:
            found = f"{counted(self.last.step, 'step')}, loss {self.last.loss:.3f}"
        seconds = time.monotonic() - self.began
        line = f"  {self._title(stage):<20} {seconds:5.0f} s  {stage.what}"
        self.console.print(Text(line + (f": {found}" if found else "")), soft_wrap=True)


class JsonLoop:
    """For programs: one object per line."""

    def start(self, bootstrap: "Bootstrap") -> None:
        """What begins."""
        self._print("start", {"student": bootstrap.loop.student, "out": str(bootstrap.loop.out)})

    def hear(self, event: LoopEvent) -> None:
        """Stages, rounds, training steps and finished traces (those by id and verdict)."""
        if isinstance(event, TraceEnded):
            trace = event.trace
            self._print("trace", {"id": trace.id, "problem": trace.problem.id, "verdict": trace.verdict.status})
        elif isinstance(event, StageStarted | RoundEnded | Step | Notice):
            self._print(type(event).__name__, asdict(event))

    def stop(self) -> None:
        """Nothing to take away."""

    def finish(self, lineage: "Lineage", ladder: "Ladder") -> None:
        """Where it ended."""
        self._print(
            "ended", {"why": lineage.ended, "model": lineage.model, "accepted": [n for n, _, _ in lineage.accepted][1:]}
        )

    def _print(self, event: str, fields: dict[str, Any]) -> None:
        known = {key: None if value != value else value for key, value in fields.items()}
        print(json.dumps({"event": event, **known}, ensure_ascii=False), flush=True)
