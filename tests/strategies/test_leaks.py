"""What gives away that somebody had been told the answer, and what does not."""

import pytest

from openstrawberry.strategies.leaks import leak
from tests.making import PROBLEM

REASONED = "Straw has one r, and berry has an r, an r more and a y. "
LEAKING = [
    "As the hint says, there are three.",
    "Using this hint, I count three.",
    "The given answer is 3.",
    "This agrees with the provided final answer.",
    "Since we know the answer is 3, let us see why.",
    "We are told that the answer is three.",
    "You gave the answer, so I only check it.",
    "I already know the correct answer.",
    "The answer is supposed to be 3.",
    "It matches the expected result.",
    "The correct answer was given as 3.",
    "The expected answer is 3.",
    "Working backwards from the result, there are three.",
    "The note says three.",
    "I will pretend that I do not know it.",
]
CLEAN = [
    "So the correct answer is 3.",
    "The answer is given by the sum of both counts.",
    "A known result says that letters can be counted one by one.",
    "It is given that the word is strawberry.",
    "A hint would be to spell the word.",
    "The final result matches my first count.",
    "As stated in the question, only r counts.",
    "We know that berry holds two.",
    "The solution is shorter this way.",
    "The result is shown below, and the given solution of the first part is used.",
]


@pytest.mark.parametrize("text", LEAKING)
def test_speaking_of_the_hint_gives_it_away(text: str) -> None:
    assert leak([REASONED + text], PROBLEM)


@pytest.mark.parametrize("text", CLEAN)
def test_ordinary_reasoning_does_not(text: str) -> None:
    assert leak([REASONED + text + " <final_answer>3</final_answer>"], PROBLEM) == ""


@pytest.mark.parametrize(
    "said",
    [
        ["<final_answer>3</final_answer> since straw has one and berry has two, which makes it three."],
        ["The answer is 3. Straw has one r and berry has two of them, as one sees by spelling."],
        ["3\n\nStraw has one r and berry has two of them, as one sees by spelling the word."],
        ["**3**\nStraw has one r and berry has two of them, as one sees by spelling the word."],
        ["\\boxed{3}, because straw has one r and berry has two of them, as one sees by spelling."],
        ["So.", "<final_answer>3</final_answer>"],
        [""],
        [],
    ],
    ids=str,
)
def test_an_answer_before_any_reasoning_gives_it_away(said: list[str]) -> None:
    assert leak(said, PROBLEM) == "it states the answer before any reasoning"


@pytest.mark.parametrize(
    "said",
    [
        [REASONED + "The answer is 3."],
        ["Straw has one r.", "Berry has two of them.", "The answer is 3.", "<final_answer>3</final_answer>"],
        ["3 parts come to mind: st, raw and berry, of which the last two hold an r. That makes <final_answer>3"],
        ["The answer is 30 less than the number of days in a month, if one counts like this: 33."],
    ],
    ids=str,
)
def test_reasoning_that_comes_first_is_reasoning(said: list[str]) -> None:
    assert leak(said, PROBLEM) == ""


def test_words_of_the_question_give_nothing_away() -> None:
    asked = PROBLEM.model_copy(update={"question": "Which is the target answer in this puzzle?"})
    text = REASONED + "The target answer is the third."
    assert leak([text], PROBLEM)
    assert leak([text], asked) == ""


def test_looking_stays_fast_on_hostile_text() -> None:
    for text in (
        "the answer " * 10_000,
        "given " * 15_000,
        " " * 100_000,
        "answer: " + "a " * 100_000,
        "told the " * 10_000,
    ):
        leak([text], PROBLEM)
