"""maj@k: how often the most frequent of k answers is right (self-consistency, Wang et al. 2022, arXiv 2203.11171).

With n samples of a problem, the expectation over all subsets of k is worked out exactly, as pass@k is. Ties are split
evenly. Votes are counted over normalised answers, without looking at the truth; a sample without an answer does not
vote, and where nobody votes the majority is wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import comb

from openstrawberry.trace import Trace
from openstrawberry.verifiers.ballot import ballot as ballot_of


def ballot(trace: Trace) -> str:
    """The normalised answer that a trace votes for; empty where it has none."""
    if trace.verdict.status == "no_answer":
        return ""
    return ballot_of(trace.answer, trace.verdict.verifier or trace.problem.verifier)


def majority_at_k(votes: Sequence[tuple[str, bool]], k: int) -> float:
    """The expected share of right majorities among `k` of these samples.

    Args:
        votes: per sample its ballot (empty: none) and whether it was judged right.
        k: the size of the subsets.

    Raises:
        ValueError: fewer samples than `k`.
    """
    if not 1 <= k <= len(votes):
        raise ValueError(f"maj@{k} needs at least {k} samples; there are {len(votes)}")
    counts = Counter(ballot for ballot, _ in votes if ballot)
    right = Counter(ballot for ballot, correct in votes if ballot and correct)
    silent = len(votes) - counts.total()
    won = 0.0
    for ballot, credit in right.items():
        others = [count for name, count in counts.items() if name != ballot]
        won += credit / counts[ballot] * _wins(counts[ballot], others, silent, k)
    return won / comb(len(votes), k)


def _wins(own: int, others: Sequence[int], silent: int, k: int) -> float:
    """In how many of the k-subsets an answer with `own` votes wins; a win shared by t answers counts 1/t."""
    total = 0.0
    for votes in range(1, min(own, k) + 1):
        for tied, ways in _ways(others, silent, votes, k - votes).items():
            total += comb(own, votes) * ways / (tied + 1)
    return total


def _ways(others: Sequence[int], silent: int, most: int, places: int) -> dict[int, int]:
    """Ways to fill `places` with no other answer above `most` votes, by the number of answers that reach it."""
    ways: dict[tuple[int, int], int] = {(taken, 0): comb(silent, taken) for taken in range(min(silent, places) + 1)}
    for count in others:
        grown: dict[tuple[int, int], int] = defaultdict(int)
        for (taken, tied), number in ways.items():
            for more in range(min(count, most, places - taken) + 1):
                grown[taken + more, tied + (more == most)] += number * comb(count, more)
        ways = grown
    return {tied: number for (taken, tied), number in sorted(ways.items()) if taken == places and number}
