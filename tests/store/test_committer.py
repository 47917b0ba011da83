"""Group commit: who shares a commit, who hears of a failure, and what happens when the loop around it is torn down."""

import asyncio
import threading
from collections.abc import Sequence

from openstrawberry.store.committer import Committer


class Disk:
    """A commit that waits to be let go, and remembers its groups."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.groups: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> None:
        self.begun.set()
        assert self.go_on.wait(10)
        if 13 in items:
            raise OSError("no space left")
        self.groups.append(list(items))


def test_what_comes_during_a_commit_shares_the_next_one() -> None:
    disk = Disk()

    async def session() -> None:
        committer: Committer[int] = Committer(disk)
        first = asyncio.create_task(committer.put(1))
        await asyncio.to_thread(disk.begun.wait, 10)
        others = [asyncio.create_task(committer.put(item)) for item in (2, 3, 4)]
        await asyncio.sleep(0)
        disk.go_on.set()
        await asyncio.gather(first, *others)
        await committer.close()

    asyncio.run(session())
    assert disk.groups == [[1], [2, 3, 4]]


def test_a_failure_reaches_everybody_in_its_group_and_nobody_else() -> None:
    disk = Disk()

    async def session() -> list[object]:
        committer: Committer[int] = Committer(disk)
        first = asyncio.create_task(committer.put(1))
        await asyncio.to_thread(disk.begun.wait, 10)
        others = [asyncio.create_task(committer.put(item)) for item in (2, 13)]
        await asyncio.sleep(0)
        disk.go_on.set()
        found = await asyncio.gather(first, *others, return_exceptions=True)
        found.append(await committer.put(5))
        await committer.close()
        return found

    first, second, third, last = asyncio.run(session())
    assert first is None
    assert last is None
    assert isinstance(second, OSError)
    assert isinstance(third, OSError)
    assert disk.groups == [[1], [5]]


def test_it_closes_though_everything_was_cancelled() -> None:
    disk = Disk()

    async def session() -> None:
        committer: Committer[int] = Committer(disk)
        putting = asyncio.create_task(committer.put(1))
        await asyncio.to_thread(disk.begun.wait, 10)
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
        assert putting.cancelled()
        disk.go_on.set()
        await asyncio.wait_for(committer.close(), 10)

    asyncio.run(session())
    assert disk.groups == [[1]]


def test_it_closes_though_the_loop_that_began_a_commit_is_gone() -> None:
    disk = Disk()
    committer: Committer[int] = Committer(disk)

    async def interrupted() -> None:
        putting = asyncio.create_task(committer.put(1))
        await asyncio.to_thread(disk.begun.wait, 10)
        putting.cancel()

    asyncio.run(interrupted())
    disk.go_on.set()
    asyncio.run(asyncio.wait_for(committer.close(), 10))
    assert disk.groups == [[1]]
