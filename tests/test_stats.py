"""Against published values, values worked out by hand, and simulations with a fixed seed."""

from math import inf
from random import Random

import pytest

from openstrawberry.stats import (
    bootstrap_mean,
    holm,
    kappa,
    mcnemar,
    noninferior,
    paired_bootstrap,
    pass_at_k,
    sign_flip,
    wilson,
)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_intervals_of_newcombe_1998(right: int, of: int, low: float, high: float) -> None:
    assert wilson(right, of) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_of_no_trials_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_pass_at_k_is_the_share_of_subsets_with_a_right_one() -> None:
    assert pass_at_k(4, 1, 1) == 0.25
    assert pass_at_k(4, 1, 2) == pytest.approx(3 / 6)  # AB AC AD BC BD CD with A right
    assert pass_at_k(5, 2, 3) == pytest.approx(1 - 1 / 10)
    assert (pass_at_k(3, 0, 3), pass_at_k(3, 3, 1), pass_at_k(3, 1, 3)) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(("n", "c", "k"), [(2, 1, 3), (2, 3, 1), (2, 1, 0), (0, 0, 1)])
def test_pass_at_k_of_too_few_samples_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(n, c, k)


def outcomes(both: int, only_first: int, only_second: int, neither: int) -> tuple[list[bool], list[bool]]:
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return first, second


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (8, 1, 2 * (1 + 9) / 2**9),
        (1, 8, 2 * (1 + 9) / 2**9),
        (5, 0, 2 / 32),
        (6, 0, 2 / 64),
        (4, 4, 1.0),
        (0, 0, 1.0),
        (150, 86, 3.716e-5),  # the approval survey of Agresti, Categorical Data Analysis
    ],
)
def test_mcnemar_counts_only_where_the_two_differ(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar(*outcomes(30, only_first, only_second, 7)) == pytest.approx(p, rel=5e-3)


def test_mcnemar_of_unequal_lists_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        mcnemar([True], [])


@pytest.mark.parametrize(("only_first", "only_second"), [(8, 1), (5, 0), (3, 3), (20, 9)])
def test_flipping_signs_is_mcnemar_where_the_differences_are_whole(only_first: int, only_second: int) -> None:
    first, second = outcomes(10, only_first, only_second, 10)
    differences = [float(b) - float(a) for a, b in zip(first, second, strict=True)]
    assert sign_flip(differences) == pytest.approx(mcnemar(first, second), abs=0.01)


def test_flipping_signs_by_hand() -> None:
    assert sign_flip([0.5, 0.25]) == 0.5  # ++ and -- reach 0.75, +- and -+ do not
    assert sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([]) == 1.0
    assert 0 < sign_flip([0.5] * 100) < 0.001


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert (holm([0.2]), holm([])) == ([0.2], [])


def test_values_that_are_all_equal_keep_an_honest_width() -> None:
    same = paired_bootstrap([0.0] * 20)
    assert same.mean == 0.0
    assert -0.2 < same.low < -0.05 < 0.05 < same.high < 0.2
    perfect = bootstrap_mean([1.0] * 20, bounds=(0, 1))
    assert (perfect.mean, perfect.high) == (1.0, 1.0)
    assert perfect.low == pytest.approx(wilson(20, 20)[0], abs=0.05)


def test_one_value_says_little_and_without_bounds_nothing() -> None:
    assert bootstrap_mean([7.0]).low == -inf
    assert bootstrap_mean([7.0]).high == inf
    one = paired_bootstrap([1.0])
    assert (one.mean, one.high) == (1.0, 1.0)
    assert one.low < -0.5


def test_no_values_are_refused() -> None:
    for function in (bootstrap_mean, paired_bootstrap, lambda values: noninferior(values, 0.02)):
        with pytest.raises(ValueError, match="no values"):
            function([])


def test_the_same_seed_gives_the_same_interval_in_any_order_of_values() -> None:
    values = [0.13, 0.71, 0.5, -0.4, 0.0, 0.0, 0.33]
    assert paired_bootstrap(values, seed=3) == paired_bootstrap(sorted(values), seed=3)
    assert paired_bootstrap(values, seed=3) != paired_bootstrap(values, seed=4)


def test_more_samples_of_the_same_problems_do_not_narrow_the_interval() -> None:
    values = [1.0] * 30 + [0.0] * 20
    once = bootstrap_mean(values, bounds=(0, 1))
    often = bootstrap_mean(values * 8, clusters=list(range(50)) * 8, bounds=(0, 1))
    assert once == often
    careless = bootstrap_mean(values * 8, bounds=(0, 1))
    assert careless.high - careless.low < (often.high - often.low) / 2


def drawn(random: Random, n: int, lost: float, gained: float) -> list[float]:
    return [-1.0 if u < lost else 1.0 if u < lost + gained else 0.0 for u in (random.random() for _ in range(n))]


@pytest.mark.parametrize(("n", "lost", "gained"), [(20, 0.1, 0.2), (60, 0.1, 0.2), (200, 0.02, 0.04), (200, 0.2, 0.3)])
def test_intervals_of_paired_differences_cover_as_often_as_they_say(n: int, lost: float, gained: float) -> None:
    random = Random(n)
    found = [paired_bootstrap(drawn(random, n, lost, gained), resamples=1000, seed=i) for i in range(400)]
    assert 0.92 <= sum(one.low <= gained - lost <= one.high for one in found) / 400 <= 0.985


def test_intervals_of_clustered_shares_cover_as_often_as_they_say() -> None:
    random = Random(5)
    hits = 0
    for trial in range(300):
        rates = [random.betavariate(2, 1) for _ in range(60)]  # problems of unlike difficulty, mean 2/3
        values = [float(random.random() < rate) for rate in rates for _ in range(4)]
        clusters = [place for place in range(60) for _ in range(4)]
        found = bootstrap_mean(values, clusters, bounds=(0, 1), resamples=1000, seed=trial)
        hits += found.low <= 2 / 3 <= found.high
    assert 0.92 <= hits / 300 <= 0.98


def test_not_worse_needs_enough_problems() -> None:
    assert not noninferior([0.0] * 40, 0.02).holds
    assert noninferior([0.0] * 200, 0.02).holds
    assert not noninferior([0.0] * 190 + [-1.0] * 10, 0.02).holds
    assert noninferior([0.0] * 180 + [1.0] * 20, 0.02).holds
    assert not noninferior([0.0] * 200, 0.0).holds


@pytest.mark.parametrize(("n", "lost", "gained"), [(150, 0.03, 0.01), (400, 0.05, 0.03), (1000, 0.02, 0.0)])
def test_what_is_worse_by_just_the_margin_rarely_passes(n: int, lost: float, gained: float) -> None:
    random = Random(n)
    passed = sum(noninferior(drawn(random, n, lost, gained), 0.02, resamples=1000, seed=i).holds for i in range(400))
    assert passed / 400 < 0.1


def test_mcnemar_rejects_a_true_null_at_most_as_often_as_it_says() -> None:
    random = Random(1)
    rejected = 0
    for _ in range(1000):
        first = [random.random() < 0.7 for _ in range(80)]
        second = [random.random() < 0.7 for _ in range(80)]
        rejected += mcnemar(first, second) < 0.05
    assert rejected / 1000 <= 0.05


def test_kappa_is_that_of_the_textbook_and_takes_off_what_chance_gives() -> None:
    # Cohen's kappa of 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no is 0.4 (the worked example of many textbooks).
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    found = kappa(pairs)
    assert found is not None
    assert found.mean == pytest.approx(0.4)
    assert 0.0 < found.low < 0.25
    assert 0.55 < found.high < 0.75
    assert kappa(pairs[::-1]) == found
    opposite = kappa([("y", "n"), ("n", "y")] * 10)
    assert opposite is not None
    assert opposite.mean == pytest.approx(-1)


def test_kappa_of_perfect_agreement_keeps_a_width_and_of_one_label_is_unknown() -> None:
    few, many = kappa([("y", "y"), ("n", "n")] * 3), kappa([("y", "y"), ("n", "n")] * 300)
    assert few is not None
    assert many is not None
    assert (few.mean, many.mean) == (1.0, 1.0)
    assert few.low < 0.8 < 0.97 < many.low < 1.0
    assert kappa([("y", "y")] * 9) is None
    assert kappa([]) is None


def test_kappa_counts_problems_and_not_their_samples() -> None:
    pairs = [("y", "y"), ("n", "y"), ("n", "n"), ("y", "y")]
    once = kappa(pairs, [1, 2, 3, 4])
    assert kappa([pair for pair in pairs for _ in range(50)], [n for n in range(4) for _ in range(50)]) == once


def test_the_interval_of_kappa_covers_what_it_should() -> None:
    random, covered, true = Random(0), 0, 0.6  # both marginals one half, so kappa is 2 * agreement - 1
    for trial in range(150):
        firsts = [random.choice("yn") for _ in range(60)]
        pairs = [(one, one if random.random() < (1 + true) / 2 else "ny"["yn".index(one)]) for one in firsts]
        found = kappa(pairs, resamples=1000, seed=trial)
        assert found is not None
        covered += found.low <= true <= found.high
    assert 0.90 <= covered / 150 <= 0.99
