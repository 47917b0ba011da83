"""Group commit: many callers wait, one thread makes their items durable together.

While one group is being written the next one gathers, so a caller waits for at most two commits, and the cost of a
sync is shared by everybody who waits for it. There is no task between the thread and who waits: each hop through a busy
loop comes after everything else that is ready.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
_Group = Sequence[tuple[T, "asyncio.Future[None]"]]


class Committer(Generic[T]):
    """Calls `commit(items)` in a thread of its own, one group after another.

    `put` returns when the item is durable, or raises what commit raised for its group.
    """

    def __init__(self, commit: Callable[[Sequence[T]], None]) -> None:
        self._commit = commit
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._busy: Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def put(self, item: T) -> None:
        """Waits until `item` is durable. It becomes so even if the caller is cancelled meanwhile."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append((item, future))
        if self._busy is None or self._loop is not loop:  # a loop that is gone does not tell of its last commit
            self._begin(loop)
        await future

    async def close(self) -> None:
        """Waits for what is on its way, then ends the thread."""
        while (busy := self._busy) is not None:
            await asyncio.wait([asyncio.wrap_future(busy)])
            if self._busy is busy:  # its loop is gone, and everybody who waited with it
                break
        self._thread.shutdown()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting, []
        self._loop = loop
        self._busy = self._thread.submit(self._work, group, loop)

    def _work(self, group: _Group[T], loop: asyncio.AbstractEventLoop) -> None:
        error: BaseException | None = None
        try:
            self._commit([item for item, _ in group])
        except BaseException as raised:  # handed to everybody who waits; nothing is swallowed
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(self._done, group, loop, error)

    def _done(self, group: _Group[T], loop: asyncio.AbstractEventLoop, error: BaseException | None) -> None:
        self._busy = None
        _settle(group, error)
        if self._waiting:
            self._begin(loop)


def _settle(group: _Group[T], error: BaseException | None) -> None:
    for _, future in group:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # a waiter that was cancelled meanwhile must not turn it into a warning
