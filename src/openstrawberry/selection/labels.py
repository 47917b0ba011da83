"""Step labels: what each reply on the way was worth, for process reward models.

The soft label of a reply is its value: the share of rollouts from there that came out right. The hard one says whether
any did, value > 0 (Math-Shepherd, Wang et al. 2024, arXiv 2312.08935). Rollouts come from two kinds of traces.

A search that asks the known answer (`omega`, `mcts` with `value=check`) leaves a value on some nodes of its tree. Every
path from the root to a deepest node with a value becomes one row, whole from the question on: a beginning that is the
part of a longer row is no row of its own, and no row begins in the middle.

Ordinary samples of a problem are laid over one another (`overlaid`). Each is a rollout from every prefix of its own, so
the value of a reply is the share of right ones among the samples that came through it, one sample where it is unique.

A binary search measures few nodes, and what lies between two of them follows:

    measured before and after     between them
    worth something both          worth something: a right rollout came through. Soft: on the line between the two
    worthless both                worthless: nothing came back from there
    worth something, worthless    unknown: the first bad step is one of these, so the row ends before them

What always holds: replies that say the same after the same conversation have one measured value, that with most
rollouts behind it; a measured zero does not count where a right rollout came through after all; a row ends at a reply
whose value was measured; and where nothing had any worth, the question included, there is no row, since nobody can say
what a bad step is to a problem that is never solved.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from openstrawberry.selection.candidates import Candidate, first_reply
from openstrawberry.selection.siblings import grow, leaves, path_to
from openstrawberry.trace import Trace

Told = tuple[Candidate, Trace]
"""A conversation, and the trace that it stands in."""


@dataclass(frozen=True)
class Path:
    """A path with labels.

    `leaf`: the node it ends in. `given`: how many turns stand before the first reply. `values` and `visits`, one per
    reply from there on: the share of right rollouts or samples, and how many are behind it (0: concluded, as above).
    """

    leaf: int
    given: int
    turns: tuple[int, ...]
    values: tuple[float, ...]
    visits: tuple[int, ...]

    @property
    def rank(self) -> tuple[bool, int]:
        """The lower, the more it teaches: one that shows a good step and a bad one first, then the best measured."""
        return not (self.values[-1] == 0 < max(self.values)), -sum(self.visits)


def has_values(trace: Trace) -> bool:
    """Whether a search has left values on any node; what a critic says aside of a whole answer is none."""
    return any(turn.visits and turn.channel == "main" for turn in trace.messages)


def paths(trace: Trace) -> list[Path]:
    """Every path with labels, those first that show where a solution went wrong, then the best measured."""
    names = _names(trace)
    nodes = [index for index, turn in enumerate(trace.messages) if turn.visits and turn.channel == "main"]
    measured = _measured(trace, names, nodes)
    found: dict[bytes, Path] = {}
    for leaf in _deepest(trace, names, nodes):
        path = _labelled(trace, leaf, names, measured)
        if path is not None:
            found.setdefault(names[path.leaf], path)
    kept = _deepest(trace, names, [path.leaf for path in found.values()])
    return sorted((found[names[leaf]] for leaf in kept), key=lambda path: path.rank)


def ended(samples: Sequence[Told]) -> list[Told]:
    """The conversations of ordinary samples that came out right or wrong, the branches of a vote among them."""
    found = [(leaf, trace) for one, trace in samples if not one.composed for leaf in leaves(one, trace)]
    return [(leaf, trace) for leaf, trace in found if leaf.kind in ("right", "wrong") and leaf.ends_in_a_reply]


def overlaid(told: Sequence[Told]) -> Iterator[tuple[Candidate, Trace, Path]]:
    """Conversations of one problem that came out right or wrong, each labelled by all of them."""
    root = grow([leaf for leaf, _ in told])
    for leaf, trace in told:
        turns = path_to(trace, leaf.source.leaf if leaf.source.leaf >= 0 else trace.path[-1])
        given = first_reply([trace.messages[index] for index in turns])
        through = list(accumulate(leaf.turns, lambda at, turn: at.below[turn], initial=root))[1:]
        replies = [at for (role, _), at in zip(leaf.turns[given:], through[given:], strict=True) if role == "assistant"]
        visits = tuple(len(at.right) + len(at.wrong) for at in replies)
        values = tuple(len(at.right) / count for at, count in zip(replies, visits, strict=True))
        yield leaf, trace, Path(turns[-1], given, turns, values, visits)


def _measured(trace: Trace, names: Sequence[bytes], nodes: Sequence[int]) -> dict[bytes, tuple[int, float]]:
    """Visits and value of every conversation that has them; of equal ones the best measured."""
    found: dict[bytes, tuple[int, float]] = {}
    proven: set[bytes] = set()
    for index in nodes:
        turn, name = trace.messages[index], names[index]
        if turn.visits > found.get(name, (0, 0.0))[0]:
            found[name] = turn.visits, turn.value
        if turn.value > 0:
            proven.update(names[each] for each in path_to(trace, index)[:-1])
    return {name: (visits, value) for name, (visits, value) in found.items() if value > 0 or name not in proven}


def _labelled(trace: Trace, leaf: int, names: Sequence[bytes], measured: dict[bytes, tuple[int, float]]) -> Path | None:
    turns = path_to(trace, leaf)
    given = first_reply([trace.messages[index] for index in turns])
    replies = [index for index in turns[given:] if trace.messages[index].role == "assistant"]
    if not replies:
        return None
    known = [measured.get(names[index]) for index in replies]
    question = measured.get(names[turns[given - 1]]) if given else None
    values = fill(question[1] if question else None, [each[1] if each else None for each in known])
    hopeless = question is not None and question[1] == 0 and not any(values)
    if not values or hopeless:
        return None
    last = replies[len(values) - 1]
    visits = tuple(each[0] if each else 0 for each in known[: len(values)])
    return Path(last, given, turns[: turns.index(last) + 1], tuple(values), visits)


def fill(question: float | None, known: Sequence[float | None]) -> list[float]:
    """The values of replies, None where nobody measured: concluded as far as it goes, the rest left off.

    `question`: the value before the first reply.
    """
    marks = [(-1, question), *((number, value) for number, value in enumerate(known) if value is not None)]
    found: list[float] = []
    for (start, before), (end, after) in pairwise(marks):
        assert after is not None
        width = end - start
        if width > 1 and after == 0 and before != 0:
            break
        begin = after if before is None else before
        found += [begin + (after - begin) * step / width for step in range(1, width)]
        found.append(after)
    return found


def _names(trace: Trace) -> list[bytes]:
    """For each node a hash of the conversation up to it; side conversations are nobody's beginning."""
    names: list[bytes] = []
    for turn in trace.messages:
        before = names[turn.parent] if 0 <= turn.parent < len(names) else b""
        text = "\0".join((turn.channel, turn.role, turn.content, turn.reasoning))
        names.append(hashlib.sha256(before + text.encode("utf-8", "replace")).digest())
    return names


def _deepest(trace: Trace, names: Sequence[bytes], nodes: Sequence[int]) -> list[int]:
    """Those of `nodes` below which there is none of them, one of each conversation."""
    inner = {names[index] for node in nodes for index in path_to(trace, node)[:-1]}
    return list({names[node]: node for node in reversed(nodes) if names[node] not in inner}.values())[::-1]
