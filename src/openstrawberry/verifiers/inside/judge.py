"""The judge's process: runs the tests, whose calls are carried out in the solution's process.

Names that the tests use and do not define are, in this order: what the problem's own set-up defines, built-ins (unless
the solution defines nothing else that the test uses), modules of the standard library (`math.isclose` is never the
solution's), and what the solution defines. Classes that the set-up defines live in the solution's process, so that both
sides mean the same by them.

What always holds: a test counts against the solution only where the solution failed it. One that needs a module, a
right or more memory than there is here is broken, and so are tests that never ask the solution anything.
"""

import ast
import builtins
import importlib
import json
import linecache
import sys
import traceback
from types import ModuleType
from typing import Any, BinaryIO

from .across import Peer
from .remote import Gone, Remote, Untestable

PASSED, FAILED, BROKEN, UNLOADED = "passed", "failed", "broken", "unloaded"


class Ended(BaseException):
    """The solution ended its process, or said what is no answer, in the middle of a call."""


class Judge:
    """Runs tests against the solution at the other end of the line."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._peer = Peer(incoming, outgoing, self._serve, trusted=False)
        self._peer.raised = self._raised
        self._defined: dict[str, str] = {}
        self._exceptions: dict[str, type[BaseException]] = {}
        self._setup: dict[str, Any] = {"__name__": "tests"}
        self._told: BaseException | None = None
        self._asked = False

    def run(self, code: str, setup: str, tests: list[str]) -> list[tuple[str, str]]:
        """The outcome of each test and a detail; nothing is run after the first that does not pass."""
        try:
            self._peer.ask("begin")
        except Gone:
            return [(BROKEN, "the process of the solution could not be started")]
        try:
            self._defined = _kinds(self._peer.ask("load", code))
        except Ended as error:
            return [(UNLOADED, f"the code ends its own process ({error}) before a test")]
        except Gone:
            return [(UNLOADED, "the code ends its own process, or writes to the judge, before a test")]
        except BaseException as error:  # whatever it raised, no test can pass
            return [(UNLOADED, f"the code cannot be loaded: {_said(error)}")]
        try:
            self._prepare(setup)
        except (Gone, Ended):
            return [(UNLOADED, "the solution's process ended before the tests")]
        except BaseException as error:
            return [(BROKEN, f"the set-up of the tests cannot be run: {_said(error)}")]
        outcomes = []
        for test in tests:
            outcomes.append(self._test(test))
            if outcomes[-1][0] != PASSED:
                return outcomes
        return outcomes if self._asked else [(BROKEN, "the tests call nothing that the solution defines")]

    def _prepare(self, setup: str) -> None:
        exec(compile(setup, "<setup>", "exec"), self._setup)
        for name, value in list(self._setup.items()):
            if isinstance(value, type) and value.__module__ == "tests":
                self._peer.classes.add(name)
                self._setup[name] = self._peer.ask("name", name)

    def _test(self, text: str) -> tuple[str, str]:
        linecache.cache["<test>"] = (len(text), None, text.splitlines(keepends=True), "<test>")
        try:
            tree = ast.parse(text, "<test>")
            lent = self._lent(tree)
            compiled = compile(tree, "<test>", "exec")
        except (Gone, Ended):
            return FAILED, "the solution's process ended before the test"
        except Exception as error:
            return BROKEN, f"the test cannot be read: {_said(error)}"
        before = self._peer.asked
        try:
            _run({**self._setup, **lent}, compiled)
        except Untestable as error:
            return BROKEN, str(error)
        except (Gone, Ended):
            return FAILED, "the solution's process ended in the middle of a call"
        except BaseException as error:
            own = isinstance(error, ImportError | MemoryError | PermissionError) and error is not self._told
            return (BROKEN, f"the test cannot be run here: {_said(error)}") if own else (FAILED, _where(error))
        plain = any(not isinstance(value, Remote | ModuleType) for value in lent.values())
        self._asked = self._asked or plain or self._peer.asked > before
        return PASSED, ""

    def _lent(self, tree: ast.AST) -> dict[str, Any]:
        """What the tests need of names that they do not define."""
        owners = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in self._setup]
        # A solution may be called `sum`, but one that is called `f` lends no `abs` for `abs(f(1) - 2) < 1e-6`.
        # Nor does one that is called `sum` lend an `abs` beside it.
        theirs = {node.id for node in names if node.id in self._defined}
        own = len(theirs) > 1 or any(not hasattr(builtins, name) for name in theirs)
        found: dict[str, Any] = {}
        for node in names:
            if hasattr(builtins, node.id) and own:
                continue
            if node.id in sys.stdlib_module_names and (id(node) in owners or node.id not in self._defined):
                found[node.id] = importlib.import_module(node.id)
            elif self._defined.get(node.id) not in (None, "module") and node.id not in found:
                found[node.id] = self._theirs(node.id)
        return found

    def _theirs(self, name: str) -> Any:
        base = self._defined[name]
        if base:
            return self._exceptions.setdefault(name, type(name, (_exception(base),), {}))
        if name[:1].isupper():
            self._peer.classes.add(name)
        return self._peer.ask("name", name)

    def _serve(self, operation: str, target: Any, named: dict[str, Any], *arguments: Any) -> Any:
        """A function of the tests that the solution was given, called by it."""
        return target(*arguments, **named)

    def _raised(self, name: str, text: str, bases: list[str]) -> BaseException:
        self._told = self._told_by(name, text, bases)
        return self._told

    def _told_by(self, name: str, text: str, bases: list[str]) -> BaseException:
        for base in bases:
            if base in self._exceptions:
                return self._exceptions[base](text)
            kind = _exception(base)
            if kind is not BaseException:
                return _made(kind, text if base == name else f"{name}: {text}")
        return Ended(f"{name}: {text}")


def _run(namespace: dict[str, Any], compiled: Any) -> None:
    """Runs a test, and whatever it defines that is a test by its name or by its class."""
    exec(compiled, namespace)
    unittest = sys.modules.get("unittest")
    for name, value in list(namespace.items()):
        if name.startswith("test_") and callable(value) and not isinstance(value, Remote):
            value()
        elif (
            isinstance(value, type)
            and value.__module__ == "tests"
            and unittest
            and issubclass(value, unittest.TestCase)
        ):
            unittest.defaultTestLoader.loadTestsFromTestCase(value).debug()  # raises what a test raises


def _kinds(found: object) -> dict[str, str]:
    """What the solution says that it defines, if that is plain data: else it could say now this and now that."""
    if type(found) is not dict or any(type(each) is not str for pair in found.items() for each in pair):
        raise Gone("no list of names")
    return found


def _exception(name: str) -> type[BaseException]:
    """The built-in exception of that name; `BaseException` for those that end a process, and for anything else."""
    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else BaseException


def _made(kind: type[BaseException], text: str) -> BaseException:
    try:
        return kind(text)
    except TypeError:  # UnicodeDecodeError and its like want more than a text
        return kind.__new__(kind, text)


def _said(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines and lines[0] else type(error).__name__


def _where(error: BaseException) -> str:
    """The line of the test that failed, and what was raised there."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<test>"]
    line = (frames[-1].line or "").strip()[:200] if frames else ""
    if isinstance(error, AssertionError) and not str(error) and line:
        return line
    return f"{line}: {_said(error)}" if line else _said(error)


def run(job: dict[str, Any], incoming: BinaryIO, outgoing: BinaryIO) -> str:
    """The outcomes as one line of JSON."""
    judge = Judge(incoming, outgoing)
    return json.dumps(judge.run(job["code"], job["setup"], job["tests"]))
