"""How one question looks while it is asked: each step as it happens, with its title and time."""

import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from openstrawberry.cli.render import MARKS, clean, dollars
from openstrawberry.engine.events import Event, Streamed, TurnEnded, TurnStarted
from openstrawberry.trace import Node, Trace, title_of
from openstrawberry.wording import counted


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
        if isinstance(event, TurnStarted):
            self.turn += 1
            if self.turn > self.shown:
                asked = event.node.content.strip().splitlines()
                who = "" if event.role == "solver" else f"{event.role}: "
                self.console.print(Text(f"{self.turn:>3}  {who}{clean(asked[-1])[:100] if asked else ''}", style="dim"))
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
        title = f"{clean(title_of(node.content))} · " if "<turn_title" in node.content else ""
        self.console.print(Text(f"     {title}{seconds:.2f} s", style="cyan"))

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
            Text(" · ".join([counted(trace.turns, "turn"), f"{time.monotonic() - self.began:.1f} s", *known]), "dim")
        )
        if kept.exists():
            self.console.print(Text(f"kept in {kept}", "dim"), soft_wrap=True)
