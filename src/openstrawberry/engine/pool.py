"""Drives many traces on one asyncio loop, with bounded concurrency and back-pressure.

A fixed number of workers pull from one iterator, so a million problems are a million rows read one after another, never
a list of tasks in memory, and the source is read no faster than traces finish.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


async def run_pool(jobs: Iterable[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Calls `work` for each job, at most `concurrency` at a time. The first exception stops everything."""
    source = iter(jobs)
    workers = [asyncio.create_task(_worker(source, work)) for _ in range(concurrency)]
    try:
        with rarely_collected():
            await _all(workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Looks for reference cycles less often.

    Every reply allocates some thousand short-lived objects, so by default the collector walks all live conversations
    again and again and finds nothing: 13% of what a turn costs (benchmarks/overhead.py).
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _worker(source: Iterator[T], work: Callable[[T], Awaitable[None]]) -> None:
    for job in source:
        await work(job)


async def _all(workers: list[asyncio.Task[None]]) -> None:
    pending = set(workers)
    while pending:
        finished, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
        for worker in finished:
            worker.result()
