"""How a run looks while it goes on: live on a terminal, plain lines when piped.

On a terminal the bar and the figures at the bottom are drawn anew a few times a second; everything else is printed
above them in whole lines and stays. Nothing is done per piece of a reply, unless its steps are watched.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from openstrawberry.cli.bottom import Bottom
from openstrawberry.cli.jsonview import JsonView
from openstrawberry.cli.notices import Notices
from openstrawberry.cli.render import MARKS, clean, show_summary
from openstrawberry.cli.steps import Steps
from openstrawberry.cli.tally import Tally, packed, slowest_of
from openstrawberry.engine.events import (
    Batched,
    Event,
    Judged,
    Retried,
    TraceEnded,
    TraceStarted,
    TurnEnded,
    TurnEvent,
    Warned,
)
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Trace
from openstrawberry.wording import counted

if TYPE_CHECKING:
    from openstrawberry.generate import Run
    from openstrawberry.store.summary import Summary

STEP_LIMIT = 600  # characters of a step that are shown of the first trace; the trace on disk has all
LINES_LIMIT = 60  # more problems than this: no line per problem, only the bar
MEASURED_S = 0.5  # seconds between looks at money and latencies, which are not free
TOLD_S = 30.0  # seconds between plain lines, where nothing can be drawn


class RunView(Protocol):
    """Shows a run while it goes on. `streaming`: whether it wants to hear replies while they are written."""

    @property
    def streaming(self) -> bool: ...

    def start(self, run: "Run") -> None: ...

    def hear(self, event: Event) -> None: ...

    def stop(self) -> None: ...

    def summary(self, summary: "Summary") -> None: ...


def open_view(json: bool, watch: bool) -> RunView:
    """The view that fits where the output goes."""
    return JsonView() if json else TextView(Console(), watch)


class TextView:
    """For people. Follows a trace step by step, says a line per finished problem, and keeps the figures up to date.

    Args:
        watch: follows one trace after the other, as they are written; else only the first, a step at a time.
        brief: follows none, and says nothing per problem: this run is one among several.
        clock: seconds.
    """

    def __init__(
        self, console: Console, watch: bool = False, brief: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console
        self.tally = Tally()
        self._watch = watch
        self._lines = not brief
        self._clock = clock
        self._notices = Notices(console, clock)
        self._followed = ""
        self._follows = not brief  # the next trace that begins
        self._steps = Steps(console)
        self._verdicts: dict[str, list[Trace]] = defaultdict(list)
        self._samples, self._open_ended = 1, False  # open-ended: a problem may end with fewer samples
        self._held: list[Text] = []
        self._batches: dict[str, Batched] = {}
        self._bottom = Bottom(console, self._figures)
        self._measured = self._told = clock()

    @property
    def streaming(self) -> bool:
        """Whether it wants to hear replies while they are written."""
        return self._watch and self.console.is_terminal

    def start(self, run: "Run") -> None:
        """Says what begins and where it is kept."""
        config = run.config
        self._run, self._samples, self._open_ended = run, config.samples, config.until_decided
        self._lines = self._lines and run.total is not None and run.total <= LINES_LIMIT
        max_turns = getattr(run.strategy, "max_turns", 0)
        self.tally = Tally.of(run.directory, max_turns)
        if run.total is not None and not self._open_ended:
            self.tally.whole = run.total * config.samples
        self._head(run)
        if run.directory.resumed and self._lines:  # a problem's line counts what an earlier command made of it
            for trace in read_traces(run.directory.path):
                if not run.directory.owed(trace.id, max_turns):
                    self._verdicts[trace.problem.id].append(trace)
        self._progress = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._bar = self._progress.add_task("traces", total=self.tally.whole, completed=self.tally.done)
        self._bottom.start()

    def hear(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, TurnEvent):
            self._turn(event)
        elif isinstance(event, TraceStarted):
            self._started(event)
        elif isinstance(event, TraceEnded):
            self._ended(event.trace)
        elif isinstance(event, Judged):
            self._judged(event)
        elif isinstance(event, Batched):
            self._batched(event)
        elif isinstance(event, Retried | Warned):
            self._notices.hear(event)

    def stop(self) -> None:
        """Takes the live display down."""
        if self._open_ended:
            self._held += [problem_line(group, self.console.width) for group in self._verdicts.values()]
            self._verdicts.clear()
        self._let_go()
        self._bottom.stop()

    def summary(self, summary: "Summary") -> None:
        """The last words."""
        show_summary(self.console, summary, slowest_of(summary.latency_s))

    def _head(self, run: "Run") -> None:
        config = run.config
        many = counted(run.total, "problem") if run.total is not None else "problems"
        samples = ("up to " if self._open_ended else "") + counted(config.samples, "sample")
        roles = "".join(f" · {role} {spec}" for role, spec in run.calls.roles.items())
        told = f"{roles} · {run.strategy.name} · {many} × {samples} · {config.concurrency} at a time"
        self.console.print(Text.assemble(("strawberry ", "bold red"), (run.model.spec, "bold"), told))
        if run.skipped_rows:
            left_out = counted(len(run.skipped_rows), "row")
            self.console.print(Text(f"Left out: {left_out} that could not be read.", style="yellow"))
        if run.directory.resumed:
            state = run.summary()
            made = counted(state.traces - state.owed, "trace")
            self.console.print(Text(f"Going on with {run.directory.path}, which has {made}."), soft_wrap=True)

    def _figures(self) -> RenderableType:
        """What stands at the bottom of a terminal."""
        line = self._steps.line if self._followed else Text()
        figures = packed(self.tally.parts(), self.console.width)
        return Group(*([line] if line else []), Constrain(self._progress, 80), *figures)

    def _measure(self) -> None:
        """Looks at money and latencies; where nothing can be drawn, says now and then how far it is."""
        self._measured = self._clock()
        self.tally.spent = self._run.directory.spent()
        self.tally.slowest = slowest_of(self._run.calls.latencies)
        if not self._bottom.drawn and self._measured - self._told >= TOLD_S:
            self._told = self._measured
            of = f"{self.tally.done:,} of {self.tally.whole:,}" if self.tally.whole else f"{self.tally.done:,}"
            self.console.print(Text(" · ").join([Text(f"{of} traces"), *self.tally.parts()]), soft_wrap=True)

    def _started(self, event: TraceStarted) -> None:
        if self._follows and not self._followed:
            self._followed, self._follows = event.trace_id, self._watch
            self._steps = Steps(self.console, None if self._watch else STEP_LIMIT)
            self.console.print()
            self.console.print(Text(clean(event.question), style="bold"))

    def _turn(self, event: TurnEvent) -> None:
        if event.trace_id == self._followed:
            self._steps.hear(event)
        if isinstance(event, TurnEnded) and event.node.reply is not None:
            self.tally.turn(event.node.reply.usage)
            if self._clock() - self._measured >= MEASURED_S:
                self._measure()

    def _judged(self, event: Judged) -> None:
        if event.trace_id == self._followed:
            mark, style = MARKS.get(event.verdict.status, ("?", "yellow"))
            told = f"  {mark} {clean(event.answer) or 'no answer'} ({event.verdict.status})"
            self.console.print(Text(told, style))

    def _ended(self, trace: Trace) -> None:
        if trace.id == self._followed:
            self._followed = ""
            self.console.print()
        self.tally.trace(trace)
        self._measure()
        self._progress.update(self._bar, completed=self.tally.done)
        if self._lines:
            group = self._verdicts[trace.problem.id]
            group.append(trace)
            if len(group) >= self._samples:
                self._held.append(problem_line(self._verdicts.pop(trace.problem.id), self.console.width))
        if not self._followed:  # never between the steps of the trace that is being followed
            self._let_go()

    def _batched(self, event: Batched) -> None:
        """Says when a batch comes and goes; how far the running ones are stands beside the other figures."""
        self._batches[event.id] = event
        if event.state in ("ended", "failed"):
            del self._batches[event.id]
        running = [batch for batch in self._batches.values() if batch.state == "running"]
        done, total = sum(batch.done for batch in running), sum(batch.total for batch in running)
        self.tally.batches = f"{done:,}/{total:,} in batches" if running else ""
        if event.state != "running":
            text = f"batch {clean(event.id)} {event.state}: {counted(event.total, 'request')}"
            self.console.print(Text(text, style="cyan"), soft_wrap=True)

    def _let_go(self) -> None:
        for line in self._held:
            self.console.print(line)
        self._held.clear()


def problem_line(traces: list[Trace], width: int = 80) -> Text:
    """One finished problem: how many of its samples were right, and what was answered."""
    right = sum(trace.solved for trace in traces)
    style = "green" if right == len(traces) else "yellow" if right else "red"
    steps = sorted(trace.turns for trace in traces)
    question = Text(" ".join(clean(traces[0].problem.question).split()))
    tail = f"  {steps[0]}–{steps[-1]} turns" if steps[0] != steps[-1] else f"  {counted(steps[0], 'turn')}"
    question.truncate(max(20, width - 8 - len(tail)), overflow="ellipsis")
    return Text.assemble((f"{right:>3}/{len(traces)} ", style), question, (tail, "dim"))
