"""Preference pairs of whole traces: a right one is chosen over a wrong one of the same problem and beginning.

**Skew by steps.** Of two right traces the shorter is preferred more, and a longer wrong trace is punished more. Two
things carry that. The pair's *offset* (ODPO, Amini et al. 2024, arXiv 2402.10571) says by how much, in nats of implicit
reward, the chosen trace has to beat the rejected one:

    offset = skew * max(0, ln(rejected_steps / chosen_steps))

so with skew 1 a wrong trace of twice the steps has to be beaten by ln 2 = 0.69 nats, and a wrong trace that is not
longer by 0. And the *pairing* takes the shortest right trace with the longest wrong one first. Skew 0 is plain DPO:
every offset is 0, and traces pair up in the order in which they were sampled.

What always holds: chosen is right (and clean where that is asked), rejected is wrong, never merely unfinished; no pair
stands twice; no trace is repeated before all others on its side have been used as often.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import log

from openstrawberry.selection.candidates import Candidate, Pick, Said
from openstrawberry.selection.difficulty import Size


def offset(skew: float, chosen_steps: int, rejected_steps: int) -> float:
    """The ODPO offset of a pair, in nats; see the top of this file."""
    if not skew or chosen_steps < 1 or rejected_steps < 1:
        return 0.0
    return skew * max(0.0, log(rejected_steps / chosen_steps))


def trace_pairs(
    problem: str, size: Size, right: Iterable[Candidate], wrong: Iterable[Candidate], skewed: bool, flat: bool = False
) -> Iterator[tuple[Pick, Candidate, Candidate]]:
    """Every valid pair of a problem, the one to take first first.

    `right` and `wrong` in the order in which they were sampled. `flat`: the prompt will be the bare question, so traces
    of different beginnings pair up too, with a `prompt` of 0 turns.
    """
    chosen, rejected = list(right), list(wrong)
    if skewed:
        chosen.sort(key=lambda one: one.source.steps)
        rejected.sort(key=lambda one: -one.source.steps)
    for good, bad in combinations(chosen, rejected):
        prompt = 0 if flat else beginning(good.turns, bad.turns)
        differ = good.turns != bad.turns
        if (prompt or flat) and differ and good.ends_in_a_reply and bad.ends_in_a_reply:
            yield Pick("trace", problem, size, good.source, bad.source, prompt), good, bad


def combinations(chosen: Sequence[Candidate], rejected: Sequence[Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """All pairs: first with first, second with second, and so on, the shorter side from its start again; then shifted.

    So a trace comes a second time only when every other on its side has come once.
    """
    rights, wrongs = len(chosen), len(rejected)
    for shift in range(min(rights, wrongs)):
        for step in range(max(rights, wrongs)):
            if rights >= wrongs:
                yield chosen[step], rejected[(step + shift) % wrongs]
            else:
                yield chosen[(step + shift) % rights], rejected[step]


def beginning(one: Sequence[Said], other: Sequence[Said]) -> int:
    """How many turns two conversations share, counted up to the last shared user turn; 0 when they share none."""
    shared = 0
    for number, (mine, theirs) in enumerate(zip(one, other, strict=False), start=1):
        if mine != theirs:
            break
        if mine[0] == "user":
            shared = number
    return shared
