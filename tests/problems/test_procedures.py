"""The step language: the lines are a correct procedure, and the judge tells clean traces from lucky ones."""

from itertools import islice

import pytest

from openstrawberry.problems.families import FAMILIES, Addition, LetterCount, generate
from openstrawberry.problems.procedures import NOT_YET, check, final, judge, lines

ITEM = Addition(48, 67)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [3, 7, 20])
def test_the_procedure_ends_with_the_answer_and_is_clean(family, size):
    for item in islice(generate(family, size), 50):
        steps = lines(item)
        assert steps[-1].endswith(f" {item.answer}")
        assert judge(item, [*steps, final(item)]).clean
        assert judge(item, [*steps[:-1], final(item)]).clean


def test_each_step_restates_the_state():
    assert lines(ITEM) == [
        "Left 48+67, carry 0, got nothing",
        "8+7+0=15. Left 4+6, carry 1, got 5",
        "4+6+1=11. Left 0+0, carry 1, got 15",
        "0+0+1=1. Left 0+0, carry 0, got 115",
        "Done. Got 115",
    ]
    assert lines(LetterCount("ery", "r"))[1:3] == ["e is not r. Count 0. Left ry", "r is r. Count 1. Left y"]


def test_checks_refusals_and_saying_done_again_are_clean():
    a, b, c, d, done = lines(ITEM)
    turns = [a, check(a), NOT_YET, b, c, check(c), check(c), d, done, check(done), done]
    assert judge(ITEM, [*turns, final(ITEM)]).clean


def test_a_wrong_step_that_is_repaired_leaves_a_right_answer_and_an_unclean_trace():
    a, b, c, d, _ = lines(ITEM)
    found = judge(ITEM, [a, b.replace("carry 1", "carry 0"), check(b), c, d, final(ITEM)])
    assert found.right == (True, False, True, True, True, True)
    assert not found.clean


def test_a_check_that_overlooks_a_wrong_step_is_wrong():
    a, b, *_ = lines(ITEM)
    wrong = b.replace("carry 1", "carry 0")
    assert judge(ITEM, [a, wrong, check(wrong)]).right == (True, False, False)


def test_a_step_that_builds_on_a_wrong_one_is_wrong():
    a, b, c, *_ = lines(ITEM)
    assert judge(ITEM, [a, b.replace("carry 1", "carry 0"), c]).right == (True, False, False)


def test_a_lucky_answer_is_not_clean():
    assert not judge(ITEM, [final(ITEM)]).clean
    assert not judge(ITEM, [*lines(ITEM)[:2], final(ITEM)]).clean


def test_a_refusal_after_the_end_is_wrong():
    assert judge(ITEM, [*lines(ITEM)[:4], NOT_YET]).right[-1] is False


def test_a_trace_without_an_answer_is_not_clean():
    assert not judge(ITEM, lines(ITEM)).clean
    assert not judge(ITEM, []).clean
