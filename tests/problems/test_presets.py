"""Public benchmarks read from files of a person's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.problems.load import PRESET_NAMES, load_problems
from openstrawberry.problems.options import read_options
from openstrawberry.problems.presets import PRESETS
from openstrawberry.problems.problem import Problem

GPQA = {
    "Question": "Which gas?",
    "Correct Answer": "argon\n",
    "Incorrect Answer 1": "neon",
    "Incorrect Answer 2": "xenon",
    "Incorrect Answer 3": "radon",
    "Record ID": "r1",
}
MMLU = {
    "question_id": 70,
    "question": "Which?",
    "options": ["w", "x", "y", "z", "N/A"],
    "answer": "C",
    "category": "law",
}
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": "def one():\n",
    "canonical_solution": "    return 1\n",
    "test": "def check(f): assert f() == 1",
    "entry_point": "one",
}
MBPP = {"task_id": 2, "text": "Return 1.", "code": "def one(): return 1", "test_list": ["assert one() == 1"]}


def load(folder: Path, preset: str, *rows: dict[str, Any], **options: Any) -> list[Problem]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(load_problems(f"{preset}@{path}", **options))


def test_the_names_that_are_offered_are_the_presets() -> None:
    assert set(PRESET_NAMES) == set(PRESETS)


def test_gsm8k_answers_stand_after_four_hashes(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, "gsm8k", {"question": "How much?", "answer": "a <<1+1=2>> b\n#### 1,234"})
    assert (problem.answer, problem.verifier, problem.source) == ("1234", "numeric", "gsm8k")
    with pytest.raises(SetupError, match="line 1, column 'answer': it does not end in '#### number'"):
        load(tmp_path, "gsm8k", {"question": "How much?", "answer": "2"})


def test_math_answers_stand_in_the_last_box(tmp_path: Path) -> None:
    row = {
        "problem": "Find.",
        "solution": r"So \boxed{1} or \boxed{\frac{1}{2}}.",
        "level": "Level 5",
        "type": "Algebra",
    }
    (problem,) = load(tmp_path, "math", row)
    assert (problem.answer, problem.verifier, problem.difficulty) == (r"\frac{1}{2}", "math", 5.0)
    assert problem.meta()["subject"] == "Algebra"
    with pytest.raises(SetupError, match="column 'solution'"):
        load(tmp_path, "math", {**row, "solution": "none"})


def test_math500_and_aime_name_their_answer(tmp_path: Path) -> None:
    row = {"problem": "Find.", "solution": "", "answer": "x", "level": 3, "subject": "Algebra", "unique_id": "a/1.json"}
    (problem,) = load(tmp_path, "math500", row)
    assert (problem.answer, problem.difficulty, problem.meta()["id"]) == ("x", 3.0, "a/1.json")
    (problem,) = load(tmp_path, "aime", {"id": 60, "problem": "Find.", "answer": "073", "year": "2024"})
    assert (problem.answer, problem.verifier, problem.meta()) == ("073", "numeric", {"id": 60, "year": "2024"})


@pytest.mark.parametrize(("preset", "row", "right"), [("gpqa", GPQA, "argon"), ("mmlu-pro", MMLU, "y")])
def test_options_are_shuffled_the_same_way_every_time(
    tmp_path: Path, preset: str, row: dict[str, Any], right: str
) -> None:
    (problem,) = load(tmp_path, preset, row)
    options = read_options(problem.question)
    assert len(options) == 4
    assert options[problem.answer] == right
    assert problem.verifier == "choice"
    assert load(tmp_path, preset, row) == [problem]
    column = "Question" if preset == "gpqa" else "question"
    letters = {one.answer for one in load(tmp_path, preset, *({**row, column: f"Which {n}?"} for n in range(40)))}
    assert letters == set("ABCD")


def test_code_benchmarks_keep_their_tests(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, "humaneval", HUMANEVAL)
    assert problem.verifier == "code"
    assert problem.meta()["entry_point"] == "one"
    (problem,) = load(tmp_path, "mbpp", MBPP)
    assert problem.meta()["tests"] == "assert one() == 1"
    assert "assert one() == 1" in problem.question


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_row_of_another_benchmark_is_refused_by_its_missing_column(tmp_path: Path, preset: str) -> None:
    with pytest.raises(SetupError, match=r"line 1, column '.*': it is missing; the columns are 'x'"):
        load(tmp_path, preset, {"x": 1})


def test_a_misspelt_benchmark_gets_the_nearest_name() -> None:
    with pytest.raises(SetupError, match="did you mean 'gsm8k'"):
        load_problems("gsm8")
