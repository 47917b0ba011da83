"""How a run looks to a program: one JSON object per line."""

from typing import TYPE_CHECKING

from openstrawberry.cli.render import json_line
from openstrawberry.engine.events import Batched, Event, TraceEnded, TurnEnded, Warned
from openstrawberry.trace import turn_of

if TYPE_CHECKING:
    from openstrawberry.generate import Run
    from openstrawberry.store.summary import Summary


class JsonView:
    """A run for programs."""

    streaming = False

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
