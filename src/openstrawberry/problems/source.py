"""What every problem source is given, and the few words they share.

A source is a function from a `Request` to an iterator of problems, made one at a time: a million rows are never held in
memory. Anything wrong with the request itself is a `SetupError`; anything wrong with one row goes through `bad_row`.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from openstrawberry.errors import SetupError, UsageError
from openstrawberry.registry import unknown


@dataclass(frozen=True)
class Request:
    """One question put to a source.

    `place` is what follows the source's name: a path, a repository, a name with `?key=value`. `verifier` overrides
    what rows say. `known_verifiers` are the names that a row may use; empty allows any. `on_bad_row` is told of each
    row that is left out; without it the first bad row ends the command.
    """

    place: str
    question_column: str | None = None
    answer_column: str | None = None
    verifier: str | None = None
    known_verifiers: Collection[str] = ()
    limit: int | None = None
    seed: int = 0
    on_bad_row: Callable[[str], None] | None = None

    def bad_row(self, sentence: str) -> None:
        """Report one row that is no problem.

        Raises:
            SetupError: bad rows are not to be skipped.
        """
        if self.on_bad_row is None:
            raise SetupError(f"{sentence} Fix it, or leave such rows out with --skip-bad-rows.")
        self.on_bad_row(sentence)


def split_query(place: str, source: str) -> tuple[str, dict[str, str]]:
    """`name?key=value&key=value` as a name and its keys.

    Raises:
        UsageError: a part has no `=`, or a key stands twice.
    """
    name, _, query = place.partition("?")
    values: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not key or not equals or not value:
            raise UsageError(
                f"{part!r} in {source}:{place} is not key=value: write {source}:{name or 'NAME'}?key=value."
            )
        if key in values:
            raise UsageError(f"The key {key!r} stands twice in {source}:{place}: drop one.")
        values[key] = value
    return name.strip(), values


def refuse_other_keys(values: Mapping[str, str], known: Collection[str], what: str) -> None:
    """Raises UsageError for a key that is not among `known`, with the nearest one."""
    for key in values:
        if key not in known:
            if not known:
                raise UsageError(f"{what} has no keys: drop {key}=.")
            raise UsageError(unknown(f"key of {what}", key, known))


def whole_number(values: Mapping[str, str], key: str, default: int, least: int = 1) -> int:
    """`values[key]` as a whole number of at least `least`.

    Raises:
        UsageError: it is not.
    """
    text = values.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) >= least):
        raise UsageError(f"{key}={text} must be a whole number from {least} on: write {key}={max(default, least)}.")
    return int(text)


def dump(metadata: Mapping[str, Any]) -> str:
    """`metadata` as JSON text that any writer can encode.

    Raises:
        ValueError: it holds NaN or an infinity.
    """
    text = json.dumps(metadata, ensure_ascii=False, allow_nan=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(metadata, allow_nan=False, default=str)
    return text
