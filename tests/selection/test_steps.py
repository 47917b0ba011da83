"""Whether a trace came to its answer by right steps."""

import pytest

from openstrawberry.selection.steps import Guard, is_clean, told_in_steps
from tests.selection.making import SUMS, clean_replies, problem, sum_problem, trace, turn, whole

ITEM = SUMS[0]
ASKED = sum_problem(ITEM)


def test_right_steps_are_clean_and_a_lucky_answer_is_not() -> None:
    assert is_clean(trace(ASKED, clean_replies(ITEM, checks=1))) is True
    assert is_clean(trace(ASKED, [clean_replies(ITEM)[0], clean_replies(ITEM)[-1]])) is False
    assert is_clean(trace(problem(), ["a", "b"])) is None


def test_the_lines_of_a_single_reply_are_its_steps() -> None:
    assert is_clean(trace(ASKED, ["\n".join(clean_replies(ITEM)) + "\n"])) is True


def test_examples_that_no_model_wrote_are_no_steps() -> None:
    turns = [turn("user", "2+2?", -1), turn("assistant", "4", 0), turn("user", ASKED.question, 1),
             turn("assistant", "\n".join(clean_replies(ITEM)), 2, model="berry")]  # fmt: skip
    assert is_clean(whole(ASKED, turns, (0, 1, 2, 3))) is True


def test_only_the_path_counts() -> None:
    replies = clean_replies(ITEM)
    told = trace(ASKED, replies)
    astray = turn("assistant", "99+1+0=100. Left nothing", 1, model="berry")
    assert is_clean(whole(ASKED, [*told.messages, astray], told.path)) is True


def test_the_step_language_is_known_by_its_first_line() -> None:
    assert told_in_steps(trace(ASKED, clean_replies(ITEM)))
    assert not told_in_steps(trace(ASKED, ["Let me think.", *clean_replies(ITEM)]))
    assert not told_in_steps(trace(problem(), ["a"]))
    assert not told_in_steps(whole(ASKED, [], ()))


@pytest.mark.parametrize(
    ("mode", "told", "admitted"),
    [
        (None, True, [True, False, True]),
        (None, False, [True, True, True]),
        (True, True, [True, False, False]),
        (True, False, [True, False, False]),
        (False, True, [True, True, True]),
    ],
)
def test_the_guard_asks_where_it_can_know_unless_told_otherwise(
    mode: bool | None, told: bool, admitted: list[bool]
) -> None:
    assert [Guard(mode, told).admits(clean) for clean in (True, False, None)] == admitted
