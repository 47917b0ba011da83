"""An event loop whose time passes only when nothing is left to do: hours of waiting cost a test nothing."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Jumps over what it would wait for."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        if not events:
            self.now += timeout or 0.0
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0. For code without threads and sockets."""

    def __init__(self) -> None:
        self._jumping = _Selector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtually(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` in virtual time; `now()` tells it."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


def now() -> float:
    """Seconds since the loop began."""
    return asyncio.get_running_loop().time()
