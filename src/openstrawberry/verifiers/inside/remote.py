"""An object that lives in the other process, as the judge holds it.

It never equals plain data, whatever its `__eq__` says, and does no arithmetic with it: else a function could hand out
an object that agrees with everything. Only where the tests themselves use a class of the solution by its name
(`Peer.classes`) is that class what is tested, and its operators count.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .across import Peer


class Gone(BaseException):
    """The other process has ended, or no longer keeps to the protocol."""


class Untestable(Exception):
    """The test does what cannot be done from another process; that says nothing about the solution."""


class Remote:
    """An object that lives in the other process: called, read and written there."""

    def __init__(self, peer: "Peer", number: int, kind: str) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_kind", kind)

    def _ask(self, operation: str, *arguments: Any) -> Any:
        peer: Peer = object.__getattribute__(self, "_peer")
        return peer.ask(operation, self, *arguments)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        peer: Peer = object.__getattribute__(self, "_peer")
        return peer.ask("call", self, named, *arguments)

    def __getattr__(self, name: str) -> Any:
        return self._ask("get", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("set", name, value)

    def __eq__(self, other: object) -> bool:
        return bool(self._ask("special", "__eq__", other)) if isinstance(other, Remote) or _tested(self) else False

    def __contains__(self, item: object) -> bool:
        return bool(self._ask("special", "__contains__", item)) if _tested(self) else item in list(self)

    def __instancecheck__(self, other: object) -> bool:
        return bool(self._ask("isinstance", other))

    def __iter__(self) -> Any:
        return self._ask("special", "__iter__")


ASYNC = ("coroutine", "async_generator")


class RemoteCoroutine(Remote):
    """What an async function of the solution gives. No event loop reaches from one process into another."""

    def send(self, *given: Any) -> Any:
        """Whoever awaits it learns that it cannot be awaited here."""
        raise Untestable("the test awaits an async function, which cannot be done from another process")

    throw = __next__ = __await__ = __aiter__ = send

    def close(self) -> None:
        """Nothing has begun."""


def _tested(remote: Remote) -> bool:
    """Whether its class is what the tests are about."""
    peer: Peer = object.__getattribute__(remote, "_peer")
    return object.__getattribute__(remote, "_kind") in peer.classes


def _special(name: str) -> Callable[..., Any]:
    return lambda self, *arguments: self._ask("special", name, *arguments)


def _between(name: str) -> Callable[..., Any]:
    def operate(self: Remote, other: object) -> Any:
        if not isinstance(other, Remote) and not _tested(self):
            kind = object.__getattribute__(self, "_kind")
            raise Untestable(f"the test calculates with what the solution gave, an object of its own class {kind}")
        return self._ask("special", name, other)

    return operate


BUILTIN_NAMES = ("len", "next", "bool", "str", "repr", "hash", "int", "float", "abs", "round", "reversed", "format")
for _name in (*BUILTIN_NAMES, "neg", "pos", "invert", "index", "getitem", "setitem", "delitem", "enter", "exit"):
    setattr(Remote, f"__{_name}__", _special(f"__{_name}__"))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Remote, f"__{_name}__", _between(f"__{_name}__"))
_TWO = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")
for _name in (f"{_prefix}{_name}" for _name in _TWO for _prefix in ("", "r", "i")):
    setattr(Remote, f"__{_name}__", _between(f"__{_name}__"))
