"""What must stay unseen."""

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.selection.heldout import TEMPLATE, Heldout
from tests.selection.making import HELD_OUT, SUMS, problem, sum_problem

LONG = "A farmer has twelve cows and sells five of them on Monday before buying three more at the market on Friday."
EVALUATION = [problem("How many moons has Mars?", "2"), problem(f"{LONG} How many cows are left?", "10")]
HELDOUT = Heldout(EVALUATION)


def seen(asked: Problem, heldout: Heldout = HELDOUT) -> str:
    return heldout.seen(asked.id, asked.question)


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("How many moons has Mars?", "evaluated"),
        ("how many  MOONS has\nmars?", "evaluated"),
        ("How many moons has Mars", "contaminated"),
        ("How many moons has Venus?", ""),
        (f"{LONG} How many cows were there at most?", "contaminated"),
        ("Surely you know this one. " + LONG.replace(".", "!"), "contaminated"),
        (LONG.replace("cows", "sheep").replace("Monday", "Sunday"), ""),
        ("", ""),
    ],
)
def test_equal_questions_are_evaluated_and_alike_ones_contaminated(question: str, why: str) -> None:
    assert seen(problem(question, "9")) == why


def test_the_same_content_is_the_same_problem() -> None:
    assert seen(EVALUATION[0]) == "evaluated"


def test_without_ngrams_only_whole_questions_count() -> None:
    heldout = Heldout(EVALUATION, ngram=0)
    assert seen(problem(f"{LONG} And?", "9"), heldout) == ""
    assert seen(problem("How many moons has Mars", "9"), heldout) == ""
    assert seen(problem("How many moons has Mars?", "9"), heldout) == "evaluated"


def test_a_template_that_many_evaluation_questions_share_is_no_content() -> None:
    rows = [problem(f"{LONG} Number {number}, please?", "9") for number in range(TEMPLATE + 1)]
    assert seen(problem(f"{LONG} Another?", "9"), Heldout(rows)) == ""
    assert seen(problem(f"{LONG} Another?", "9"), Heldout(rows[:-1])) == "contaminated"
    assert seen(problem(f"{LONG} Another?", "9"), Heldout(rows[:-1] * 5)) == "contaminated"


def test_the_held_out_side_of_the_built_in_families_is_always_out() -> None:
    nothing = Heldout()
    assert seen(sum_problem(HELD_OUT), nothing) == "held out"
    assert seen(problem(f"  what is {HELD_OUT.a}  + {HELD_OUT.b}? ", "1"), nothing) == "held out"
    assert all(seen(sum_problem(item), nothing) == "" for item in SUMS)


def test_an_evaluation_set_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SetupError, match=r"evaluation set nowhere\.jsonl cannot be read"):
        Heldout.load(["nowhere.jsonl"], 13)
