"""Turns the rows of any table into problems.

What always holds: a row becomes a problem or one sentence that names the file, the place and the column; nothing is
guessed silently about *what* is asked, only about *how* it is checked (`guess.py`).

Columns: the question and the answer (named, or the first of the usual names), and where they exist `choices` or
`options`, `verifier`, `difficulty`, `metadata` and `id`. An answer may be text, a number, true or false, or a list:
then its first item is the answer and the verifiers accept the others too (`metadata["accepted_answers"]`). With
options, an answer may be a letter, the text of an option, or a whole number counted from 0.

Of a problem that the verifier `code` checks, the columns `tests`, `input_output`, `entry_point`, `setup` and
`time_limit_s` go to the metadata too, and the answer, a solution that is known to be right, may be missing. A row with
tests that names no verifier gets this one.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.problems.guess import guess_verifier
from openstrawberry.problems.options import LETTERS, read_options, with_options
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.source import Request, dump
from openstrawberry.registry import unknown

QUESTION_COLUMNS = ("question", "problem", "prompt", "input", "instruction")
ANSWER_COLUMNS = ("answer", "solution", "target", "output", "expected_answer", "label")
OPTION_COLUMNS = ("choices", "options")
CODE_COLUMNS = ("tests", "input_output", "entry_point", "setup", "time_limit_s")


@dataclass(frozen=True)
class Row:
    """One row as it was read. `place` says where, such as `line 3`; `fault` why it could not be read, if so."""

    place: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


class BadRow(Exception):
    """What is wrong with a row, as the rest of a sentence that starts with its place."""


Reshape = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def to_problems(
    rows: Iterable[Row], request: Request, source: str, reshape: Reshape | None = None
) -> Iterator[Problem]:
    """The problems that `rows` hold; `reshape` brings a benchmark's own columns into the usual ones.

    Raises:
        SetupError: there is no usable row, or a bad one that is not to be skipped.
    """
    made = skipped = 0
    first_fault = ""
    for row in rows:
        try:
            if row.fault:
                raise BadRow(row.fault)
            problem = _problem(reshape(row.fields) if reshape else row.fields, request, source)
        except BadRow as error:
            sentence = f"{source}, {row.place}, {error}"
            request.bad_row(sentence)
            skipped += 1
            first_fault = first_fault or sentence
            continue
        made += 1
        yield problem
    if not made and skipped:
        raise SetupError(f"None of the {skipped} rows is a problem. The first: {first_fault}")
    if not made:
        raise SetupError(f"{source} holds no problems: give it rows with a question and an answer.")


def _problem(fields: Mapping[str, Any], request: Request, source: str) -> Problem:
    question_column = _column(fields, request.question_column, QUESTION_COLUMNS, "question")
    solved = request.answer_column or not _is_code(fields, request) or _holds(fields, ANSWER_COLUMNS)
    answer_column = _column(fields, request.answer_column, ANSWER_COLUMNS, "answer") if solved else ""
    question = _text(question_column, fields[question_column])
    metadata = _metadata(fields)
    if _is_code(fields, request):
        metadata = {**{name: fields[name] for name in CODE_COLUMNS if fields.get(name)}, **metadata}
    options = _options(fields)
    if not solved:
        answer = ""
    elif options:
        answer = _letter(answer_column, fields[answer_column], options)
        question = question if len(read_options(question)) == len(options) else with_options(question, options)
    else:
        answer, *accepted = _answers(answer_column, fields[answer_column])
        if accepted:
            metadata["accepted_answers"] = accepted
    verifier = (
        request.verifier
        or _verifier(fields, request)
        or ("code" if _is_code(fields, request) else "")
        or ("choice" if options else guess_verifier(question, answer))
    )
    difficulty = _difficulty(fields, metadata)
    try:
        kept = dump(metadata)
    except ValueError as error:
        raise BadRow("column 'metadata': it holds NaN or an infinity.") from error
    return Problem(
        question=question, answer=answer, verifier=verifier, difficulty=difficulty, source=source, metadata=kept
    )


def _column(fields: Mapping[str, Any], named: str | None, usual: Iterable[str], what: str) -> str:
    if named is not None:
        if named not in fields:
            raise BadRow(f"column {named!r}: it is missing. {unknown('column', named, fields)}")
        return named
    by_name = {name.lower().strip(): name for name in fields}
    found = next((by_name[name] for name in usual if name in by_name), None)
    if found is None:
        columns = ", ".join(map(repr, fields)) or "none"
        raise BadRow(
            f"column '{what}': it is missing; the columns are {columns}; "
            f"name them with --question-column and --answer-column."
        )
    return found


def _is_code(fields: Mapping[str, Any], request: Request) -> bool:
    """Whether a row is checked by running code: it says so, the command does, or it has tests and says nothing."""
    named = request.verifier or fields.get("verifier")
    return named == "code" if named else _holds(fields, ("tests", "input_output"))


def _holds(fields: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether one of the columns is there and not empty."""
    return any(name.lower().strip() in names and value not in (None, "", []) for name, value in fields.items())


def _text(column: str, value: object) -> str:
    if value is None:
        raise BadRow(f"column {column!r}: it is null, where a text is needed.")
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int | Decimal):
        text = str(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadRow(f"column {column!r}: {value} is no number that can be checked.")
        text = str(getattr(value, "written", repr(value)))
    elif isinstance(value, str):
        text = value.strip()
    else:
        kind = "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}"
        raise BadRow(f"column {column!r}: it holds {kind}, where a text is needed; name another column.")
    if not text:
        raise BadRow(f"column {column!r}: it is empty, where a text is needed.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRow(f"column {column!r}: character {error.start + 1} is half of a broken Unicode pair.") from error
    return text


def _answers(column: str, value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise BadRow(f"column {column!r}: it is an empty list, where an answer is needed.")
    return [_text(column, item) for item in values]


def _options(fields: Mapping[str, Any]) -> list[str]:
    column = next((name for name in fields if name.lower() in OPTION_COLUMNS), None)
    value = fields[column] if column else None
    if column is None or value is None or value == "" or value == []:
        return []
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if isinstance(value, Mapping):  # {"label": ["A", ..], "text": ["..", ..]}
        value = value.get("text")
    if not isinstance(value, list) or not 2 <= len(value) <= len(LETTERS):
        raise BadRow(f"column {column!r}: it is not a list of 2 to {len(LETTERS)} options.")
    return [" ".join(_text(column, option).split()) for option in value]


def _letter(column: str, value: object, options: list[str]) -> str:
    """The letter of the right option; see the top of this file for what `value` may be."""
    if isinstance(value, int) and not isinstance(value, bool):
        if str(value) in options and options.index(str(value)) != value:
            raise BadRow(f"column {column!r}: {value} may be a position or the option {value}; write its letter.")
        if 0 <= value < len(options):
            return LETTERS[value]
        raise BadRow(f"column {column!r}: there is no option number {value}; they count from 0.")
    text = _text(column, value)
    if options.count(" ".join(text.split())) == 1:
        return LETTERS[options.index(" ".join(text.split()))]
    letter = text.strip("(). ").upper()
    if len(letter) == 1 and letter in LETTERS[: len(options)]:
        return letter
    raise BadRow(f"column {column!r}: {text[:60]!r} is neither a letter nor the text of one option.")


def _verifier(fields: Mapping[str, Any], request: Request) -> str:
    value = fields.get("verifier")
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    name = _text("verifier", value)
    if request.known_verifiers and name not in request.known_verifiers:
        raise BadRow(f"column 'verifier': {unknown('verifier', name, request.known_verifiers)}")
    return name


def _metadata(fields: Mapping[str, Any]) -> dict[str, Any]:
    value = fields.get("metadata")
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = {"metadata": value}
    metadata = dict(value) if isinstance(value, Mapping) else {} if value in (None, "") else {"metadata": value}
    if fields.get("id") not in (None, ""):
        metadata.setdefault("id", fields["id"])
    return metadata


def _difficulty(fields: Mapping[str, Any], metadata: dict[str, Any]) -> float:
    """The row's difficulty where it is a number; a word such as "hard" is kept in the metadata instead."""
    value = fields.get("difficulty")
    if value is None or value == "":
        return 0.0
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    metadata.setdefault("difficulty", str(value))
    return 0.0
