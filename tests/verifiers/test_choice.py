"""The same letter of a multiple-choice question."""

import asyncio
import random

import pytest

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.choice import Choice

QUESTION = "Which city is the capital of France?\n\nA. Rome\nB. Paris\nC. Berlin (West)\nD. Paris and Rome"


def status(known: str, answer: str, question: str = QUESTION) -> str:
    return asyncio.run(Choice().verify(Problem(question=question, answer=known, verifier="choice"), answer)).status


@pytest.mark.parametrize(
    "answer",
    [
        *("B", "b", "(B)", "(b)", "B.", "B)", "B:", "B) Paris", "(b) paris", "B. Paris.", "Paris", "paris.", "**B**"),
        *(
            "option B",
            "Answer: B",
            "The answer is B",
            "the answer is (B).",
            "The correct answer is B. Paris",
            "Choice b",
        ),
        *(
            "B) because it is the seat of government",
            "B, the capital of France"[:1],
            "B!",
            "**B",
            "the answer is **B**.",
        ),
        *("B) it is a capital", "(B), as its x is y", "B. The answer is B", "B) it is not in Italy"),
    ],
)
def test_the_letter_or_the_text_of_the_option_is_right(answer: str) -> None:
    assert status("B", answer) == "correct"


@pytest.mark.parametrize(
    "answer",
    [
        *(
            "A",
            "C",
            "D",
            "Rome",
            "Paris and Rome",
            "A or B",
            "(B) and (C)",
            "B) Rome",
            "a city",
            "BB",
            "E",
            "?",
            "Parisian",
        ),
        *(
            "B) is wrong. The answer is C",
            "B. wait, it's C",
            "B) is wrong",
            "B. Actually, (A).",
            "B. The answer is (A)",
        ),
    ],
)
def test_another_letter_two_letters_or_none_is_wrong(answer: str) -> None:
    assert status("B", answer) == "incorrect"


def test_the_known_answer_may_be_the_text_of_an_option() -> None:
    assert status("Paris", "b") == "correct"
    assert status("Madrid", "b") == "unknown"


def test_letters_are_compared_even_where_no_options_can_be_read() -> None:
    assert status("B", "(b)", question="See the picture.") == "correct"
    assert status("B", "c", question="See the picture.") == "incorrect"


def test_an_empty_answer_is_no_answer() -> None:
    assert status("B", " ") == "no_answer"


def test_nothing_a_model_writes_makes_it_raise() -> None:
    rng = random.Random(2)
    pieces = [*"ABCab().:,&/[]*$ \n", " and ", " or ", "answer is ", "Paris", "\x00", "\ud800"]
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randrange(9)))
        assert status("B", text) in ("correct", "incorrect", "no_answer")
    for piece in pieces:
        assert status("B", piece * 200_000) in ("correct", "incorrect", "no_answer")
