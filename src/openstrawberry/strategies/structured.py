"""JSON from any model: the one function for strategies that need it.

    read = yield from ask_json(task, "Rate the last step.", Rating, after=node, role="critic")
    if read.value is None:              # it could not be read; read.trouble says why

The schema goes along for providers with structured output, and stands in the prompt for everybody else. What comes
back is read tolerantly: prose and fences around it, trailing commas, single quotes, a cut end (json-repair by Stefano
Baccianella). What still does not fit is asked for again in the same conversation, a few times at most. No reply makes
it raise.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from openstrawberry.strategies.strategy import Ask, AskRole, Steps, Task
from openstrawberry.trace import Node

T = TypeVar("T", bound=BaseModel)

FORM = "Answer with one JSON value that fits this JSON schema, and with nothing else:\n{schema}"
REPAIR = "That could not be read: {trouble}. Write the whole JSON again so that it fits the schema, and nothing else."
LONGEST, DEEPEST = 8_000, 12  # characters and open brackets that are repaired: hostile text beyond could take minutes
MOST_STARTS = 100  # places in a reply where JSON may begin
_BRACKET = re.compile(r"[{}\[\]]")
_NESTING = re.compile(r"[{}\[\]()]")  # the repairer looks into parentheses too
_DECODE = json.JSONDecoder().raw_decode
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What came of a question: `value`, or None and the `trouble`, and the `node` of the last reply."""

    value: T | None
    node: Node
    trouble: str = ""


def ask_json(
    task: Task,
    text: str,
    kind: type[T],
    *,
    after: Node | None = None,
    role: AskRole = "solver",
    temperature: float | None = None,
    max_tokens: int | None = None,
    repairs: int = 2,
) -> Steps[Read[T]]:
    """Asks `text` after a node (None starts a conversation) and reads the reply as a `kind`.

    Args:
        kind: the pydantic model that the reply must fit.
        repairs: how often it is asked for again when a reply cannot be read. A refusal is never asked again.

    The prompt set's own entries `json` (with `{schema}`) and `json_repair` (with `{trouble}`) replace the wording.
    """
    schema = kind.model_json_schema()
    form = _wording(task, "json", FORM).replace("{schema}", json.dumps(schema, ensure_ascii=False))
    node = task.user(f"{text}\n\n{form}", after=after)
    for left in range(repairs, -1, -1):
        node = yield Ask(node, role, temperature=temperature, max_tokens=max_tokens, response_schema=schema)
        value, trouble = read_json(node.content, kind)
        if value is not None or node.finish_reason == "filter" or not left:
            break
        node = task.user(_wording(task, "json_repair", REPAIR).replace("{trouble}", trouble), after=node)
    return Read(value, node, trouble)


def read_json(text: str, kind: type[T]) -> tuple[T | None, str]:
    """`text` as a `kind`, or None and one clause that says what is wrong with it. Never raises."""
    trouble = ""
    for value in _values(text):
        for candidate in _inside(value):
            try:
                return kind.model_validate(candidate), ""
            except ValidationError as error:
                trouble = trouble or _told(error)
            except RecursionError:
                continue
    return None, trouble or "there is no JSON in it"


def _values(text: str) -> Iterator[Any]:
    """What the text may mean, the surest first: as it stands, what stands in it, what it can be made into."""
    try:
        yield json.loads(text)
        return
    except _UNREADABLE:
        pass
    yield from reversed(list(_embedded(text)))
    if len(text) <= LONGEST and _depth(text) <= DEEPEST:
        from json_repair import loads

        try:
            repaired = loads(text)
        except _UNREADABLE:
            return
        if isinstance(repaired, dict | list):
            yield repaired


def _embedded(text: str) -> Iterator[Any]:
    """The whole values that stand in prose. What is inside of something broken is not looked at: it is only a part."""
    depth = starts = at = 0
    while starts < MOST_STARTS and (bracket := _BRACKET.search(text, at)):
        at = bracket.end()
        if bracket[0] in "}]":
            depth = max(0, depth - 1)
            continue
        if depth == 0:
            starts += 1
            try:
                value, at = _DECODE(text, bracket.start())
            except _UNREADABLE:
                depth += 1
            else:
                yield value
        else:
            depth += 1


def _depth(text: str) -> int:
    """How many brackets are open at once at most."""
    depth = deepest = 0
    for bracket in _NESTING.findall(text):
        depth = depth + 1 if bracket in "{[(" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _inside(value: Any) -> Iterator[Any]:
    """The value, or what it is wrapped in: one item of a list, the one entry of an object."""
    yield value
    if isinstance(value, list):
        yield from (item for item in reversed(value) if isinstance(item, dict))
    elif isinstance(value, dict) and len(value) == 1:
        yield from (inner for inner in value.values() if isinstance(inner, dict))


def _told(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"[:200] if where else first["msg"][:200]


def _wording(task: Task, entry: str, own: str) -> str:
    return task.prompts.text(entry) if entry in task.prompts.entries else own
