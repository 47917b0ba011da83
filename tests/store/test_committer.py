"""Group commit, when the loop around it is torn down."""

import asyncio
import threading
from collections.abc import Sequence

from openstrawberry.store.committer import Committer


def test_it_closes_though_everything_was_cancelled() -> None:
    writing, go_on = threading.Event(), threading.Event()

    def commit(items: Sequence[int]) -> None:
        writing.set()
        go_on.wait(10)

    async def session() -> None:
        committer: Committer[int] = Committer(commit)
        putting = asyncio.create_task(committer.put(1))
        await asyncio.to_thread(writing.wait, 10)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert len(others) == 2  # who waits, and who writes
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert putting.cancelled()
        go_on.set()
        await asyncio.wait_for(committer.close(), 10)

    asyncio.run(session())
