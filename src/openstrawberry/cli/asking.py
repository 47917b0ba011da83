"""How one question looks while it is asked: each step as it is written, with its title and time, and the verdict."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.text import Text

from openstrawberry.cli.bottom import Bottom
from openstrawberry.cli.notices import Notices
from openstrawberry.cli.render import MARKS, clean, dollars
from openstrawberry.cli.steps import INDENT, Steps
from openstrawberry.engine.events import Event, Retried, TraceEnded, TraceStarted, TurnEvent, TurnStarted, Warned
from openstrawberry.trace import Trace
from openstrawberry.wording import counted


class AskView:
    """Shows one trace as it happens. `clock` gives seconds.

    At the bottom of a terminal stand the line that is being written and how long the step has taken so far. A trace
    that is continued begins once more, and what was shown of it is not shown a second time.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self._clock = clock
        self._steps = Steps(console)
        self._notices = Notices(console, clock)
        self._bottom = Bottom(console, self._writing, transient=True)
        self._began = self._asked = clock()

    @property
    def streaming(self) -> bool:
        """Whether it wants to hear replies while they are written."""
        return self.console.is_terminal

    def hear(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, TurnEvent):
            if isinstance(event, TurnStarted):
                self._asked = self._clock()
            self._steps.hear(event)
        elif isinstance(event, TraceStarted):
            self._bottom.start()
        elif isinstance(event, TraceEnded):
            self.stop()
        elif isinstance(event, Retried | Warned):
            self._notices.hear(event)

    def stop(self) -> None:
        """Takes the live display down."""
        self._bottom.stop()

    def verdict(self, trace: Trace, kept: Path) -> None:
        """How it ended, and where it is kept; a run without any reply is not kept."""
        mark, style = MARKS.get(trace.verdict.status, ("→", "bold"))
        labels = {
            "correct": "right",
            "incorrect": f"wrong, expected {trace.problem.answer}" if trace.problem.answer else "wrong",
        }
        checked = labels.get(trace.verdict.status, "not checked: give the right answer with --answer")
        if not trace.answer:
            checked = {
                "max_turns": "no answer within the allowed turns",
                "truncated": "the reply was cut by --max-tokens",
                "refused": "the model refused",
            }.get(trace.stop, "no answer")
        known = [
            f"{counted(count, 'token')} {name}"
            for name, count in (
                ("in", trace.usage.input),
                ("cached", trace.usage.cached_input),
                ("out", trace.usage.output),
            )
            if count >= 0
        ]
        if trace.cost_usd > 0:
            known.append(dollars(trace.cost_usd))
        self.console.print(
            Text.assemble((f"\n{mark} {clean(trace.answer)}".rstrip(), style), (f"  ({clean(checked)})", "dim"))
        )
        self.console.print(
            Text(" · ".join([counted(trace.turns, "turn"), f"{self._clock() - self._began:.1f} s", *known]), "dim")
        )
        if kept.exists():
            self.console.print(Text(f"kept in {kept}", "dim"), soft_wrap=True)

    def _writing(self) -> RenderableType:
        """What is being written, and for how long."""
        seconds = Text(f"{INDENT}{self._clock() - self._asked:.1f} s", style="cyan")
        line = self._steps.line
        return Group(line, seconds) if line else Group(seconds)
