"""A round is accepted by a paired test, and by nothing else."""

from random import Random

from openstrawberry.bootstrap.config import Exam
from openstrawberry.bootstrap.decide import against_the_first, decide
from openstrawberry.bootstrap.ladder import Rung
from openstrawberry.bootstrap.scores import Result, Score

BAND = Rung("add", 5, "6")
EASY = [Rung("add", place, str(place + 1)) for place in range(5)]
EXAM = Exam()


def score(share, problems=200, seed=0):
    rng = Random(seed)
    return Score({f"p{i}": Result(rng.random() < share, True, 9) for i in range(problems)})


def flipped(before, wrong):
    """The same problems, `wrong` of the right ones now wrong."""
    results = dict(before.results)
    for key in [key for key, result in results.items() if result.right][:wrong]:
        results[key] = Result(False, False, 9)
    return Score(results)


EASY_BEFORE = {rung: score(0.99, 50, seed=place) for place, rung in enumerate(EASY)}


def test_a_better_band_and_held_easy_sizes_are_accepted():
    found = decide({BAND: score(0.6), **EASY_BEFORE}, {BAND: score(0.9, seed=1), **EASY_BEFORE}, [BAND], EASY, EXAM)
    assert found.accepted
    assert found.gain.low > 0
    assert found.p < 0.001
    assert "the band got better (+" in found.reason


def test_no_gain_or_one_within_chance_is_rejected():
    same = {BAND: score(0.6), **EASY_BEFORE}
    assert not decide(same, same, [BAND], EASY, EXAM).accepted
    slight = flipped(score(0.6), 0)
    results = dict(slight.results)
    for key in [key for key, result in results.items() if not result.right][:4]:
        results[key] = Result(True, True, 9)  # four more of 200: p = 0.125
    found = decide(same, {**same, BAND: Score(results)}, [BAND], EASY, EXAM)
    assert not found.accepted
    assert "did not get better" in found.reason


def test_a_worse_band_is_rejected_however_certain():
    found = decide({BAND: score(0.9)}, {BAND: score(0.5, seed=1)}, [BAND], [], EXAM)
    assert not found.accepted
    assert found.p < 0.001


def test_easy_sizes_that_may_have_lost_more_than_the_margin_are_a_reason_to_reject():
    lost = {rung: flipped(EASY_BEFORE[rung], 1) for rung in EASY}  # 2 points of 250, but who knows
    found = decide({BAND: score(0.5), **EASY_BEFORE}, {BAND: score(0.9, seed=1), **lost}, [BAND], EASY, EXAM)
    assert not found.accepted
    assert "may have lost more than 2%" in found.reason


def test_a_single_easy_size_that_fell_is_named():
    many = {rung: score(0.99, 1000, seed=place) for place, rung in enumerate(EASY)}
    lost = {**many, EASY[2]: flipped(many[EASY[2]], 12)}  # 0.24 points pooled, far below the margin
    found = decide({BAND: score(0.5), **many}, {BAND: score(0.9, seed=1), **lost}, [BAND], EASY, EXAM)
    assert found.easy.holds
    assert not found.accepted
    assert found.fallen == ("add 3",)


def test_only_problems_that_both_answered_count():
    few = Score(dict(list(score(0.9, seed=1).results.items())[:40]))
    found = decide({BAND: score(0.2)}, {BAND: few}, [BAND], [], EXAM)
    assert found.accepted  # on the 40 that both have
    assert not decide({BAND: score(0.2)}, {}, [BAND], [], EXAM).accepted


def test_a_candidate_equal_to_its_base_is_almost_never_accepted():
    accepted = 0
    for seed in range(200):
        before, after = score(0.5, 200, seed), score(0.5, 200, seed + 1000)
        accepted += decide({BAND: before}, {BAND: after}, [BAND], [], EXAM).accepted
    assert accepted <= 12  # one-sided 2.5% of 200 is 5


def test_small_losses_may_not_add_up_since_the_first_model():
    accepted = decide({BAND: score(0.5)}, {BAND: score(0.9, seed=1)}, [BAND], [], EXAM)
    lost = {rung: flipped(EASY_BEFORE[rung], 2) for rung in EASY}
    assert against_the_first(accepted, EASY_BEFORE, EASY_BEFORE, EASY, EXAM).accepted
    found = against_the_first(accepted, EASY_BEFORE, lost, EASY, EXAM)
    assert not found.accepted
    assert "since the first model" in found.reason
