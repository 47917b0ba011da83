"""The card's measure: what counts as right, and a schedule that does not depend on the clock."""

from random import Random

from openstrawberry.berry.evaluate import FINAL_EVERY, Trace, user_turn
from openstrawberry.berry.tokenizer import FINAL, FIRST, NEXT, SURE
from openstrawberry.problems import procedures
from openstrawberry.problems.families import Addition

ITEM = Addition(8, 5)


def test_a_trace_is_right_by_its_answer_alone_and_clean_by_its_steps_as_well():
    clean = (*procedures.lines(ITEM), procedures.final(ITEM))
    assert (Trace(ITEM, clean, 0).passed, Trace(ITEM, clean, 0).clean) == (True, True)
    lucky = Trace(ITEM, ("<final_answer>13</final_answer>",), 0)
    assert (lucky.passed, lucky.clean) == (True, False)


def test_thirteen_does_not_match_three_and_silence_is_no_answer():
    assert not Trace(ITEM, ("<final_answer>3</final_answer>",), 0).passed
    assert not Trace(ITEM, ("13",), 0).passed


def test_the_schedule_asks_for_the_answer_every_ninth_turn():
    rng = Random(0)
    asked = [user_turn(rng, ITEM, turn) for turn in range(30)]
    assert asked[0] == ITEM.question() + FIRST
    assert [turn for turn, text in enumerate(asked) if text == FINAL] == [FINAL_EVERY, 2 * FINAL_EVERY, 3 * FINAL_EVERY]
    assert set(asked) & set(NEXT)
    assert set(asked) & set(SURE)
