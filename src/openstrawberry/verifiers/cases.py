"""The tests that a code problem carries, in whatever of the usual forms, as one record.

`metadata["tests"]` is a text of Python (asserts, or a function `check(candidate)` as HumanEval has it), a list of such
texts, a list of `{"input": ..., "output": ...}` for programs that read standard input (each a text, or a list of its
lines), or an object of two lists `inputs` and `outputs`; APPS calls the last `input_output`, as JSON text. Beside it:
`entry_point` (the function that `check` is given), `prompt` (the head of the function that a reply completes), `setup`
(code that stands before every test), `time_limit_s`, and `tolerance` (relative, for numbers that a program prints).
"""

import ast
import builtins
import contextlib
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openstrawberry.problems.problem import Problem

LONGEST_S = 60


@dataclass(frozen=True)
class Exchange:
    """What a program is given on standard input, and what it must print."""

    given: str
    wanted: str


@dataclass(frozen=True)
class Cases:
    """The tests of one problem. `prelude` is what the prompt defines beside the function that is asked for.

    `wanted` are the names that a solution must define; empty where that cannot be told. No tests at all: `empty`.
    """

    asserts: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    prelude: str = ""
    head: str = ""
    entry_point: str = ""
    wanted: frozenset[str] = frozenset()
    tolerance: float = 0.0
    time_limit_s: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to run."""
        return not self.asserts and not self.exchanges


def cases_of(problem: Problem) -> Cases:
    """The tests of `problem`. Never raises: what cannot be read is no test."""
    try:
        found = problem.meta()
    except ValueError:
        found = {}
    return cases_in(found) if isinstance(found, Mapping) else Cases()


def cases_in(metadata: Mapping[str, Any]) -> Cases:
    """The tests that a problem's metadata holds."""
    tests = metadata.get("tests", metadata.get("input_output"))
    if isinstance(tests, str) and tests.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            tests = json.loads(tests)
    entry, setup, head = (_text(metadata.get(name)) for name in ("entry_point", "setup", "prompt"))
    asserts = tuple(_asserts(tests, setup, entry))
    return Cases(
        asserts=asserts,
        exchanges=tuple(_exchanges(tests)),
        prelude=_prelude(head, entry),
        head=head,
        entry_point=entry,
        wanted=frozenset({entry})
        if entry
        else frozenset.intersection(*map(_called, asserts), _called(asserts[0]))
        if asserts
        else frozenset(),
        tolerance=_number(metadata.get("tolerance"), 0.0, 1.0),
        time_limit_s=math.ceil(_number(metadata.get("time_limit_s"), 0.0, LONGEST_S)),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object, least: float, most: float) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    return float(value) if fits else 0.0  # type: ignore[arg-type]


def _asserts(tests: object, setup: str, entry: str) -> Iterator[str]:
    for test in tests if isinstance(tests, list) else _apart(_text(tests)):
        if not isinstance(test, str) or not test.strip():
            continue
        call = f"\ncheck({entry})\n" if entry and "def check(" in test else ""
        yield f"{setup}\n{test}{call}" if setup else f"{test}{call}"


def _apart(tests: str) -> list[str]:
    """The asserts in a text that holds nothing else, each by itself; any other text as it is."""
    tree = tree_of(tests)
    if tree is None or not all(isinstance(node, ast.Assert) for node in tree.body):
        return [tests]
    lines = re.split(r"\r\n|\r|\n", tests)  # as Python counts them: a form feed begins no line
    return ["\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in tree.body]


def _exchanges(tests: object) -> Iterator[Exchange]:
    if isinstance(tests, Mapping):
        inputs, outputs = tests.get("inputs"), tests.get("outputs")
        if isinstance(inputs, list) and isinstance(outputs, list) and len(inputs) == len(outputs):
            tests = [{"input": given, "output": wanted} for given, wanted in zip(inputs, outputs, strict=True)]
    for test in tests if isinstance(tests, list) else []:
        if isinstance(test, Mapping):
            given, wanted = _lines("" if test.get("input") is None else test["input"]), _lines(test.get("output"))
            if given is not None and wanted is not None:
                yield Exchange(given, wanted)


def _lines(value: object) -> str | None:
    """A text, or a list of its lines; None for anything else."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return value if isinstance(value, str) else None


def _prelude(head: str, entry: str) -> str:
    """The head without the function that is asked for: its imports and helpers."""
    tree = tree_of(head)
    if tree is None:
        return ""
    kept = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == entry)]
    return ast.unparse(ast.Module(kept, [])) if entry else ""


def _called(test: str) -> frozenset[str]:
    """Names that a test calls and does not define."""
    tree = tree_of(test)
    nodes = list(ast.walk(tree)) if tree else []
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {
        name.asname or name.name
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    own |= {
        argument.arg for node in nodes if isinstance(node, ast.arguments) for argument in [*node.args, *node.kwonlyargs]
    }
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return frozenset(name for name in called - own if not hasattr(builtins, name))


def parsed(code: str) -> ast.Module:
    """The syntax tree of `code`; what Python thinks of its style, such as of a lone backslash, is said to nobody.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it has none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def tree_of(code: str) -> ast.Module | None:
    """The syntax tree of `code`, None where it has none."""
    try:
        return parsed(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
