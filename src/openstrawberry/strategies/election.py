"""Which of several answers wins, and how soon that is known.

Self-consistency (Wang et al. 2022, arXiv 2203.11171) takes the most frequent answer; best-of-n and weighted votes are
what OpenR (arXiv 2410.09671) compares it with. Stopping once the leader is sure enough is Adaptive-Consistency
(Aggarwal et al. 2023, arXiv 2305.11860), whose Beta posterior is worked out here exactly, in integers.

What always holds: who has no answer does not vote; a worth that is not known is never 0, it counts as the mean of those
that are; ties go to the answer that is worth more, then to the one that was found first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, comb, floor, prod
from statistics import fmean
from typing import Literal

Rule = Literal["vote", "weighted", "best"]
Aggregate = Literal["last", "min", "product"]
Settled = Callable[[float, float, int], bool]
SURE = 0.95


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer found: what it votes for (empty: it abstains), and what it is worth from 0 to 1, if that is known."""

    ballot: str
    worth: float | None = None


def elect(candidates: Sequence[Candidate], rule: Rule) -> int | None:
    """The place of the winner among `candidates`: of those that gave the winning answer the one worth most.

    Args:
        rule: `vote` counts, `weighted` adds up what the candidates are worth, `best` takes the one worth most.

    None where nobody votes.
    """
    worths = filled([each.worth for each in candidates], nobody=1.0)
    voters = [place for place, each in enumerate(candidates) if each.ballot]
    if not voters:
        return None
    if rule != "best":
        sums = tally(candidates, rule)
        sizes = tally(candidates, "weighted")
        winner = max(sums, key=lambda each: (sums[each], sizes[each]))
        voters = [place for place in voters if candidates[place].ballot == winner]
    return max(voters, key=worths.__getitem__)


def tally(candidates: Sequence[Candidate], rule: Rule) -> dict[str, float]:
    """What each answer has by `vote` or `weighted`, in the order in which they were found."""
    worths = filled([each.worth for each in candidates], nobody=1.0)
    sums: dict[str, float] = {}
    for candidate, worth in zip(candidates, worths, strict=True):
        if candidate.ballot:
            sums[candidate.ballot] = sums.get(candidate.ballot, 0.0) + (worth if rule == "weighted" else 1.0)
    return sums


def filled(worths: Sequence[float | None], nobody: float) -> list[float]:
    """`worths` with the mean of the known ones for those that are not known; `nobody` where none is."""
    known = [worth for worth in worths if worth is not None]
    mean = fmean(known) if known else nobody
    return [mean if worth is None else worth for worth in worths]


def aggregate(rewards: Sequence[float], how: Aggregate) -> float | None:
    """The rewards of a solution's steps as one; None where there are none. `min` is Math-Shepherd's."""
    if not rewards:
        return None
    return rewards[-1] if how == "last" else min(rewards) if how == "min" else prod(rewards)


def decided(leader: float, second: float, left: int) -> bool:
    """Whether `left` more votes, each worth up to 1, can no longer bring the second to the leader."""
    return leader > second + left


def confident(leader: float, second: float, left: int) -> bool:
    """Whether the leader is the likelier of the two in the long run, for all that their votes tell (or is decided).

    That is P(p > 1/2) >= `SURE` with p from Beta(leader + 1, second + 1), a binomial tail as both are counts; weights
    are rounded to the leader's disadvantage.
    """
    ahead, behind = floor(leader), ceil(second)
    draws = ahead + behind + 1
    return decided(leader, second, left) or sum(comb(draws, n) for n in range(ahead + 1)) >= SURE * 2**draws


def wanted(settled: Settled, sums: Mapping[str, float], left: int) -> int:
    """The fewest further votes that may settle it: if all of them went to the leader. 0 once it is settled.

    No more than these need be under way, so that none is paid for that cannot matter.
    """
    leader, second = sorted([0.0, 0.0, *sums.values()])[:-3:-1]
    return next((more for more in range(left) if settled(leader + more, second, left - more)), left)
