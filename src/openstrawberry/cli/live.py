"""How a run looks while it goes on: live on a terminal, plain lines when piped, JSON lines with `--json`."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from openstrawberry.cli.render import MARKS, clean, dollars, json_line, shorten, show_summary
from openstrawberry.engine.events import Batched, Event, Judged, Retried, TraceEnded, TraceStarted, TurnEnded, Warned
from openstrawberry.models.budget import Spent
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Node, Trace, turn_of
from openstrawberry.wording import counted

if TYPE_CHECKING:
    from openstrawberry.generate import Run
    from openstrawberry.store.summary import Summary

STEP_LIMIT = 600  # characters of one step that are shown; the trace on disk has all
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
        self.open_ended = False  # whether a problem may end with fewer samples
        self.lines = True
        self.said: dict[str, float] = {}
        self.spent: Callable[[], Spent] = Spent
        self.held: list[Text] = []
        self.batches: dict[str, Batched] = {}

    def start(self, run: "Run") -> None:
        """Says what begins and where it is kept."""
        config, total = run.config, run.total
        self.samples = config.samples
        self.spent = run.directory.spent
        self.lines = total is not None and total <= LINES_LIMIT
        many = counted(total, "problem") if total is not None else "problems"
        self.open_ended = config.until_decided
        samples = ("up to " if self.open_ended else "") + counted(config.samples, "sample")
        self.console.print(
            Text.assemble(
                ("strawberry ", "bold red"),
                (run.model.spec, "bold"),
                "".join(f" · {role} {spec}" for role, spec in run.calls.roles.items()),
                f" · {run.strategy.name} · {many} × {samples} · {config.concurrency} at a time",
            )
        )
        state = run.summary()
        made = state.traces - state.owed
        if run.skipped_rows:
            self.console.print(
                f"Left out: {counted(len(run.skipped_rows), 'row')} that could not be read.", style="yellow"
            )
        if run.directory.resumed:
            self.console.print(
                Text(f"Going on with {run.directory.path}, which has {counted(made, 'trace')}."), soft_wrap=True
            )
            if self.lines:  # a problem's line counts what an earlier command made of it
                for trace in read_traces(run.directory.path):
                    if not trace.owed:
                        self.verdicts[trace.problem.id].append(trace)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        whole = total * config.samples if total is not None and not self.open_ended else None
        self.bar = self.progress.add_task("traces", total=whole, completed=made)
        if self.console.is_terminal:
            self.live = Live(self.progress, console=self.console, refresh_per_second=8)
            self.live.start()

    def hear(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, TraceStarted):
            if not self.followed and (self.watch or not self.seen_any):
                self.followed, self.seen_any = event.trace_id, True
                self.console.print()
                self.console.print(Text(clean(event.question), style="bold"))
        elif isinstance(event, TurnEnded) and event.trace_id == self.followed:
            show_turn(self.console, event.node)
        elif isinstance(event, Judged) and event.trace_id == self.followed:
            mark, style = MARKS.get(event.verdict.status, ("?", "yellow"))
            self.console.print(Text(f"  {mark} {clean(event.answer) or 'no answer'} ({event.verdict.status})", style))
        elif isinstance(event, Retried):
            self._retried(event)
        elif isinstance(event, Batched):
            self._batched(event)
        elif isinstance(event, Warned):
            self.console.print(Text(clean(event.text), style="yellow"), soft_wrap=True)
        elif isinstance(event, TraceEnded):
            self._ended(event.trace)

    def _batched(self, event: Batched) -> None:
        """Says when a batch comes and goes; how far the running ones are stands beside the bar."""
        self.batches[event.id] = event
        if event.state == "running":
            running = [batch for batch in self.batches.values() if batch.state == "running"]
            done, total = sum(batch.done for batch in running), sum(batch.total for batch in running)
            self.progress.update(self.bar, description=self._counts() + f" [cyan]{done:,}/{total:,} in batches[/]")
            return
        if event.state in ("ended", "failed"):
            del self.batches[event.id]
        text = f"batch {clean(event.id)} {event.state}: {counted(event.total, 'request')}"
        self.console.print(Text(text, style="cyan"), soft_wrap=True)

    def _retried(self, event: Retried) -> None:
        """Says each kind of trouble once a minute: a thousand traces meet the same rate limit."""
        now = time.monotonic()
        if now - self.said.get(event.error.kind, -60.0) >= 60.0:
            self.said[event.error.kind] = now
            text = f"{clean(str(event.error))} Asking again in {event.wait:.1f} s."
            self.console.print(Text(text, style="yellow"), soft_wrap=True)

    def _ended(self, trace: Trace) -> None:
        if trace.id == self.followed:
            self.followed = ""
            self.console.print()
        self.right += trace.solved
        self.wrong += trace.verdict.status == "incorrect"
        self.errors += trace.stop == "error"
        self.none += trace.verdict.status not in ("correct", "incorrect") and not trace.owed
        self.progress.update(self.bar, advance=trace.stop != "budget", description=self._counts() + self._spent())
        if self.lines:
            group = self.verdicts[trace.problem.id]
            group.append(trace)
            if len(group) >= self.samples:
                self.held.append(problem_line(self.verdicts.pop(trace.problem.id), self.console.width))
        if not self.followed:  # never between the steps of the trace that is being followed
            self._let_go()

    def _spent(self) -> str:
        """Dollars so far, and where the end is known about how many it will be; nothing where nobody bills."""
        spent, task = self.spent(), self.progress.tasks[self.bar]
        if not spent.usd:
            return ""
        done = (task.completed + 1) / task.total if task.total else 0
        whole = f" of about {dollars(spent.usd / done)}" if done and not spent.unpriced else ""
        return f" {'over ' if spent.unpriced else ''}{dollars(spent.usd)}{whole}"

    def _counts(self) -> str:
        counts = f"[green]✓ {self.right:,}[/] [red]✗ {self.wrong:,}[/] [yellow]– {self.none:,}[/]"
        return counts + (f" [red]! {self.errors:,}[/]" if self.errors else "")

    def _let_go(self) -> None:
        for line in self.held:
            self.console.print(line)
        self.held.clear()

    def stop(self) -> None:
        """Takes the live display down."""
        if self.open_ended:
            self.held += [problem_line(group, self.console.width) for group in self.verdicts.values()]
            self.verdicts.clear()
        self._let_go()
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
        json_line(
            event="run",
            path=str(run.directory.path),
            model=run.model.spec,
            problems=run.total,
            samples=run.config.samples,
            resumed=run.directory.resumed,
        )

    def hear(self, event: Event) -> None:
        """Writes turns and finished traces."""
        if isinstance(event, TurnEnded):
            turn = turn_of(event.node)
            json_line(
                event="turn",
                trace=event.trace_id,
                **turn.model_dump(
                    include={"channel", "content", "title", "latency_s", "finish_reason", "model", "usage"}
                ),
            )
        elif isinstance(event, Batched):
            json_line(event="batch", batch=event.id, state=event.state, done=event.done, total=event.total)
        elif isinstance(event, Warned):
            json_line(event="warning", text=event.text)
        elif isinstance(event, TraceEnded):
            trace = event.trace
            json_line(
                event="trace",
                trace=trace.id,
                problem=trace.problem.id,
                question=trace.problem.question,
                sample=trace.sample,
                answer=trace.answer,
                stop=trace.stop,
                status=trace.verdict.status,
                turns=trace.turns,
                seconds=trace.seconds,
                cost_usd=trace.cost_usd,
                usage=trace.usage.model_dump(),
                error=trace.error.message,
            )

    def stop(self) -> None:
        """Nothing to take down."""

    def summary(self, summary: "Summary") -> None:
        """Writes the summary."""
        json_line(event="summary", **{**vars(summary), "path": str(summary.path)})


def show_turn(console: Console, node: Node) -> None:
    """One step: its title and time, and what was said."""
    if node.reply is None or node.parent is None:
        return
    asked = node.parent.content.strip().splitlines()[-1] if node.parent.content.strip() else ""
    console.print(Text("  " + shorten(clean(asked), console.width - 4), style="dim"))
    number = sum(each.reply is not None for each in node.path()) if node.channel == "main" else node.channel
    head = f"  {number:>3}  {node.reply.latency_s:5.2f}s  "
    body = shorten(clean(node.content).strip(), STEP_LIMIT)
    console.print(Text.assemble((head, "cyan"), body.replace("\n", "\n" + " " * len(head))))


def problem_line(traces: list[Trace], width: int = 80) -> Text:
    """One finished problem: how many of its samples were right, and what was answered."""
    right = sum(trace.solved for trace in traces)
    style = "green" if right == len(traces) else "yellow" if right else "red"
    steps = sorted(trace.turns for trace in traces)
    question = " ".join(clean(traces[0].problem.question).split())
    tail = f"  {steps[0]}–{steps[-1]} turns" if steps[0] != steps[-1] else f"  {counted(steps[0], 'turn')}"
    room = max(20, width - 8 - len(tail))
    return Text.assemble((f"{right:>3}/{len(traces)} ", style), shorten(question, room), (tail, "dim"))
