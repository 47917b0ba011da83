"""Batches and money: what lies at the provider is neither left behind nor counted as free."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.models.budget import Spent
from openstrawberry.store.summary import Summary
from tests.engine.batch_runs import finish, open_run
from tests.engine.test_batch_kills import broken_off
from tests.servers.batches import BatchServer, stepping
from tests.servers.dialects import failure
from tests.servers.http import Answer, Server

PLENTY = 10**9


def left_at_the_provider(folder: Path, **fields: Any) -> tuple[str, Summary]:
    """What is said to a command that goes on with `fields`, and the summary of one that goes on as it should."""

    async def session() -> tuple[str, Summary]:
        handler = BatchServer("openai", stepping(2), stage="polling")
        async with Server(handler, keep=False) as server:
            await broken_off(folder, handler, server.url)
            with pytest.raises(SetupError) as caught:
                open_run(folder, "openai", server.url, 6, **fields)
            summary = await finish(open_run(folder, "openai", server.url, 6))
            assert max(handler.asked.values()) == 1
            return str(caught.value), summary

    return asyncio.run(session())


def test_live_calls_do_not_go_on_with_a_run_whose_batch_is_at_the_provider(tmp_path: Path) -> None:
    told, summary = left_at_the_provider(tmp_path, engine="live")
    assert told.startswith("1 batch of this run went to the provider: add --engine batch to pick up what was paid for")
    assert summary.statuses == {"correct": 6}


def test_a_budget_cannot_count_a_batch_that_was_handed_over_without_one(tmp_path: Path) -> None:
    told, summary = left_at_the_provider(tmp_path, budget_tokens=PLENTY)
    assert told.endswith("so what they cost is not known yet: leave the budget out until they are done.")
    assert summary.statuses == {"correct": 6}


def given_up(folder: Path, posted: Answer, listed: Answer | None) -> tuple[Spent, int]:
    """What a run counts as spent, and how many batches its journal holds, when every submission is answered with
    `posted` and every look at the provider's list with `listed`.
    """

    async def session() -> tuple[Spent, int]:
        inner = BatchServer("openai", stepping(2))

        def refusing(received: Any) -> Answer:
            if received.path.partition("?")[0].endswith("/batches"):
                return posted if received.method == "POST" else listed or inner(received)
            return inner(received)

        async with Server(refusing, keep=False) as server:
            with pytest.raises(SetupError):
                await finish(open_run(folder, "openai", server.url, 4, budget_tokens=PLENTY))
            assert len(inner.live) == 1
            again = open_run(folder, "openai", server.url, 4, budget_tokens=PLENTY)
            found = again.directory.spent(), len(again.directory.batches.entries())
            await again.close()
            return found

    return asyncio.run(session())


def test_a_batch_that_was_turned_away_costs_nothing_and_is_forgotten(tmp_path: Path) -> None:
    spent, entries = given_up(tmp_path, failure("openai", 400, "no batches for you"), None)
    assert entries == 0
    assert spent.counted_tokens is not None
    assert 0 < spent.counted_tokens < 2 * 4096  # the request that went ahead


@pytest.mark.parametrize("status", [500, 429, 401])
def test_a_batch_that_may_be_there_is_not_forgotten_and_not_free(tmp_path: Path, status: int) -> None:
    """However little the look at the list would have cost: whether the batch is there nobody knows."""
    lost = failure("openai", 500, "who knows")
    spent, entries = given_up(tmp_path, lost, failure("openai", status, "not now"))
    assert entries == 1
    assert spent.counted_tokens is not None
    assert spent.counted_tokens > 4 * 4096


def test_every_trace_of_a_batch_run_ends_within_a_budget_of_one_wave(tmp_path: Path) -> None:
    """The first request and the wave behind it share what there is: nobody waits for money that waits for him."""

    async def session() -> tuple[Summary, BatchServer]:
        handler = BatchServer("openai", stepping(3))
        async with Server(handler, keep=False) as server:
            one = 4096 + 700  # tokens that a request may take, roughly
            run = open_run(tmp_path, "openai", server.url, 5, budget_tokens=3 * one, max_tokens=4096)
            return await asyncio.wait_for(finish(run), 60), handler

    summary, handler = asyncio.run(session())
    assert set(summary.stops) <= {"final_answer", "budget"}
    assert sum(summary.stops.values()) == 5
    assert summary.stops.get("final_answer", 0) >= 1
    assert Counter(handler.asked.values()).keys() == {1}
