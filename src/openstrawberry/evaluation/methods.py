"""What an evaluation compares: rows, each a model with a method; a method is a strategy with its options.

strawberry
strawberry:max_turns=20,temperature=0.7
cot
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from openstrawberry.errors import UsageError
from openstrawberry.registry import unknown
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy

_LONGEST_FOLDER = 80
_BEFORE_KEY = re.compile(r",(?=\s*[\w-]+\s*=)")  # the commas of a value such as {depth: 24, width: 4} stay in it


class Method(BaseModel):
    """A strategy with options, and the text that the user wrote for it."""

    model_config = ConfigDict(frozen=True)

    spec: str
    strategy: str
    options: dict[str, Any] = {}


class Entry(BaseModel):
    """A row that is to be measured: its name in the report, its folder, and what is run for it."""

    model_config = ConfigDict(frozen=True)

    name: str
    folder: str
    model: str
    method: Method


def read_method(spec: str) -> Method:
    """A method from its text.

    Raises:
        UsageError: there is no such strategy or option, or a value does not fit.
    """
    name, _, rest = spec.strip().partition(":")
    options: dict[str, Any] = {}
    for pair in filter(None, _BEFORE_KEY.split(rest.rstrip(", "))):
        key, separator, value = pair.partition("=")
        if not separator or not key.strip() or not value.strip():
            raise UsageError(f"--method {spec!r} cannot be read: write it as {name}:key=value,key=value.")
        try:
            options[key.strip().replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--method {spec!r} cannot be read: {value!r} is no value; write a plain one.") from error
    if name not in STRATEGIES.names():
        fair = (each for each in STRATEGIES.names() if not open_strategy(each, {}).sees_answers)
        raise UsageError(unknown("method", name, fair))
    if open_strategy(name, options).sees_answers:
        raise UsageError(
            f"{name} looks at the known answers while it works, so what it gets right says nothing about a model: "
            "measure another --method, such as cot."
        )
    return Method(spec=spec.strip(), strategy=name, options=options)


def entries(models: Sequence[str], methods: Sequence[str]) -> list[Entry]:
    """Every model with every method, in the order given: the first is what the others are compared with.

    Raises:
        UsageError: see `read_method`; or the same model or method is named twice, or none is.
    """
    for kind, specs in (("model", models), ("method", methods)):
        if not specs:
            raise UsageError(f"There is nothing to compare: name a {kind} with --{kind}.")
        for spec, count in Counter(map(str.strip, specs)).items():
            if count > 1:
                raise UsageError(f"The {kind} {spec} is named {count} times: name it once.")
    read = [read_method(spec) for spec in methods]
    short = Counter(short_model(model) for model in models)
    rows = []
    for model in models:
        shown = short_model(model) if short[short_model(model)] == 1 else model
        rows += [_entry(f"{shown} {method.spec}", model, method) for method in read]
    return rows


def short_model(spec: str) -> str:
    """A model's spec without address and folders: `hf:models/round-2` is `round-2`, `berry` is `berry`."""
    provider, _, name = spec.partition("@http")[0].partition(":")
    return name.rstrip("/").rpartition("/")[2] or provider


def find(name: str, rows: Sequence[str]) -> int:
    """The place of the row that `name` means: its whole name, or a part that only one of them has.

    Raises:
        UsageError: none fits, or several do.
    """
    if name in rows:
        return list(rows).index(name)
    places = [place for place, row in enumerate(rows) if name.lower() in row.lower()]
    if len(places) == 1:
        return places[0]
    if places:
        fitting = ", ".join(repr(rows[place]) for place in places)
        raise UsageError(f"{name!r} may be any of {fitting}: write the whole name of the row.")
    raise UsageError(unknown("row", name, rows))


def _entry(name: str, model: str, method: Method) -> Entry:
    """The folder's name is readable, and tells apart whatever the row's name and the model's spec tell apart."""
    words = re.sub(r"[^\w.=]+", "-", name).strip("-.")[:_LONGEST_FOLDER]
    key = hashlib.sha256(f"{model}\0{method.spec}".encode()).hexdigest()[:6]
    return Entry(name=name, folder=f"{words}-{key}", model=model, method=method)
