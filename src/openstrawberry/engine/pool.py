"""Drives many traces on one asyncio loop, with bounded concurrency and back-pressure.

A fixed number of workers pull from one iterator, so a million problems are a million rows read one after another, never
a list of tasks in memory, and the source is read no faster than traces finish.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


async def run_pool(jobs: Iterable[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Calls `work` for each job, at most `concurrency` at a time. The first exception stops everything."""
    source = iter(jobs)
    workers = [asyncio.create_task(_worker(source, work)) for _ in range(concurrency)]
    try:
        await _all(workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _worker(source: Iterator[T], work: Callable[[T], Awaitable[None]]) -> None:
    for job in source:
        await work(job)


async def _all(workers: list[asyncio.Task[None]]) -> None:
    pending = set(workers)
    while pending:
        finished, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
        for worker in finished:
            worker.result()
