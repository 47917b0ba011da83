"""A batch run that is killed at each of its stages and started again: no batch submitted twice, no result lost.

The judge is the server's own ledger. Each stage is a place where the server holds its breath: before a batch exists,
when it exists but its id is not told, while it is polled, and in the middle of the download.
"""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.models.batch import BatchEntry
from openstrawberry.models.model import without_address
from openstrawberry.store.reading import read_traces
from openstrawberry.store.summary import Summary
from tests.engine.batch_runs import QUICK, WIRES, finish, open_run
from tests.servers.batches import Batch, BatchServer, Stage, stepping
from tests.servers.http import Server

STAGES: tuple[Stage, ...] = ("before", "submitted", "polling", "downloading")
ROOT = Path(__file__).parents[2]
TRACES, TURNS = 6, 3


async def broken_off(folder: Path, handler: BatchServer, url: str, traces: int = TRACES) -> None:
    """A run that is cancelled where the server holds its breath."""
    run = open_run(folder, handler.dialect, url, traces)
    running = asyncio.create_task(run.run())
    await asyncio.wait([asyncio.create_task(handler.reached.wait()), running], return_when=asyncio.FIRST_COMPLETED)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await run.close()


def judged(handler: BatchServer, folder: Path, summary: dict[str, Any], live: int = 1) -> None:
    """Every request once, every reply there, every trace right."""
    assert summary["statuses"] == {"correct": TRACES}
    assert set(handler.asked.values()) == {1}
    assert handler.asked.total() + len(handler.live) == TRACES * TURNS
    assert len(handler.live) == live
    traces = list(read_traces(folder / "run"))
    assert len(traces) == TRACES
    assert all(trace.turns == TURNS for trace in traces)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("dialect", WIRES)
def test_a_run_that_is_broken_off_goes_on(tmp_path: Path, dialect: str, stage: Stage) -> None:
    async def session() -> tuple[BatchServer, Summary]:
        handler = BatchServer(dialect, stepping(TURNS), stage=stage)
        async with Server(handler, keep=False) as server:
            await broken_off(tmp_path, handler, server.url)
            assert len(handler.batches) == (0 if stage == "before" else 1)
            return handler, await finish(open_run(tmp_path, dialect, server.url, TRACES))

    handler, summary = asyncio.run(session())
    judged(handler, tmp_path, vars(summary))
    assert handler.sizes == [TRACES - 1, TRACES, TRACES] or stage == "before"


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_is_killed_goes_on(tmp_path: Path, stage: Stage) -> None:
    async def process(url: str) -> asyncio.subprocess.Process:
        command = ["-m", "tests.engine.batch_runs", str(tmp_path), "openai", url, str(TRACES)]
        return await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )

    async def session() -> tuple[BatchServer, dict[str, Any]]:
        handler = BatchServer("openai", stepping(TURNS), stage=stage)
        async with Server(handler, keep=False) as server:
            first = await process(server.url)
            await asyncio.wait_for(handler.reached.wait(), 30)
            first.kill()
            await first.communicate()
            second = await process(server.url)
            said, trouble = await asyncio.wait_for(second.communicate(), 60)
            assert second.returncode == 0, trouble.decode()
            summary: dict[str, Any] = json.loads(said.splitlines()[-1])
            return handler, summary

    handler, summary = asyncio.run(session())
    judged(handler, tmp_path, summary)


def test_killed_over_and_over_it_still_pays_once(tmp_path: Path) -> None:
    async def session() -> tuple[BatchServer, Summary]:
        handler = BatchServer("openai", stepping(TURNS))
        async with Server(handler, keep=False) as server:
            for stage in (*STAGES, *reversed(STAGES)):
                handler.stage, handler.reached = stage, asyncio.Event()
                await broken_off(tmp_path, handler, server.url)
            return handler, await finish(open_run(tmp_path, "openai", server.url, TRACES))

    handler, summary = asyncio.run(session())
    judged(handler, tmp_path, vars(summary))


def test_at_anthropic_somebody_elses_batch_of_the_same_size_is_not_taken_for_ours(tmp_path: Path) -> None:
    async def session() -> tuple[BatchServer, Summary]:
        handler = BatchServer("anthropic", stepping(TURNS), stage="submitted")
        async with Server(handler, keep=False) as server:
            rows = [(f"theirs-{number}", {"messages": []}) for number in range(TRACES - 1)]
            handler.hand_in("", rows, 0)  # before ours, and still running when ours is looked for
            await broken_off(tmp_path, handler, server.url)
            return handler, await finish(open_run(tmp_path, "anthropic", server.url, TRACES))

    handler, summary = asyncio.run(session())
    assert summary.statuses == {"correct": TRACES}
    assert set(handler.asked.values()) == {1}
    assert handler.sizes == [TRACES - 1, TRACES - 1, TRACES, TRACES]


def test_a_batch_that_comes_on_the_list_late_is_waited_for(tmp_path: Path) -> None:
    """A provider may need a moment to list what it has taken: what is not there yet is not submitted again."""
    waits: list[float] = []

    class Slow(BatchServer):
        def _job(self, batch: Batch) -> dict[str, Any]:
            listed = super()._job(batch)
            return listed if waits else {**listed, "metadata": {}}

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    async def session() -> tuple[BatchServer, Summary]:
        handler = Slow("openai", stepping(TURNS), stage="submitted")
        async with Server(handler, keep=False) as server:
            await broken_off(tmp_path, handler, server.url)
            plan = replace(QUICK, settle=3600.0, sleep=sleep)
            return handler, await finish(open_run(tmp_path, "openai", server.url, TRACES, plan=plan))

    handler, summary = asyncio.run(session())
    judged(handler, tmp_path, vars(summary))
    assert 3500 < waits[0] <= 3600


def test_a_run_whose_only_trace_of_work_is_a_batch_keeps_its_directory(tmp_path: Path) -> None:
    async def session() -> None:
        handler = BatchServer("openai", stepping(TURNS), stage="submitted")
        async with Server(handler, keep=False) as server:
            await broken_off(tmp_path, handler, server.url)
            (tmp_path / "run" / "traces-00000.jsonl").unlink(missing_ok=True)
            run = open_run(tmp_path, "openai", server.url, TRACES, plan=QUICK)
            assert run.batches == 1
            await run.close()

    asyncio.run(session())
    assert (tmp_path / "run" / "replies.sqlite").exists()


def test_a_batch_that_is_fetched_again_is_counted_once(tmp_path: Path) -> None:
    """Killed when every reply was on record, and the entries were not struck out yet."""

    async def session() -> tuple[int | None, int | None]:
        handler = BatchServer("openai", stepping(2))
        async with Server(handler, keep=False) as server:
            await finish(open_run(tmp_path, "openai", server.url, 4))
            killed = open_run(tmp_path, "openai", server.url, 4)
            before, spec = killed.directory.spent(), without_address(killed.model.spec)
            for batch in handler.batches.values():
                keys = tuple(key for key, _ in batch.rows)
                await killed.directory.batches.write(BatchEntry(batch.tag, spec, keys, batch.created, batch.id))
            await killed.close()
            again = open_run(tmp_path, "openai", server.url, 5)
            assert again.batches == 2
            assert (await finish(again)).statuses == {"correct": 5}
            after = open_run(tmp_path, "openai", server.url, 5)
            spent = after.directory.spent().counted_tokens
            assert after.batches == 0
            await after.close()
            return before.counted_tokens, spent

    assert asyncio.run(session()) == (4 * 2 * 130, 5 * 2 * 130)


def test_a_batch_that_took_long_to_hand_over_is_looked_for_all_the_same(tmp_path: Path) -> None:
    """Its entry is older than its upload: how old that is says nothing of when the provider took it."""
    hidden, waits = True, list[float]()

    class Slow(BatchServer):
        def _job(self, batch: Batch) -> dict[str, Any]:
            return {**super()._job(batch), **({"metadata": {}} if hidden else {})}

    async def sleep(seconds: float) -> None:
        nonlocal hidden
        waits.append(seconds)
        hidden = False
        await asyncio.sleep(0)

    async def session() -> tuple[BatchServer, Summary]:
        handler = Slow("openai", stepping(TURNS), stage="submitted")
        async with Server(handler, keep=False) as server:
            await broken_off(tmp_path, handler, server.url)
            later = replace(QUICK, settle=60.0, sleep=sleep, clock=lambda: time.time() + 600)
            return handler, await finish(open_run(tmp_path, "openai", server.url, TRACES, plan=later))

    handler, summary = asyncio.run(session())
    judged(handler, tmp_path, vars(summary))
    assert 50 < waits[0] <= 60
