"""How hard a problem is, and when enough samples of it are drawn."""

import pytest

from openstrawberry.selection.deciding import Decider
from openstrawberry.selection.difficulty import LEARNT, Band, PassRate, barely_solvable, family_of, outcome, tally
from openstrawberry.stats import wilson
from tests.selection.making import SUMS, clean_replies, problem, sum_problem, trace

STATUSES = ("correct", "incorrect", "no_answer", "timeout", "unknown")
STOPS = ("final_answer", "max_turns", "budget", "error", "refused", "truncated")


def test_only_a_judged_wrong_answer_is_wrong() -> None:
    wrong = [(status, stop) for status in STATUSES for stop in STOPS if outcome(status, stop) == "wrong"]
    assert wrong == [("incorrect", "final_answer")]


@pytest.mark.parametrize(
    ("status", "stop", "expected"),
    [
        ("correct", "final_answer", "right"),
        ("timeout", "final_answer", "void"),
        ("unknown", "final_answer", "void"),
        ("unknown", "error", "void"),
        ("no_answer", "budget", "void"),
        ("no_answer", "max_turns", "other"),
        ("unknown", "truncated", "other"),
        ("incorrect", "truncated", "other"),
        ("no_answer", "refused", "other"),
        ("no_answer", "final_answer", "other"),
    ],
)
def test_what_says_nothing_about_the_model_is_left_out_of_the_rate(status: str, stop: str, expected: str) -> None:
    assert outcome(status, stop) == expected


def test_running_out_of_turns_lowers_the_pass_rate_and_an_error_does_not() -> None:
    rate = PassRate("p", right=1, wrong=1, other=2, void=5)
    assert (rate.share, rate.judged, rate.drawn) == (0.25, 4, 9)
    assert rate.interval == wilson(1, 4)
    assert PassRate("p").share == 0.0
    assert PassRate("p").interval == (0.0, 1.0)


@pytest.mark.parametrize(
    ("rate", "holds"),
    [
        (PassRate("p", right=1, wrong=19), True),
        (PassRate("p", right=16, wrong=4), True),
        (PassRate("p", right=17, wrong=3), False),
        (PassRate("p", right=1, wrong=1, other=30), False),
        (PassRate("p", right=0, wrong=4), False),
        (PassRate("p", right=2, other=2), False),
    ],
)
def test_the_band_wants_a_right_and_a_wrong_sample_and_a_rate_between(rate: PassRate, holds: bool) -> None:
    assert Band().holds(rate) is holds


def test_sampling_stops_at_a_pair_at_the_last_sample_or_outside_the_band() -> None:
    band = Band()
    assert band.decided(PassRate("p", right=1, wrong=1), pair=True)
    assert not band.decided(PassRate("p", right=1, wrong=1), pair=False)
    assert not band.decided(PassRate("p", right=15), pair=False)
    assert band.decided(PassRate("p", right=16), pair=False)
    assert not band.decided(PassRate("p", wrong=19), pair=False)
    assert band.decided(PassRate("p", wrong=10, void=10), pair=False)
    assert Band(low=0.5).decided(PassRate("p", wrong=5), pair=False)
    assert not band.decided(PassRate("p"), pair=False)


def test_rates_are_kept_per_problem_and_per_size() -> None:
    add2, add3 = ("add", 2.0), ("add", 3.0)
    found = tally([("a", add2, "right"), ("b", add2, "wrong"), ("a", add2, "wrong"), ("c", add3, "other")])
    assert found.problems["a"] == PassRate("a", right=1, wrong=1)
    assert found.sizes == {add2: PassRate("", right=1, wrong=2), add3: PassRate("", other=1)}
    assert barely_solvable(found.problems, Band()) == ["a"]


def test_the_family_is_read_from_the_question() -> None:
    assert [family_of(text) for text in ("What is 1 + 2?", "Count the letter r in berry.", "Why?")] == [
        "add",
        "count",
        "",
    ]


def test_waves_depend_on_earlier_samples_only() -> None:
    asked = problem()
    decider = Decider(Band(samples=5))
    decider.add(trace(asked, ["a"], "correct", sample=3))
    decider.add(trace(asked, ["a"], "incorrect", sample=0))
    assert [decider.wants(asked.id, wave) for wave in range(5)] == [True, True, True, True, False]


def test_a_pair_needs_a_clean_trace_once_the_run_is_told_in_steps() -> None:
    item, other = SUMS[0], SUMS[1]
    asked = sum_problem(item)
    decider = Decider(Band(samples=9))
    decider.add(trace(asked, ["<final_answer>1</final_answer>"], "incorrect", sample=0))
    decider.add(trace(asked, [f"<final_answer>{item.answer}</final_answer>"], sample=1))
    decider.add(trace(sum_problem(other), clean_replies(other), sample=1))
    assert decider.wants(asked.id, 2)
    decider.add(trace(asked, clean_replies(item), sample=2))
    assert not decider.wants(asked.id, 3)


def test_a_model_with_words_of_its_own_needs_no_clean_trace() -> None:
    item = SUMS[0]
    asked = sum_problem(item)
    decider = Decider(Band(samples=9))
    decider.add(trace(asked, ["Well, that is", "<final_answer>1</final_answer>"], "incorrect", sample=0))
    decider.add(trace(asked, ["I would say", f"<final_answer>{item.answer}</final_answer>"], sample=1))
    assert not decider.wants(asked.id, 2)


def test_what_is_saved_counts_traces_and_their_usual_calls() -> None:
    asked = problem()
    decider = Decider(Band(samples=10))
    decider.add(trace(asked, ["a", "b", "c"], "correct", sample=0))
    decider.add(trace(asked, ["a"], "incorrect", sample=1))
    assert decider.saved() == (8, 16)


def test_right_only_with_a_hint_is_not_solved_and_worth_learning() -> None:
    assert outcome("correct", "final_answer", hinted=True) == "hinted"
    assert outcome("incorrect", "final_answer", hinted=True) == "wrong"
    assert "hinted" in LEARNT
    rate = PassRate("p", right=1).plus("hinted").plus("wrong")
    assert (rate.right, rate.hinted, rate.other, rate.judged, rate.share) == (1, 1, 1, 3, 1 / 3)
