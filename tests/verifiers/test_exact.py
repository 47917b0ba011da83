"""The same text, but for what no reader would call a difference."""

import asyncio
import random

import pytest

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.exact import Exact


def status(known: str, answer: str, metadata: str = "{}") -> str:
    return asyncio.run(Exact().verify(Problem(question="?", answer=known, metadata=metadata), answer)).status


@pytest.mark.parametrize(
    ("known", "answer"),
    [
        ("Paris", "paris"),
        ("Paris", " Paris. "),
        ("Paris", "'Paris'"),
        ("Paris", "**Paris**"),
        ("New York", "new\n  york"),
        ("Straße", "STRASSE"),
        ("café", "cafe\u0301"),
        ("it's", "it’s"),
        ("ﬁne", "fine"),
        ("...", "..."),
        ("C++", "c++"),
        ("Hello", "hello!"),
        ("no", "No!"),
        ("Paris", '"**Paris!**".'),
        ("x²", "X²"),
    ],
)
def test_case_spaces_quotes_and_a_full_stop_do_not_count(known: str, answer: str) -> None:
    assert status(known, answer) == "correct"


@pytest.mark.parametrize(
    ("known", "answer"),
    [
        ("3", "13"),
        ("Paris", "Paris, France"),
        ("Paris", "the Paris"),
        ("cat", "cats"),
        ("C", "C++"),
        ("ab", "ba"),
        ("a", "A B"),
        ("n!", "n"),
        ("(n-1)!", "(n-1)"),
        ("5", "5!"),
        ("y'", "y"),
        ("102", "10²"),
        ("x2", "x₂"),
        ("51/2", "5½"),
    ],
)
def test_everything_else_counts(known: str, answer: str) -> None:
    assert status(known, answer) == "incorrect"


def test_an_empty_answer_is_no_answer() -> None:
    assert status("x", " \n") == "no_answer"


def test_further_accepted_answers_count() -> None:
    assert status("USA", "united states", '{"accepted_answers": ["United States"]}') == "correct"
    for broken in ('{"accepted_answers": 3}', '{"accepted_answers"', '["accepted_answers"]'):
        assert status("USA", "u", broken) == "incorrect"


def test_nothing_a_model_writes_makes_it_raise() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        text = "".join(chr(rng.randrange(0x11000)) for _ in range(rng.randrange(6)))
        assert status("x", text) in ("correct", "incorrect", "no_answer")
    assert status("x", "é" * 1_000_000) == "incorrect"
