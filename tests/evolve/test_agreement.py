"""An answer is what several solvers agree on, as the verifiers see it."""

import asyncio
from collections.abc import Sequence

import pytest

from openstrawberry.evolve.agreement import Agreement, agreed, solved, unsolved
from openstrawberry.verifiers.catalogue import Verifiers

LETTERS = "Which is a fruit?\n\nA. a berry\nB. a table"


def vote(answers: Sequence[str], question: str = "How much is it?") -> Agreement:
    async def session() -> Agreement:
        async with Verifiers() as verifiers:
            return await agreed(question, answers, verifiers.verify)

    return asyncio.run(session())


@pytest.mark.parametrize(
    ("answers", "answer", "votes"),
    [
        (["7", "7.0", "x = 7", "8", ""], "7", 3),
        (["1/2", "0.5", "50%", "5", "0.5"], "0.5", 4),
        (["24 pens", "24", "24 pens.", "25"], "24", 3),
        (["50%", "50", "0.5", "0.50"], "50%", 3),
        (["13", "3", "3", "13 or 3", "30"], "3", 2),
        (["Friday", "friday.", "Saturday"], "Friday", 2),
        (["8", "7"], "8", 1),
        (["", " ", ""], "", 0),
        (["x" * 300, "x" * 300], "", 0),
        (["It cannot be determined.", "cannot be determined", "Not enough information", "7", "7"], "7", 2),
        (["I don't know", "unknown", "It can't be uniquely determined", "Sorry, I can't help with that."], "", 0),
        (["Cannot be determined"] * 5, "", 0),
        (["The Unknown", "the unknown", "knot", "none"], "The Unknown", 2),
    ],
)
def test_answers_that_a_verifier_takes_for_one_are_one_vote(answers: list[str], answer: str, votes: int) -> None:
    found = vote(answers)
    assert (found.answer, found.votes, found.solvers) == (answer, votes, len(answers))


def test_expressions_agree_by_what_they_mean() -> None:
    found = vote([r"\frac{x+1}{2}", "(1+x)/2", r"$\frac{1}{2}(x+1)$", "x"])
    assert found.votes == 3


def test_options_agree_by_letter() -> None:
    assert vote(["A", "(A)", "a", "B"], LETTERS).votes == 3
    assert unsolved(LETTERS).verifier == solved(LETTERS, "A").verifier == "choice"


def test_solvers_without_an_answer_count_against_agreement() -> None:
    assert vote(["7", "7", "7", "7", ""]).holds(0.8)
    assert not vote(["7", "7", "7", "", ""]).holds(0.8)
    assert not vote(["7"]).holds(0.6)  # one alone agrees with nobody


def test_what_the_question_itself_offers_is_an_answer() -> None:
    asked = "Who is taller? Say Ann, Bob, or cannot be determined."
    assert vote(["Cannot be determined", "cannot be determined", "Ann"], asked).votes == 2


def test_a_solver_sees_nothing_but_the_question() -> None:
    problem = unsolved("How much is it?")
    assert (problem.answer, problem.metadata, problem.source) == ("", "{}", "")
