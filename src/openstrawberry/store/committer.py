"""Group commit: many callers wait, one thread makes their items durable together.

While one group is being written the next one gathers, so a caller waits for at most two commits, and the cost of a
sync is shared by everybody who waits for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Committer(Generic[T]):
    """Calls `commit(items)` in its own thread. `put` returns when the item is durable, or raises what commit raised."""

    def __init__(self, commit: Callable[[Sequence[T]], None]) -> None:
        self._commit = commit
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._drain: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def put(self, item: T) -> None:
        """Waits until `item` is durable."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if not self._draining:
            self._drain = asyncio.create_task(self._drained())
        await asyncio.shield(future)

    async def _drained(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                await loop.run_in_executor(self._thread, self._commit, [item for item, _ in group])
            except Exception as error:  # handed to everybody who waits; nothing is swallowed
                _settle(group, error)
            else:
                _settle(group, None)

    @property
    def _draining(self) -> bool:
        """Whether somebody writes; a task that was cancelled with the whole loop writes no more."""
        return self._drain is not None and not self._drain.done()

    async def close(self) -> None:
        """Waits for what is on its way, then ends the thread."""
        while self._drain is not None and self._draining:
            await asyncio.wait([self._drain])
        self._thread.shutdown()


def _settle(group: Sequence[tuple[T, "asyncio.Future[None]"]], error: Exception | None) -> None:
    for _, future in group:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # a waiter that was cancelled meanwhile must not turn it into a warning
