"""What a problem has to offer: its conversations with their outcome, and how to find each again on disk.

A trace is read while its problem is worked on and let go afterwards; what stays is a `Place` of a few words, so that a
run of any size fits into memory. `Pick` and `Single` are such notes of what will become a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openstrawberry.selection.difficulty import LEARNT, Outcome, Size, outcome
from openstrawberry.selection.options import Unit
from openstrawberry.selection.steps import is_clean, path_of
from openstrawberry.store.reading import Entry, Shelf
from openstrawberry.trace import Trace, Turn

Said = tuple[str, str]
"""Role and content of one turn."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a conversation stands: the number of its run, the trace, and the leaf it ends in (-1: the trace's own)."""

    shelf: int
    entry: Entry
    leaf: int = -1
    steps: int = 0


@dataclass(frozen=True)
class Candidate:
    """One conversation of a problem, from root to leaf.

    `given`: turns before the model's first reply. `composed`: whether the strategy put its last reply together.
    `order` sorts a problem's samples as they were drawn.
    """

    source: Source
    turns: tuple[Said, ...]
    kind: Outcome
    clean: bool | None
    given: int = 0
    composed: bool = False

    @property
    def order(self) -> tuple[int, int, str, int]:
        return (self.source.shelf, self.source.entry.sample, self.source.entry.id, self.source.leaf)

    @property
    def ends_in_a_reply(self) -> bool:
        """Whether the last word is the model's; else there is nothing to learn at the end."""
        return bool(self.turns) and self.turns[-1][0] == "assistant"


@dataclass(frozen=True, slots=True)
class Pick:
    """A preference pair to be: both sides share the first `prompt` turns."""

    unit: Unit
    problem: str
    size: Size
    chosen: Source
    rejected: Source
    prompt: int


@dataclass(frozen=True, slots=True)
class Single:
    """A trace that becomes a row by itself; `label`: whether it is right. The first `prompt` turns are given.

    Where steps are labelled it is one path of a trace; `label` says whether its last step is worth something, `values`
    and `visits` what each is worth and how many rollouts say so.
    """

    problem: str
    size: Size
    source: Source
    label: bool
    prompt: int
    values: tuple[float, ...] = ()
    visits: tuple[int, ...] = ()


@dataclass(frozen=True)
class Group:
    """All samples of one problem, over all runs."""

    problem: str
    question: str
    size: Size
    members: tuple[tuple[int, Entry], ...]

    def of(self, *kinds: Outcome) -> Iterator[tuple[int, Entry]]:
        """The samples with one of these outcomes."""
        return ((shelf, entry) for shelf, entry in self.members if outcome_of(entry) in kinds)


def outcome_of(entry: Entry) -> Outcome:
    """What the trace of an entry counts as."""
    return outcome(entry.status, entry.stop, entry.hinted)


def candidate(shelf: int, entry: Entry, trace: Trace) -> Candidate:
    """The trace's own conversation."""
    return Candidate(
        source=Source(shelf, entry, steps=trace.turns),
        turns=said(trace, trace.path),
        kind=outcome(trace.verdict.status, trace.stop, trace.hinted),
        clean=is_clean(trace),
        given=first_reply(path_of(trace)),
        composed=trace.composed,
    )


def first_reply(turns: Sequence[Turn]) -> int:
    """How many turns of a conversation stand before the first reply that a model wrote."""
    replies = [number for number, turn in enumerate(turns) if turn.role == "assistant"]
    return next((number for number in replies if turns[number].model), replies[0] if replies else len(turns))


def said(trace: Trace, path: Sequence[int]) -> tuple[Said, ...]:
    """Role and content along a path."""
    return tuple((trace.messages[index].role, trace.messages[index].content) for index in path)


def read(shelves: Sequence[Shelf], group: Group) -> list[tuple[Candidate, Trace]]:
    """The right (hinted or not) and wrong traces of a problem, in the order in which they were drawn."""
    found = []
    for shelf, entry in group.of(*LEARNT, "wrong"):
        trace = shelves[shelf].read(entry)
        found.append((candidate(shelf, entry, trace), trace))
    return sorted(found, key=lambda pair: pair[0].order)
