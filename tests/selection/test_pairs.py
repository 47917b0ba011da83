"""Which traces are set against which."""

from itertools import islice, product
from math import log
from random import Random

import pytest

from openstrawberry.selection.pairs import beginning, combinations, offset, trace_pairs
from openstrawberry.trace import Trace
from tests.selection.making import offered, problem, trace

ASKED = problem()
SIZE = ("", 0.0)


def told(steps: int, status: str, sample: int, **fields: object) -> Trace:
    words = [f"{status} {sample} step {number}" for number in range(steps)]
    return trace(ASKED, words, status, sample=sample, **fields)


def pairs(right: list[Trace], wrong: list[Trace], skewed: bool = True, flat: bool = False) -> list[tuple[int, int]]:
    """The samples that pair up."""
    made = trace_pairs(ASKED.id, SIZE, map(offered, right), map(offered, wrong), skewed, flat)
    return [(good.source.entry.sample, bad.source.entry.sample) for _, good, bad in made]


def test_the_offset_is_the_log_of_how_much_longer_the_wrong_trace_is() -> None:
    assert offset(1.0, 10, 20) == pytest.approx(log(2))
    assert offset(0.5, 10, 20) == pytest.approx(log(2) / 2)
    assert offset(1.0, 20, 10) == 0.0
    assert offset(1.0, 10, 10) == 0.0


@pytest.mark.parametrize(("chosen", "rejected"), list(product((0, 1, 7, 300), repeat=2)))
def test_without_skew_no_pair_has_an_offset(chosen: int, rejected: int) -> None:
    assert offset(0.0, chosen, rejected) == 0.0


def test_the_shortest_right_meets_the_longest_wrong() -> None:
    right = [told(steps, "correct", sample) for sample, steps in enumerate([5, 3, 9])]
    wrong = [told(steps, "incorrect", sample) for sample, steps in enumerate([4, 8, 6], start=3)]
    assert pairs(right, wrong)[:3] == [(1, 4), (0, 5), (2, 3)]


def test_without_skew_traces_meet_in_the_order_of_their_samples() -> None:
    right = [told(steps, "correct", sample) for sample, steps in enumerate([5, 3, 9])]
    wrong = [told(steps, "incorrect", sample) for sample, steps in enumerate([4, 8, 6], start=3)]
    assert pairs(right, wrong, skewed=False)[:3] == [(0, 3), (1, 4), (2, 5)]


def test_equal_steps_keep_the_order_of_their_samples() -> None:
    right = [told(4, "correct", sample) for sample in range(3)]
    wrong = [told(6, "incorrect", sample) for sample in range(3, 5)]
    assert pairs(right, wrong)[:3] == [(0, 3), (1, 4), (2, 3)]


@pytest.mark.parametrize(("rights", "wrongs"), list(product(range(5), repeat=2)))
def test_no_trace_comes_again_before_its_side_is_through(rights: int, wrongs: int) -> None:
    right = [told(2, "correct", sample) for sample in range(rights)]
    wrong = [told(2, "incorrect", sample + 10) for sample in range(wrongs)]
    made = pairs(right, wrong)
    assert len(made) == len(set(made)) == rights * wrongs
    for count in range(len(made)):
        for side, members in ((0, rights), (1, wrongs)):
            used = [sum(pair[side] == sample for pair in made[:count]) for sample in {pair[side] for pair in made}]
            assert max(used) - min(used) <= 1 + max(rights, wrongs) // members
    assert list(combinations([], [])) == []


def test_the_prompt_ends_in_the_last_user_turn_that_both_share() -> None:
    one = offered(trace(ASKED, ["same", "left"], nudges=["Next?"])).turns
    other = offered(trace(ASKED, ["same", "right"], nudges=["Next?"])).turns
    nudged = offered(trace(ASKED, ["same", "right"], nudges=["Sure?"])).turns
    assert beginning(one, other) == 4
    assert beginning(one, nudged) == 2
    assert one[1][0] == "user"


def test_traces_of_different_beginnings_do_not_pair_unless_flat() -> None:
    right = [told(3, "correct", 0)]
    wrong = [told(3, "incorrect", 1, system="Other words.")]
    assert pairs(right, wrong) == []
    assert pairs(right, wrong, flat=True) == [(0, 1)]


def test_a_trace_without_a_system_prompt_pairs_up() -> None:
    assert pairs([told(2, "correct", 0, system=None)], [told(3, "incorrect", 1, system=None)]) == [(0, 1)]


def test_equal_conversations_make_no_pair() -> None:
    assert pairs([trace(ASKED, ["a"])], [trace(ASKED, ["a"], "incorrect", sample=1)]) == []


def test_whatever_is_drawn_each_pair_has_a_right_and_a_wrong_side_and_a_common_prompt() -> None:
    for seed in range(30):
        random = Random(seed)
        made = [told(random.randint(1, 9), random.choice(["correct", "incorrect"]), sample) for sample in range(12)]
        right = [offered(each) for each in made if each.correct]
        wrong = [offered(each) for each in made if not each.correct]
        for pick, good, bad in islice(trace_pairs(ASKED.id, SIZE, right, wrong, bool(seed % 2)), 50):
            assert (good.kind, bad.kind) == ("right", "wrong")
            assert good.turns[: pick.prompt] == bad.turns[: pick.prompt]
            assert good.turns[pick.prompt - 1][0] == "user"
            assert good.turns[-1][0] == bad.turns[-1][0] == "assistant"
