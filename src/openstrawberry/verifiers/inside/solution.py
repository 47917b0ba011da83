"""The solution's process: loads the code that a model wrote and carries out the calls of the judge."""

import builtins
import contextlib
import operator
import sys
from types import ModuleType
from typing import Any, BinaryIO

from .across import Peer
from .remote import BUILTIN_NAMES, Gone

BUILTIN = {f"__{name}__": getattr(builtins, name) for name in ("iter", *BUILTIN_NAMES)}


class Solution:
    """What the judge may ask for; each method is one operation."""

    def __init__(self) -> None:
        self.module = ModuleType("solution")
        sys.modules["solution"] = self.module  # dataclasses and pickle look their module up

    def serve(self, operation: str, *arguments: Any) -> Any:
        """Carries out one request."""
        return getattr(self, f"do_{operation}")(*arguments)

    def do_begin(self) -> None:
        """Shows that this process has come to life, before anything that a model wrote is run."""

    def do_load(self, code: str) -> dict[str, str]:
        """Runs the code; the kinds of the names that it defines: `module`, an exception's base, or nothing special."""
        exec(compile(code, "<solution>", "exec"), self.module.__dict__)
        return {name: _kind(value) for name, value in vars(self.module).items() if not name.startswith("__")}

    def do_name(self, name: str) -> Any:
        """The value of a name at the top of the code."""
        return getattr(self.module, name)

    def do_call(self, target: Any, named: dict[str, Any], *arguments: Any) -> Any:
        """A call."""
        return target(*arguments, **named)

    def do_get(self, target: Any, name: str) -> Any:
        """An attribute."""
        return getattr(target, name)

    def do_set(self, target: Any, name: str, value: Any) -> None:
        """Sets an attribute."""
        setattr(target, name, value)

    def do_isinstance(self, target: Any, other: Any) -> bool:
        """Whether `other` is an instance of the class `target`."""
        return isinstance(other, target)

    def do_special(self, target: Any, name: str, *arguments: Any) -> Any:
        """An operator or a built-in function, found as Python finds it."""
        if name in BUILTIN:
            return BUILTIN[name](target, *arguments)
        found = getattr(operator, name, None)
        if found is not None:
            return found(target, *arguments)
        result = getattr(type(target), name)(target, *arguments)
        if result is NotImplemented:
            raise TypeError(f"unsupported operand for {name}")
        return result


def _kind(value: Any) -> str:
    if isinstance(value, ModuleType):
        return "module"
    if isinstance(value, type) and issubclass(value, BaseException):
        return next(str(base.__name__) for base in value.__mro__ if getattr(builtins, base.__name__, None) is base)
    return ""


def run(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Serve the judge until it ends."""
    solution = Solution()
    with contextlib.suppress(Gone):
        Peer(incoming, outgoing, solution.serve, trusted=True).serve_for_ever()
