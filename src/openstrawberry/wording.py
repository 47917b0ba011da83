"""The words that many sentences share: counts, causes, and values that do not fit.

What Python, pydantic or a parser says of a fault is for those who write programs. Here it becomes what a user can do.
"""

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

_ADVICE = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "dict_type": "write key: value",
    "extra_forbidden": "leave it out, there is no such key",
    "finite_number": "write a number",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "greater_than": "write a number above {gt}",
    "greater_than_equal": "write a number of at least {ge}",
    "int_from_float": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller number",
    "int_type": "write a whole number",
    "less_than": "write a number below {lt}",
    "less_than_equal": "write a number of at most {le}",
    "list_type": "write a list",
    "literal_error": "choose {expected}",
    "missing": "it is missing, write it",
    "model_attributes_type": "write key: value",
    "model_type": "write key: value",
    "path_type": "write a path",
    "string_type": "write a text",
    "tuple_type": "write a list",
    "value_error": "{error}",
}

_SEEN = "\n\t\u00ad\u200c\u200d"  # soft hyphen and joiners among them


def counted(count: int, one: str, many: str = "") -> str:
    """`1 trace`, `2,000 traces`; `many` is for words whose plural is not made with an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def steers(letter: str) -> bool:
    """Whether a letter steers a terminal or turns the line instead of being seen.

    Spaces of any width do not, nor do the joiners that Persian, Hindi and many emoji are written with.
    """
    return not (letter.isprintable() or letter in _SEEN or unicodedata.category(letter) == "Zs")


def cause(error: Exception) -> str:
    """Why something could not be read or written, as it stands in brackets: one sentence, no number of an error."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: it is not JSON"
    if mark := getattr(error, "problem_mark", None):  # of YAML
        return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', None) or 'not YAML'}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    said = re.split(r"(?<=[.!?]) ", " ".join(str(error).split()), maxsplit=1)[0]
    return said.rstrip(".")[:200] or type(error).__name__


def as_written(value: object) -> object:
    """A bare `off` of a YAML file, which is read as false, as the word that it was."""
    return "off" if value is False else value


def misfit(error: "ValidationError") -> tuple[tuple[str | int, ...], Any, str]:
    """The first value that does not fit: where it stands, what it is, and what to write instead."""
    first = error.errors(include_url=False)[0]
    context = (first.get("ctx") or {}).items()
    said = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in context}
    advice = _ADVICE.get(first["type"])
    told = advice.format(**said) if advice else first["msg"][:1].lower() + first["msg"][1:]
    return first["loc"], first.get("input"), told.rstrip(".")
