from itertools import combinations

import pytest

from openstrawberry.evaluation.voting import ballot, majority_at_k
from tests.evaluation.rows import problem, trace


def by_hand(votes: list[tuple[str, bool]], k: int) -> float:
    """Every subset looked at, ties split evenly."""
    total = 0.0
    subsets = list(combinations(votes, k))
    for subset in subsets:
        names = [name for name, _ in subset if name]
        most = max((names.count(name) for name in names), default=0)
        winners = {name for name in names if names.count(name) == most}
        total += sum(dict(votes)[name] for name in winners) / len(winners) if winners else 0.0
    return total / len(subsets)


VOTES = {
    "a right majority": "aaab",
    "a tie": "aabb",
    "three ways": "abc",
    "mostly silent": "a...",
    "nobody": "....",
    "wrong majority": "abbb.c",
    "many": "aaabbbccd.",
}


@pytest.mark.parametrize("text", VOTES.values(), ids=VOTES)
def test_the_expectation_is_that_of_all_subsets(text: str) -> None:
    votes = [("" if name == "." else name, name == "a") for name in text]
    for k in range(1, len(votes) + 1):
        assert majority_at_k(votes, k) == pytest.approx(by_hand(votes, k))


def test_a_tie_is_split_evenly() -> None:
    assert majority_at_k([("3", True), ("3", True), ("4", False), ("4", False)], 4) == 0.5


def test_one_vote_is_pass_at_one() -> None:
    assert majority_at_k([("3", True), ("4", False), ("4", False), ("", False)], 1) == 0.25


def test_fewer_samples_than_votes_are_refused() -> None:
    with pytest.raises(ValueError, match="maj@3"):
        majority_at_k([("3", True)], 3)


def test_hundreds_of_samples_are_quick() -> None:
    votes = [(str(number % 17), number % 17 == 0) for number in range(400)]
    assert 0 < majority_at_k(votes, 200) < 1


def test_the_same_number_is_the_same_vote_however_it_is_written() -> None:
    of = problem(0)
    assert ballot(trace(of, "-", answer="1,000")) == ballot(trace(of, "-", answer=" 1000.0 "))
    assert ballot(trace(of, "-", answer="12")) != ballot(trace(of, "-", answer="21"))
    assert ballot(trace(of, "0")) == ""
