"""Calls between the judge and the solution: one line of JSON each way, plain data by value, all else by handle.

What always holds: what comes from the other side is data. Reading it runs no code that the other side chose, so the
judge may read whatever a solution writes. Of the judge's own objects the solution gets hold of functions only, and may
only call them.

A value that is no plain data (an object of a class of the solution's own) stays where it is and is used through a
`Remote` (`remote.py`).
"""

import builtins
import collections
import datetime
import decimal
import fractions
import functools
import json
from collections.abc import Callable
from typing import Any, BinaryIO

from .remote import ASYNC, Gone, Remote, RemoteCoroutine, Untestable

PLAIN = (bool, str, float, type(None))
BIG = 2**62
# tag: (type, its parts, from its parts). Whatever stands in the parts is packed again.
KINDS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "int": (int, hex, lambda text: int(text, 16)),
    "tuple": (tuple, list, tuple),
    "set": (set, list, set),
    "frozenset": (frozenset, list, frozenset),
    "dict": (dict, lambda found: [list(item) for item in found.items()], lambda items: dict(items)),
    "deque": (collections.deque, list, collections.deque),
    "bytes": (bytes, lambda found: found.hex(), bytes.fromhex),
    "bytearray": (bytearray, lambda found: found.hex(), bytearray.fromhex),
    "complex": (complex, lambda found: [found.real, found.imag], lambda parts: complex(*parts)),
    "range": (range, lambda found: [found.start, found.stop, found.step], lambda parts: range(*parts)),
    "fraction": (fractions.Fraction, str, fractions.Fraction),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "datetime": (datetime.datetime, lambda found: found.isoformat(), datetime.datetime.fromisoformat),
    "date": (datetime.date, lambda found: found.isoformat(), datetime.date.fromisoformat),
    "timedelta": (
        datetime.timedelta,
        lambda found: [found.days, found.seconds, found.microseconds],
        lambda parts: datetime.timedelta(*parts),
    ),
}
VIEWS: tuple[type[Any], ...] = (type({}.keys()), type({}.items()))


class Peer:
    """One end of the line.

    Args:
        serve: carries out a request of the other side.
        trusted: whether the other side may do with objects of ours whatever it likes; else it may call functions.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO, serve: Callable[..., Any], trusted: bool) -> None:
        self._in = incoming
        self._out = outgoing
        self._serve = serve
        self._trusted = trusted
        self._kept: dict[int, Any] = {}
        self.asked = 0
        self.classes: set[str] = set()
        self.raised: Callable[[str, str, list[str]], BaseException] = lambda name, text, bases: Gone(name)

    def ask(self, operation: str, *arguments: Any) -> Any:
        """What the other side says to a request; until then its own requests are served."""
        self.asked += 1
        self._send("ask", operation, [self.pack(argument) for argument in arguments])
        return self.until_told(arguments)

    def until_told(self, arguments: tuple[Any, ...] = ()) -> Any:
        """Serve the other side until it answers; `arguments` are brought up to date with what it did to them."""
        while True:
            kind, *rest = self._receive()
            if kind == "ask":
                self._answer(*rest)
                continue
            try:
                if kind == "told":
                    result, changes = rest
                    for place, packed in changes:
                        _renew(arguments[place], self.unpack(packed))
                    return self.unpack(result)
                raised = self.raised(*rest)
            except (TypeError, ValueError, LookupError, AttributeError, RecursionError, MemoryError) as error:
                raise Gone(f"not what the protocol has: {error}") from error
            raise raised

    def serve_for_ever(self) -> None:
        """Answer requests until the other side ends."""
        while True:
            kind, *rest = self._receive()
            if kind == "ask":
                self._answer(*rest)

    def kept(self, number: int) -> Any:
        """An object of ours that the other side holds."""
        return self._kept[number]

    def pack(self, value: Any, depth: int = 0) -> Any:
        """`value` as JSON."""
        if depth > 200:
            raise Untestable("a value is nested too deeply to be handed over")
        if isinstance(value, PLAIN):
            return value if type(value) in PLAIN else _base(value)
        if isinstance(value, int) and -BIG < value < BIG:
            return int(value)
        if isinstance(value, list):
            return [self.pack(item, depth + 1) for item in value]
        if isinstance(value, VIEWS):
            value = set(value)
        if isinstance(value, tuple) and (fields := getattr(value, "_fields", None)):
            return {"row": [type(value).__name__, list(fields), self.pack(list(value), depth + 1)]}
        for tag, (kind, parts, _) in KINDS.items():
            if isinstance(value, kind):
                return {tag: self.pack(parts(value), depth + 1)}
        if isinstance(value, Remote):
            return {"yours": object.__getattribute__(value, "_number")}
        return self._handed(value)

    def _handed(self, value: Any) -> Any:
        if isinstance(value, type) and getattr(builtins, name := value.__name__, None) is value:
            return {"builtin": name}
        if not self._trusted and not callable(value):
            raise Untestable(f"an object of the class {type(value).__name__} cannot be handed to the solution")
        self._kept[id(value)] = value
        return {"mine": [id(value), type(value).__name__]}

    def unpack(self, packed: Any) -> Any:
        """The value that `packed` stands for."""
        if isinstance(packed, list):
            return [self.unpack(item) for item in packed]
        if not isinstance(packed, dict):
            return packed
        ((tag, inner),) = packed.items()
        if tag == "yours":
            return self._kept[inner]
        if tag == "mine":
            number, kind = int(inner[0]), str(inner[1])
            return (RemoteCoroutine if kind in ASYNC else Remote)(self, number, kind)
        if tag == "row":
            return _row(inner[0], tuple(inner[1]))(*self.unpack(inner[2]))
        if tag == "builtin":
            found = getattr(builtins, inner)
            if not isinstance(found, type):
                raise Gone("a builtin that is no type")
            return found
        return KINDS[tag][2](self.unpack(inner))

    def _answer(self, operation: str, packed: list[Any]) -> None:
        if not self._trusted and operation != "call":
            raise Gone(f"the solution asked for {operation}")
        try:
            arguments = [self.unpack(each) for each in packed]
            before = [self.pack(argument) for argument in arguments]
            result = self.pack(self._serve(operation, *arguments))
            after = [self.pack(argument) for argument in arguments]
            changes = [[place, after[place]] for place in range(len(after)) if after[place] != before[place]]
        except Gone:
            raise
        except BaseException as error:  # whatever it is, it is what the call gave
            bases = [base.__name__ for base in type(error).__mro__]
            self._send("raise", type(error).__name__, _text(error), bases)
        else:
            self._send("told", result, changes)

    def _send(self, *message: Any) -> None:
        try:
            self._out.write(json.dumps(message).encode() + b"\n")
            self._out.flush()
        except (OSError, ValueError) as error:
            raise Gone(str(error)) from error

    def _receive(self) -> list[Any]:
        try:
            message = json.loads(self._in.readline())
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            raise Gone(str(error)) from error
        if not isinstance(message, list) or not message:
            raise Gone("not a message")
        return message


def _renew(old: Any, new: Any) -> None:
    """Bring a mutable argument up to date with what the other side did to it."""
    if isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set | collections.deque):
        old.clear()
        (old.extend if isinstance(old, collections.deque) else old.update)(new)


@functools.lru_cache(maxsize=256)
def _row(name: str, fields: tuple[str, ...]) -> type[tuple[Any, ...]]:
    """A named tuple; names that are none are refused by it."""
    return collections.namedtuple(name, fields)


def _base(value: Any) -> Any:
    """The plain value inside of one of a class derived from it, whatever that class overrides."""
    return str.__str__(value) if isinstance(value, str) else float.__float__(value)


def _text(error: BaseException) -> str:
    try:
        text = str(error.args[0]) if isinstance(error, KeyError) and len(error.args) == 1 else str(error)
        return text[:300]
    except BaseException:  # a solution's own exception may raise while it is shown
        return ""
