r"""Public benchmarks by name: where each lives, and how its columns and answers become problems.

`gsm8k` reads the benchmark from the Hub; `gsm8k@FILE` reads the same columns from a file of your own. What always
holds: multiple-choice options are shuffled by a hash of the question, so that the order is the same on every machine
and in every run, and the right letter does not depend on how the benchmark's authors listed it; every problem says
which benchmark it came from.

Sources: GSM8K (Cobbe et al. 2021), MATH (Hendrycks et al. 2021) and its 500 test problems of Lightman et al. 2023, AIME
2024, GPQA (Rein et al. 2023, the diamond set), MMLU-Pro (Wang et al. 2024), HumanEval (Chen et al. 2021), MBPP (Austin
et al. 2021). The tests of the last two are kept in the metadata for the verifier `code`.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from openstrawberry.problems.boxed import last_boxed
from openstrawberry.problems.files import file_problems
from openstrawberry.problems.hub import hub_rows
from openstrawberry.problems.options import LETTERS, with_options
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.rows import BadRow, Row, to_problems
from openstrawberry.problems.source import Request

Fields = Mapping[str, Any]


def _need(fields: Fields, *columns: str) -> list[Any]:
    for column in columns:
        if column not in fields:
            raise BadRow(f"column {column!r}: it is missing; the columns are {', '.join(map(repr, fields)) or 'none'}.")
        if fields[column] is None:
            raise BadRow(f"column {column!r}: it is null.")
    return [fields[column] for column in columns]


def _gsm8k(fields: Fields) -> Fields:
    question, answer = _need(fields, "question", "answer")
    _, mark, result = str(answer).rpartition("####")
    if not mark:
        raise BadRow("column 'answer': it does not end in '#### number', as GSM8K answers do.")
    return {"question": question, "answer": result.strip().replace(",", ""), "verifier": "numeric"}


def _math(fields: Fields) -> Fields:
    (question,) = _need(fields, "problem")
    answer = fields.get("answer")
    if answer is None:
        (solution,) = _need(fields, "solution")
        answer = last_boxed(str(solution))
        if answer is None:
            raise BadRow(r"column 'solution': it has no \boxed{answer}.")
    subject = fields.get("subject") or fields.get("type") or ""
    level = re.search(r"\d+", str(fields.get("level", "")))
    metadata = {"subject": subject, **({"id": fields["unique_id"]} if "unique_id" in fields else {})}
    difficulty = level[0] if level else 0
    return {"question": question, "answer": answer, "verifier": "math", "difficulty": difficulty, "metadata": metadata}


def _aime(fields: Fields) -> Fields:
    question, answer = _need(fields, "problem", "answer")
    return {"question": question, "answer": answer, "verifier": "numeric", "metadata": _ids(fields, "id", "year")}


def _gpqa(fields: Fields) -> Fields:
    wrong_columns = [f"Incorrect Answer {number}" for number in (1, 2, 3)]
    question, right, *wrong = _need(fields, "Question", "Correct Answer", *wrong_columns)
    return _shuffled(str(question), str(right), [str(text) for text in wrong], _ids(fields, "Record ID", "Subdomain"))


def _mmlu_pro(fields: Fields) -> Fields:
    question, options, answer = _need(fields, "question", "options", "answer")
    place = LETTERS.find(str(answer).strip()) if len(str(answer).strip()) == 1 else -1
    if not isinstance(options, list) or not 0 <= place < len(options):
        raise BadRow(f"column 'answer': {answer!r} is not the letter of one of the options.")
    wrong = [str(text) for number, text in enumerate(options) if number != place and str(text) != "N/A"]
    return _shuffled(str(question), str(options[place]), wrong, _ids(fields, "question_id", "category"))


def _shuffled(question: str, right: str, wrong: list[str], metadata: Fields) -> Fields:
    texts = [right.strip(), *(text.strip() for text in wrong)]
    order = list(range(len(texts)))
    random.Random(hashlib.sha256("\0".join([question, *sorted(texts)]).encode()).digest()).shuffle(order)
    return {
        "question": with_options(question, [texts[place] for place in order]),
        "answer": LETTERS[order.index(0)],
        "verifier": "choice",
        "metadata": metadata,
    }


def _humaneval(fields: Fields) -> Fields:
    prompt, solution, tests, name = _need(fields, "prompt", "canonical_solution", "test", "entry_point")
    question = f"Complete this Python function. Give the whole function.\n\n{str(prompt).rstrip()}"
    metadata = {**_ids(fields, "task_id"), "tests": tests, "entry_point": name, "prompt": prompt}
    return {"question": question, "answer": solution, "verifier": "code", "metadata": metadata}


def _mbpp(fields: Fields) -> Fields:
    text_column = "text" if "text" in fields else "prompt"  # the sanitized set calls it prompt
    text, solution, tests = _need(fields, text_column, "code", "test_list")
    if not isinstance(tests, list) or not tests:
        raise BadRow("column 'test_list': it is not a list of tests.")
    shown = "\n".join(str(test) for test in tests)
    setup = fields.get("test_setup_code") or "\n".join(fields.get("test_imports") or [])
    metadata = {**_ids(fields, "task_id"), "tests": shown, "setup": setup}
    question = f"{str(text).strip()}\n\nWrite it in Python. Your code must pass these tests:\n\n{shown}"
    return {"question": question, "answer": solution, "verifier": "code", "metadata": metadata}


def _ids(fields: Fields, *columns: str) -> dict[str, Any]:
    """The columns that are there; the first of them is the row's `id`."""
    names = ("id", *columns[1:])
    return {name.lower(): fields[column] for name, column in zip(names, columns, strict=True) if column in fields}


@dataclass(frozen=True)
class Preset:
    """A benchmark: its places on the Hub as (data set, config, split), and what a row of it means."""

    places: tuple[tuple[str, str, str], ...]
    reshape: Callable[[Fields], Fields]
    verifier: str


_MATH_SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)
PRESETS: dict[str, Preset] = {
    "gsm8k": Preset((("openai/gsm8k", "main", "test"),), _gsm8k, "numeric"),
    "math": Preset(tuple(("EleutherAI/hendrycks_math", subject, "test") for subject in _MATH_SUBJECTS), _math, "math"),
    "math500": Preset((("HuggingFaceH4/MATH-500", "", "test"),), _math, "math"),
    "aime": Preset((("HuggingFaceH4/aime_2024", "", "train"),), _aime, "numeric"),
    "gpqa": Preset((("Idavidrein/gpqa", "gpqa_diamond", "train"),), _gpqa, "choice"),
    "mmlu-pro": Preset((("TIGER-Lab/MMLU-Pro", "", "test"),), _mmlu_pro, "choice"),
    "humaneval": Preset((("openai/openai_humaneval", "", "test"),), _humaneval, "code"),
    "mbpp": Preset((("google-research-datasets/mbpp", "full", "test"),), _mbpp, "code"),
}


def preset_problems(request: Request) -> Iterator[Problem]:
    """The problems of a benchmark: `request.place` is its name, or `name@FILE`.

    Raises:
        SetupError: the benchmark or the file cannot be read, or a row is bad.
    """
    name, _, path = request.place.partition("@")
    preset = PRESETS[name]
    own = replace(request, place=path, question_column=None, answer_column=None)  # a benchmark names its own columns
    rows = _rows(preset)
    problems = file_problems(own, preset.reshape) if path else to_problems(rows, own, name, preset.reshape)
    return (problem.model_copy(update={"source": name}) for problem in problems)


def _rows(preset: Preset) -> Iterator[Row]:
    for path, config, split in preset.places:
        yield from hub_rows(path, config, split)
