"""Event loops in which waiting costs a test nothing, or little: time that jumps, and time that runs fast."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Jumps over what it would wait for: time passes only when nothing is left to do."""

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


class _Hasty(selectors.DefaultSelector):
    """Waits a part of what it is asked to wait."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self.speed = speed

    def select(self, timeout: float | None = None) -> list[Any]:
        return super().select(timeout if timeout is None else timeout / self.speed)


class FastLoop(asyncio.SelectorEventLoop):
    """Its seconds are shorter than those of the world. For code with sockets, whose timeouts must be generous."""

    def __init__(self, speed: float) -> None:
        self._hasty = _Hasty(speed)
        super().__init__(self._hasty)

    def time(self) -> float:
        return time.monotonic() * self._hasty.speed


def hastily(work: Callable[[], Coroutine[Any, Any, T]], speed: float = 100.0) -> T:
    """Runs `work` where a minute takes less than a second; `now()` tells the time there."""
    with asyncio.Runner(loop_factory=lambda: FastLoop(speed)) as runner:
        return runner.run(work())


def now() -> float:
    """Seconds since the loop began."""
    return asyncio.get_running_loop().time()
