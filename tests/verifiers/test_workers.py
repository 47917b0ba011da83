"""Processes that can be killed, replaced, and that never outlive their use."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openstrawberry.verifiers.workers import Workers, WorkerTimeout

HANGING = (r"\sin(10^{10^{9}})", "1")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_nothing_is_started_before_it_is_needed_and_nothing_is_left_after() -> None:
    async def run() -> None:
        workers = Workers("math", size=2)
        assert workers.pids == ()
        said = await asyncio.gather(*(workers.run(["x+1"], "1+x") for _ in range(6)))
        assert said == [("correct", "")] * 6
        pids = workers.pids
        assert 1 <= len(pids) <= 2
        await workers.close()
        assert workers.pids == ()
        assert not any(alive(pid) for pid in pids)

    asyncio.run(run())


def test_an_overrunning_process_is_killed_and_replaced() -> None:
    async def run() -> None:
        workers = Workers("math", size=1, deadline_s=1.0)
        assert await workers.run(["x+1"], "1+x") == ("correct", "")
        (first,) = workers.pids
        known, answer = HANGING
        with pytest.raises(WorkerTimeout):
            await workers.run([known], answer)
        assert not alive(first)
        assert await workers.run(["x+1"], "x+2") == ("incorrect", "")
        assert workers.pids != (first,)
        await workers.close()

    asyncio.run(run())


def test_a_process_that_died_is_replaced_and_its_job_done() -> None:
    async def run() -> None:
        workers = Workers("math", size=1)
        await workers.run(["x+1"], "1+x")
        (first,) = workers.pids
        os.kill(first, signal.SIGKILL)
        assert await workers.run(["x+1"], "1+x") == ("correct", "")
        assert workers.pids != (first,)
        await workers.close()

    asyncio.run(run())


def test_a_cancelled_job_leaves_no_answer_for_the_next_one() -> None:
    async def run() -> None:
        workers = Workers("math", size=1)
        await workers.run(["x+1"], "1+x")
        job = asyncio.ensure_future(workers.run([HANGING[0]], HANGING[1]))
        await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert await workers.run(["x+1"], "1+x") == ("correct", "")
        await workers.close()

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_busy_process_dies_with_a_parent_that_was_killed() -> None:
    parent = f"""
import asyncio
from openstrawberry.verifiers.workers import Workers

async def main():
    workers = Workers("math", size=1, deadline_s=600)
    await workers.run(["x+1"], "1+x")
    print(*workers.pids, flush=True)
    await workers.run([{HANGING[0]!r}], {HANGING[1]!r})

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        descriptor = os.pidfd_open(child)
        assert alive(child)
        process.kill()
        process.wait()
        ended = asyncio.run(_readable(descriptor))
        os.close(descriptor)
    assert ended


async def _readable(descriptor: int) -> bool:
    """Whether the process behind a pidfd ends within ten seconds."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    async with asyncio.timeout(10):
        await ended.wait()
    asyncio.get_running_loop().remove_reader(descriptor)
    return True
