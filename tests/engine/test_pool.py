"""Many jobs on one loop: bounded, and read no faster than they finish."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from openstrawberry.engine.pool import run_pool


def test_a_million_jobs_are_streamed_never_listed() -> None:
    taken = finished = most_ahead = running = most_running = 0

    def source() -> Iterator[int]:
        nonlocal taken, most_ahead
        for number in range(20_000):
            taken += 1
            most_ahead = max(most_ahead, taken - finished)
            yield number

    async def work(number: int) -> None:
        nonlocal finished, running, most_running
        running += 1
        most_running = max(most_running, running)
        await asyncio.sleep(0)
        running -= 1
        finished += 1

    asyncio.run(run_pool(source(), work, concurrency=8))
    assert finished == 20_000
    assert most_running == 8
    assert most_ahead <= 9


def test_one_slow_job_never_holds_up_the_others() -> None:
    done: list[int] = []

    async def go() -> None:
        release = asyncio.Event()

        async def work(number: int) -> None:
            if number == 0:
                await release.wait()
            done.append(number)
            if number == 99:
                release.set()

        await run_pool(range(100), work, concurrency=2)

    asyncio.run(asyncio.wait_for(go(), 10))
    assert done == [*range(1, 100), 0]


def test_the_first_error_stops_everything() -> None:
    started: list[int] = []

    async def work(number: int) -> None:
        started.append(number)
        await asyncio.sleep(0)
        if number == 3:
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        asyncio.run(run_pool(range(1000), work, concurrency=4))
    assert len(started) < 20


def test_the_collector_is_left_as_it_was() -> None:
    before = gc.get_threshold()
    seen: list[tuple[int, int, int]] = []

    async def work(_: int) -> None:
        seen.append(gc.get_threshold())

    asyncio.run(run_pool([1], work, 1))
    assert seen[0][0] > before[0]
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
