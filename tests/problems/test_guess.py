"""Which verifier suits an answer."""

import random

import pytest

from openstrawberry.problems.guess import guess_verifier

OPTIONS = "Which?\nA. one\nB. two"


@pytest.mark.parametrize(
    ("answer", "verifier"),
    [
        *[(text, "numeric") for text in ("3", "-3", "1,234.50", "$12", "50%", "3/4", "1e-3", ".5", "$5$", r"\$5")],
        *[
            (text, "math")
            for text in (r"\frac{1}{2}", "x^2+1", "2x", "(1,2)", "[0, 1)", "x = y + 1", "sqrt(2)", "2*pi")
        ],
        *[(text, "math") for text in (r"\text{even}", "$x$", "10^6", "x_1", r"\infty", "3, 4", "a+b", "x < 3")],
        *[(text, "exact") for text in ("Paris", "12 apples", "yes", "a", "B", "2024-05-01", "3:1", "192.168.0.1", "")],
        *[(text, "exact") for text in ("New York, NY", "and/or", "C++ code", "true", "...", "-", "five", "u.s.a")],
    ],
)
def test_the_verifier_follows_the_form_of_the_answer(answer: str, verifier: str) -> None:
    assert guess_verifier("What is it?", answer) == verifier


def test_a_letter_is_a_choice_only_where_the_question_lists_it() -> None:
    assert guess_verifier(OPTIONS, "B") == "choice"
    assert guess_verifier(OPTIONS, "b") == "choice"
    assert guess_verifier(OPTIONS, "C") == "exact"
    assert guess_verifier("Which letter comes second?", "B") == "exact"


def test_any_text_gets_a_verifier() -> None:
    rng = random.Random(8)
    for _ in range(3000):
        text = "".join(rng.choices([*"019.,-+*/^=()[]{}$\\ xyzAB\n_%:", r"\frac", "pi", "\ud800"], k=rng.randrange(9)))
        assert guess_verifier(OPTIONS, text) in ("numeric", "choice", "math", "exact")
    for piece in ("1 ", "x", "(", "$", "pi ", "^"):
        assert guess_verifier("?", piece * 100_000) == "exact"
