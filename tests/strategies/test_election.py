"""Votes: who wins, and from when on that is settled."""

from itertools import product
from math import comb

import pytest

from openstrawberry.strategies.election import (
    SURE,
    Candidate,
    aggregate,
    confident,
    decided,
    elect,
    filled,
    tally,
    wanted,
)
from openstrawberry.verifiers.ballot import ballot

A, B, NONE = "a", "b", ""


def test_the_majority_the_heaviest_and_the_best_may_be_three_different_answers() -> None:
    worths = [(A, 0.1), (A, 0.1), (A, 0.1), (B, 0.6), (B, 0.5), ("c", 0.9)]
    candidates = [Candidate(*each) for each in worths]
    assert [candidates[elect(candidates, rule)].ballot for rule in ("vote", "weighted", "best")] == [A, B, "c"]


def test_of_the_winning_answer_the_candidate_worth_most_is_taken() -> None:
    assert elect([Candidate(A, 0.2), Candidate(B, 0.9), Candidate(A, 0.8)], "vote") == 2


def test_a_tie_goes_to_the_answer_worth_more_and_then_to_the_first() -> None:
    assert elect([Candidate(A, 0.2), Candidate(B, 0.3)], "vote") == 1
    assert elect([Candidate(A), Candidate(B)], "vote") == 0


def test_who_has_no_answer_does_not_vote_and_an_unknown_worth_is_not_nothing() -> None:
    assert elect([Candidate(NONE, 1.0), Candidate(NONE, 1.0), Candidate(A, 0.0)], "weighted") == 2
    assert elect([Candidate(NONE), Candidate(NONE)], "vote") is None
    assert elect([], "best") is None
    unknown = [Candidate(A, None), Candidate(A, None), Candidate(B, 0.6)]
    assert tally(unknown, "weighted") == pytest.approx({A: 1.2, B: 0.6})
    assert filled([None, 0.2, 0.4], nobody=1.0) == pytest.approx([0.3, 0.2, 0.4])
    assert filled([None, None], nobody=1.0) == [1.0, 1.0]


def test_the_rewards_of_a_path_become_one() -> None:
    rewards = [0.5, 0.2, 0.8]
    assert [aggregate(rewards, how) for how in ("last", "min", "product")] == pytest.approx([0.8, 0.2, 0.08])
    assert aggregate([], "min") is None


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_what_is_decided_no_further_vote_can_change_and_nothing_sooner_is(k: int) -> None:
    for first in range(k + 1):
        for second in range(min(first, k - first) + 1):
            left = k - first - second
            votes = [first + sum(rest) for rest in product((0, 1), repeat=left)]  # each vote left: for it, or against
            safe = all(mine > k - mine for mine in votes) if first else False
            assert decided(first, second, left) == safe


def test_confidence_is_the_posterior_that_the_leader_is_ahead_in_the_long_run() -> None:
    def numerically(ahead: int, behind: int, points: int = 20_001) -> float:
        """P(p > 1/2) under Beta(ahead + 1, behind + 1), summed over a grid."""
        grid = [(number + 0.5) / points for number in range(points)]
        density = [p**ahead * (1 - p) ** behind for p in grid]
        return sum(d for p, d in zip(grid, density, strict=True) if p > 0.5) / sum(density)

    for ahead, behind in ((1, 0), (3, 0), (4, 0), (4, 1), (6, 1), (7, 2), (8, 3), (10, 4)):
        assert confident(ahead, behind, 100) == (numerically(ahead, behind) >= SURE), (ahead, behind)
    assert comb(5, 5) / 2**5 < 1 - SURE  # four alike are enough, three are not
    assert [confident(number, 0, 100) for number in (3, 4)] == [False, True]


def test_no_more_votes_are_wanted_than_could_settle_it() -> None:
    assert wanted(decided, {}, 8) == 5
    assert wanted(decided, {A: 3, B: 1}, 4) == 2
    assert wanted(decided, {A: 5}, 3) == 0
    assert wanted(decided, {A: 2, B: 2}, 1) == 1
    assert wanted(confident, {}, 40) == 4
    assert wanted(confident, {A: 4}, 36) == 0
    assert wanted(decided, {}, 0) == 0


def test_answers_that_nobody_would_call_different_are_one_ballot() -> None:
    assert ballot("1,000", "numeric") == ballot("1000.0", "numeric") == ballot(" 1000 ", "math")
    assert ballot("Paris.", "exact") == ballot("paris", "exact")
    assert ballot("13", "numeric") != ballot("3", "numeric")
    assert ballot(" ", "exact") == ""
