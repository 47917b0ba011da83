"""From a row of any table to a problem."""

from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.problems.options import read_options, with_options
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.rows import Row, to_problems
from openstrawberry.problems.source import Request


def problem_of(fields: dict[str, Any], **options: Any) -> Problem:
    (problem,) = to_problems([Row("line 1", fields)], Request(place="", **options), "test.jsonl")
    return problem


def refusal(fields: dict[str, Any], **options: Any) -> str:
    with pytest.raises(SetupError) as caught:
        problem_of(fields, **options)
    return str(caught.value)


@pytest.mark.parametrize("question", ["question", "problem", "prompt", "input", "instruction", "Question"])
@pytest.mark.parametrize("answer", ["answer", "solution", "target", "output", "expected_answer", "label"])
def test_the_usual_columns_are_found(question: str, answer: str) -> None:
    problem = problem_of({question: "Who?", answer: "I"})
    assert (problem.question, problem.answer) == ("Who?", "I")


def test_other_columns_can_be_named_and_the_error_says_how() -> None:
    fields = {"text": "Who?", "gold": "I", "answer": "x"}
    assert problem_of(fields, question_column="text", answer_column="gold").answer == "I"
    sentence = refusal(fields)
    assert "the columns are 'text', 'gold', 'answer'" in sentence
    assert "--question-column" in sentence
    assert "did you mean 'text'" in refusal(fields, question_column="txt")


@pytest.mark.parametrize(
    ("value", "answer"),
    [(3, "3"), (True, "true"), (0.25, "0.25"), (10**30, "1" + "0" * 30), (["a", "b"], "a"), (" x ", "x")],
)
def test_answers_of_other_kinds_become_text(value: object, answer: str) -> None:
    assert problem_of({"question": "?", "answer": value}).answer == answer


def test_further_answers_of_a_list_are_accepted_ones() -> None:
    assert problem_of({"question": "?", "answer": ["USA", "US", 1]}).meta() == {"accepted_answers": ["US", "1"]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "", {}, object(), [None]])
def test_what_is_no_answer_is_refused(value: object) -> None:
    assert "column 'answer'" in refusal({"question": "?", "answer": value})


def test_difficulty_metadata_and_id_are_kept() -> None:
    fields = {"question": "?", "answer": 1, "difficulty": "3", "metadata": {"a": [1]}, "id": 7}
    problem = problem_of(fields)
    assert (problem.difficulty, problem.meta()) == (3.0, {"a": [1], "id": 7})
    assert problem_of({**fields, "metadata": '{"b": 1}', "difficulty": "hard", "id": None}).meta() == {
        "b": 1,
        "difficulty": "hard",
    }
    assert problem_of({**fields, "metadata": "a note"}).meta()["metadata"] == "a note"
    assert "NaN" in refusal({**fields, "metadata": {"x": float("nan")}})


def test_the_verifier_is_the_forced_one_or_the_rows_own_or_a_guess() -> None:
    fields = {"question": "?", "answer": 1, "verifier": "exact"}
    assert problem_of(fields).verifier == "exact"
    assert problem_of(fields, verifier="math").verifier == "math"
    assert problem_of({**fields, "verifier": ""}).verifier == "numeric"
    sentence = refusal({**fields, "verifier": "numerik"}, known_verifiers=["exact", "numeric"])
    assert "column 'verifier'" in sentence
    assert "did you mean 'numeric'" in sentence


OPTIONS = ["red", "green", "blue"]


@pytest.mark.parametrize("answer", ["B", "b", "(B)", "green", 1])
@pytest.mark.parametrize("options", [OPTIONS, '["red", "green", "blue"]', {"label": ["A", "B", "C"], "text": OPTIONS}])
def test_options_are_written_into_the_question_and_the_answer_is_a_letter(answer: object, options: object) -> None:
    problem = problem_of({"question": "Which?", "answer": answer, "choices": options})
    assert problem.question == "Which?\n\nA. red\nB. green\nC. blue"
    assert (problem.answer, problem.verifier) == ("B", "choice")


def test_options_that_the_question_lists_already_are_not_listed_again() -> None:
    question = with_options("Which?", OPTIONS)
    assert problem_of({"question": question, "answer": "C", "options": OPTIONS}).question == question


@pytest.mark.parametrize("answer", ["D", "yellow", 3, -1])
def test_an_answer_that_is_no_option_is_refused(answer: object) -> None:
    assert "column 'answer'" in refusal({"question": "Which?", "answer": answer, "choices": OPTIONS})


def test_a_number_that_may_be_a_position_or_an_option_is_refused() -> None:
    assert "write its letter" in refusal({"question": "Which?", "answer": 1, "choices": ["1", "2", "3"]})
    assert problem_of({"question": "Which?", "answer": 1, "choices": ["0", "1", "2"]}).answer == "B"


@pytest.mark.parametrize("options", ["red, green", ["red"], 3, [None, "x"]])
def test_options_that_are_no_list_are_refused(options: object) -> None:
    assert "column 'choices'" in refusal({"question": "Which?", "answer": "A", "choices": options})


def test_options_read_back_as_they_were_written() -> None:
    for texts in (["a", "b"], ["A. x", "(B) y", "c) z"], ["1", "2", "3", "4", "5"], [f"text {n}" for n in range(26)]):
        letters = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", texts, strict=False))
        assert read_options(with_options("Which of A. and B. is it?", texts)) == letters


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("Which? (A) red (B) green (C) blue", 3),
        ("Which?\n(a) red\n(b) green", 2),
        ("Which?\nA: red\nB: green", 2),
        ("Which?\n- A) red\n- B) green", 2),
        ("Give vitamin A. Then stop.", 0),
        ("A. Smith went home.", 0),
        ("No options", 0),
    ],
)
def test_options_are_read_in_their_usual_forms(question: str, count: int) -> None:
    assert len(read_options(question)) == count
