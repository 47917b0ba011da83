"""How the steps of one trace look while they come: what is asked, what is said, and then title and time.

Whole lines are printed and stay. The line that is being written is `line`, for whoever draws the bottom of a terminal
anew. Of several calls at a time (members of a vote, branches of a search) the oldest has the floor and the others are
shown after it: two replies never mix. What was shown is not shown again when a continuation replays it.
"""

from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from openstrawberry.chat import Delta
from openstrawberry.cli.flow import Flow
from openstrawberry.cli.render import clean, shorten
from openstrawberry.engine.events import Streamed, TurnEnded, TurnEvent, TurnStarted
from openstrawberry.trace import Node, own_title

INDENT = "     "
ASKED_LIMIT = 100  # characters of what is asked
TITLE_LIMIT = 60
NARROWEST = 20  # cells for text, however narrow the terminal is


@dataclass
class _Step:
    """One call. `came`: what was heard of its reply and is not shown yet. `number`: 0 until it has the floor."""

    asked: TurnStarted
    came: list[Delta] = field(default_factory=list)
    node: Node | None = None
    over: bool = False
    number: int = 0


class Steps:
    """Shows one trace on `console`. `limit`: characters that are shown of a reply that comes whole; None for all."""

    def __init__(self, console: Console, limit: int | None = None) -> None:
        self._console = console
        self._limit = limit
        self._open: dict[int, _Step] = {}
        self._shown: set[str] = set()
        self._count = 0
        self._flow = Flow()
        self._style = ""
        self._heard = False
        self._gap: int | None = None  # empty lines that are held back; None at the beginning of a step

    @property
    def line(self) -> Text:
        """The line that is being written; empty where there is none."""
        rest = self._flow.rest
        return Text(INDENT + rest if rest.strip() else "", style=self._style, no_wrap=True, overflow="crop")

    def hear(self, event: TurnEvent) -> None:
        """Shows one event of the trace."""
        if isinstance(event, TurnStarted):
            if event.key not in self._shown:
                self._open[event.ask] = _Step(event)
        elif (step := self._open.get(event.ask)) is None:
            return
        elif isinstance(event, Streamed):
            step.came.append(event.delta)
        else:
            step.over = True
            if isinstance(event, TurnEnded):
                step.node = event.node
                self._shown.add(step.asked.key)
        self._show()

    def _show(self) -> None:
        """Shows the oldest call as far as it came, and those after it once it is over."""
        for ask, step in list(self._open.items()):
            never = step.over and step.node is None and not step.number  # lost before it had the floor
            if not never:
                self._advance(step)
            if not step.over:
                return
            del self._open[ask]

    def _advance(self, step: _Step) -> None:
        if not step.number:
            self._count += 1
            step.number, self._gap, self._heard = self._count, None, False
            self._asked(step)
        for delta in step.came:
            self._piece(delta)
        step.came.clear()
        if step.over:
            self._end(step.node)

    def _asked(self, step: _Step) -> None:
        lines = clean(step.asked.node.content).strip().splitlines()
        who = "" if step.asked.role == "solver" else f"{step.asked.role}: "
        head = Text(f"{step.number:>3}  {who}{shorten(lines[-1], ASKED_LIMIT) if lines else ''}", style="dim")
        head.truncate(self._width + len(INDENT), overflow="ellipsis")
        self._console.print(head, soft_wrap=True)

    def _piece(self, delta: Delta) -> None:
        if delta.channel == "restart":
            self._lines(self._flow.end())
            self._heard = False
            self._console.print(Text(f"{INDENT}(interrupted, asking again)", style="yellow"))
            return
        style = "dim italic" if delta.channel == "reasoning" else ""
        if style != self._style:
            self._lines(self._flow.end())
            if self._gap is not None:  # thoughts and answer stand apart, whatever the terminal makes of styles
                self._console.print()
            self._style, self._gap = style, None
        self._heard |= delta.channel == "content"
        self._say(delta.text)

    def _say(self, text: str) -> None:
        self._lines(self._flow.feed(clean(text), self._width if self._console.is_terminal else None))

    def _lines(self, lines: list[str]) -> None:
        """Prints lines that are whole, without the empty ones at both ends of a step."""
        for line in lines:
            if line.strip():
                shown = "\n" * (self._gap or 0) + INDENT + line.rstrip()
                self._console.print(Text(shown, style=self._style), soft_wrap=True)
                self._gap = 0
            elif self._gap is not None:
                self._gap += 1

    def _end(self, node: Node | None) -> None:
        if node is not None and not self._heard:
            self._style = ""
            self._say(shorten(node.content.strip(), self._limit) if self._limit else node.content)
        self._lines(self._flow.end())
        self._style = ""
        if node is None:
            self._console.print(Text(f"{INDENT}(broken off)", style="yellow"))
            return
        title = clean(shorten(own_title(node.content), TITLE_LIMIT))
        seconds = f"{node.reply.latency_s if node.reply else 0.0:.2f} s"
        self._console.print(Text(INDENT + (f"{title} · {seconds}" if title else seconds), style="cyan"), soft_wrap=True)

    @property
    def _width(self) -> int:
        return max(self._console.width - len(INDENT), NARROWEST)
