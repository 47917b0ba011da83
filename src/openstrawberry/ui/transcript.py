"""What has been said so far while traces are made, put together from the engine's events: lanes of blocks.

A lane is one trace, a block one call to a model: asked, streaming, answered. The page draws this again and again while
it grows; nothing here knows how.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from openstrawberry.engine.events import (
    Event,
    Retried,
    Streamed,
    TraceEnded,
    TraceStarted,
    TurnEnded,
    TurnLost,
    TurnStarted,
)
from openstrawberry.evaluation.voting import ballot
from openstrawberry.strategies.strategy import AskRole
from openstrawberry.trace import Node, Trace, turn_of
from openstrawberry.ui.reading import Step


@dataclass
class Block:
    """One call. `after`: the turn it was asked after; `node`: the reply, once it is whole. `began`: monotonic seconds.

    `text` and `thought` are what has streamed so far.
    """

    ask: int
    role: AskRole
    after: Node
    began: float
    node: Node | None = None
    text: str = ""
    thought: str = ""

    def step(self, number: int) -> Step:
        """As a step to be read; only once the reply is whole."""
        assert self.node is not None
        asked = self.after.content if self.after.role == "user" else ""
        return Step(number, self.node.index, turn_of(self.node), asked)


@dataclass
class Lane:
    """One trace that is made. `trace`: its record, once there is one."""

    sample: int
    blocks: list[Block] = field(default_factory=list)
    trace: Trace | None = None

    @property
    def replies(self) -> list[Node]:
        """The whole replies so far."""
        return [block.node for block in self.blocks if block.node is not None]

    @property
    def is_chat(self) -> bool:
        """Whether it has been one conversation so far: each call asked after the reply before it, by one model."""
        follows = all(
            block.node is not None and block.node in after.after.path()
            for block, after in zip(self.blocks, self.blocks[1:], strict=False)
        )
        return follows and all(block.role == "solver" for block in self.blocks)


@dataclass(frozen=True)
class Totals:
    """Tokens and dollars of all whole replies; None where no provider said."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    dollars: float | None = None
    replies: int = 0


class Transcript:
    """Hears events, in one thread. `trouble` is the last call that is being made again, empty when none is."""

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.trouble = ""

    def hear(self, event: Event) -> None:
        """Takes in one event."""
        if isinstance(event, TraceStarted):
            self.lanes[event.trace_id] = Lane(event.sample)
        elif isinstance(event, TurnStarted):
            self.lanes[event.trace_id].blocks.append(Block(event.ask, event.role, event.node, time.monotonic()))
        elif isinstance(event, Streamed):
            self._streamed(event)
        elif isinstance(event, TurnEnded):
            self._block(event.trace_id, event.ask).node = event.node
            self.trouble = ""
        elif isinstance(event, TurnLost):
            self.lanes[event.trace_id].blocks.remove(self._block(event.trace_id, event.ask))
        elif isinstance(event, Retried):
            self.trouble = f"{event.error} Asking again in {event.wait:.0f} s."
        elif isinstance(event, TraceEnded):
            self.lanes[event.trace.id].trace = event.trace

    def copy(self) -> list[Lane]:
        """The lanes as they are now, by sample, for another thread to read."""
        lanes = sorted(self.lanes.values(), key=lambda lane: lane.sample)
        return [replace(lane, blocks=[replace(block) for block in lane.blocks]) for lane in lanes]

    @property
    def whole(self) -> int:
        """How many replies are whole."""
        return sum(len(lane.replies) for lane in self.lanes.values())

    def _streamed(self, event: Streamed) -> None:
        block, delta = self._block(event.trace_id, event.ask), event.delta
        if delta.channel == "content":
            block.text += delta.text
        elif delta.channel == "reasoning":
            block.thought += delta.text
        else:  # the stream broke off, and is asked for again from its beginning
            block.text = block.thought = ""

    def _block(self, trace_id: str, ask: int) -> Block:
        return next(block for block in reversed(self.lanes[trace_id].blocks) if block.ask == ask)


def totals(lanes: Sequence[Lane]) -> Totals:
    """Of all lanes together; a sum is unknown where nothing was said of any part, dollars where any reply has none."""
    replies = [node.reply for lane in lanes for node in lane.replies if node.reply is not None]

    def known(name: str) -> int | None:
        counts = [count for reply in replies if (count := getattr(reply.usage, name)) is not None]
        return sum(counts) if counts else None

    costs = [reply.cost_usd for reply in replies]
    dollars = None if None in costs or not costs else sum(cost for cost in costs if cost is not None)
    return Totals(known("input"), known("cached_input"), known("output"), dollars, len(replies))


@dataclass(frozen=True)
class Votes:
    """How many traces gave one answer, and whether it was judged right (None: unchecked)."""

    answer: str
    count: int
    right: bool | None


def spread(traces: Sequence[Trace]) -> list[Votes]:
    """The answers of several traces of one problem, the most frequent first; equal answers written differently are one.

    A trace without an answer does not vote (self-consistency, Wang et al. 2022).
    """
    counts: Counter[str] = Counter()
    first: dict[str, Trace] = {}
    for trace in traces:
        if vote := ballot(trace):
            counts[vote] += 1
            first.setdefault(vote, trace)
    judged = {"correct": True, "incorrect": False}
    return [
        Votes(first[vote].answer, count, judged.get(first[vote].verdict.status)) for vote, count in counts.most_common()
    ]


def winner(votes: Sequence[Votes]) -> Votes | None:
    """The answer with the most votes; None where nobody voted, or where the first two are level."""
    level = len(votes) > 1 and votes[0].count == votes[1].count
    return None if level or not votes else votes[0]
