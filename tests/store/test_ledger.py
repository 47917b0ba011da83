"""What a run has spent, on disk: nothing is forgotten by a kill, and nothing unknown becomes 0."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from openstrawberry.chat import Reply, Usage
from openstrawberry.models.budget import Amount, Spent
from openstrawberry.store import ledger
from openstrawberry.store.run import RunDirectory
from openstrawberry.store.summary import summarise
from tests.making import make_reply, make_trace

CONFIG = {"problems": "p.jsonl", "samples": 4, "limit": None}
IDENTITY = {"model": "scripted:test"}
WORST = Amount(1.0, 1000)
Work = Callable[[RunDirectory], Awaitable[None]]


def using(path: Path, work: Work | None = None) -> Spent:
    """Opens the directory, does `work`, closes it; what it has spent by then."""

    async def session() -> Spent:
        run = RunDirectory(path / "run", IDENTITY, CONFIG)
        try:
            if work is not None:
                await work(run)
            return run.spent()
        finally:
            await run.close()

    return asyncio.run(session())


def paid(cost: float | None, read: int | None = 30, saved: float | None = 0.0) -> Reply:
    return make_reply().model_copy(update={"cost_usd": cost, "saved_usd": saved, "usage": Usage(input=read, output=5)})


def test_replies_add_up_over_all_commands(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        await asyncio.gather(*(run.keep(f"{run.resumed}/{number}", paid(0.125, saved=0.5)) for number in range(8)))

    assert using(tmp_path, work) == Spent(1.0, 0, 4.0, 1.0, 280)
    assert using(tmp_path, work) == Spent(2.0, 0, 8.0, 2.0, 560)


def test_a_reply_takes_the_place_of_what_was_reserved_for_it(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        await run.reserve("key", WORST)
        await run.keep("key", paid(0.25))

    using(tmp_path, work)
    assert using(tmp_path) == Spent(0.25, 0, 0.0, 0.25, 35)


def test_a_reply_that_is_fetched_again_counts_once(tmp_path: Path) -> None:
    """As by a run that was killed between the last reply of a batch and the end of its entry."""

    async def work(run: RunDirectory) -> None:
        await run.keep("key", paid(0.25))

    using(tmp_path, work)
    assert using(tmp_path, work) == Spent(0.25, 0, 0.0, 0.25, 35)


def test_what_a_kill_left_under_way_counts_at_its_worst(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        await run.keep("other", paid(0.25))
        await run.reserve("key", WORST)
        await run.reserve("another", WORST)

    assert using(tmp_path, work) == Spent(0.25, 0, 0.0, 2.25, 2035)
    assert using(tmp_path) == Spent(0.25, 0, 0.0, 2.25, 2035)
    assert using(tmp_path) == Spent(0.25, 0, 0.0, 2.25, 2035)


def test_an_attempt_whose_end_is_unknown_counts_beside_the_one_that_worked(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        await run.reserve("key", WORST)
        await run.reserve("key", Amount(2.0, 2000))
        await run.keep("key", paid(0.25))

    assert using(tmp_path, work) == Spent(0.25, 0, 0.0, 1.25, 1035)
    assert using(tmp_path) == Spent(0.25, 0, 0.0, 1.25, 1035)


def test_what_was_certainly_not_billed_is_forgotten(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        await run.reserve("key", WORST)
        await run.release("key")
        await run.keep("other", paid(0.0, read=0))

    using(tmp_path, work)
    assert using(tmp_path) == Spent(0.0, 0, 0.0, 0.0, 5)


def test_a_reply_of_unknown_cost_counts_at_its_reservation_and_is_not_called_free(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        await run.reserve("key", WORST)
        await run.keep("key", paid(None, read=None))

    assert using(tmp_path, work) == Spent(0.0, 1, 0.0, 1.0, 1000)


@pytest.mark.parametrize(("cost", "read", "counted"), [(None, 30, (None, 35)), (0.5, None, (0.5, None))])
def test_without_a_reservation_an_unknown_makes_the_sum_unknown_for_ever(
    tmp_path: Path, cost: float | None, read: int | None, counted: tuple[float | None, int | None]
) -> None:
    using(tmp_path, lambda run: run.keep("key", paid(cost, read)))
    found = using(tmp_path)
    assert (found.counted_usd, found.counted_tokens) == counted
    after = using(tmp_path, lambda run: run.keep("more", paid(1.0)))
    assert (after.counted_usd is None, after.counted_tokens is None) == (cost is None, read is None)


def test_a_record_from_before_there_were_sums_is_unknown(tmp_path: Path) -> None:
    using(tmp_path, lambda run: run.keep("key", paid(0.5)))
    with sqlite3.connect(tmp_path / "run" / "replies.sqlite") as db:
        db.executescript("drop table spent; drop table reservations")
    db.close()
    assert using(tmp_path) == Spent(0.0, 1, 0.0, None, None)
    after = using(tmp_path, lambda run: run.keep("more", paid(0.5)))
    assert after == Spent(0.5, 1, 0.0, None, None)


def test_a_directory_in_which_only_money_may_have_been_lost_is_kept(tmp_path: Path) -> None:
    using(tmp_path, lambda run: run.reserve("key", WORST))
    assert using(tmp_path).counted_usd == 1.0

    async def free(run: RunDirectory) -> None:
        await run.reserve("key", WORST)
        await run.release("key")

    using(tmp_path / "other", free)
    assert not (tmp_path / "other").exists()


def test_the_summary_tells_cost_and_what_the_cache_saved(tmp_path: Path) -> None:
    async def known(run: RunDirectory) -> None:
        await run.keep("a", paid(0.5, saved=0.25))
        summary = summarise(run)
        assert (summary.cost_usd, summary.cache_saved_usd, summary.open_usd) == (0.5, 0.25, 0.0)
        await run.reserve("b", WORST)
        assert summarise(run).open_usd == 1.0
        await run.keep("b", paid(None))
        summary = summarise(run)
        assert (summary.cost_usd, summary.priced_usd, summary.unpriced) == (-1.0, 0.5, 1)

    using(tmp_path, known)


def test_the_index_holds_the_cost_of_each_trace_and_one_without_it_is_made_anew(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        for number, cost in enumerate((0.5, -1.0)):
            await run.add(make_trace(number).model_copy(update={"cost_usd": cost}))

    using(tmp_path, work)
    with sqlite3.connect(tmp_path / "run" / "index.sqlite") as db:
        db.execute("alter table traces drop column cost")
    db.close()

    async def look(run: RunDirectory) -> None:
        assert run.rows("select cost from traces order by sample") == [(0.5,), (-1.0,)]

    using(tmp_path, look)


def test_a_trace_that_ran_out_of_budget_is_owed_and_not_among_the_finished(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        await run.add(make_trace(1, stop="budget", status="unknown", error="The budget does not cover it."))
        await run.add(make_trace(2))

    using(tmp_path, work)
    assert (tmp_path / "run" / "failed-00000.jsonl").read_text().count("\n") == 1

    async def look(run: RunDirectory) -> None:
        assert [run.owed(make_trace(number).id, 40) for number in (1, 2)] == [True, False]
        summary = summarise(run)
        assert (summary.owed, summary.failed, summary.statuses) == (1, 0, {"correct": 1})

    using(tmp_path, look)


def test_what_lies_in_a_batch_stays_reserved_and_is_counted_once() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("create table replies (key text primary key, reply text not null)")
    ledger.open_ledger(db)
    ledger.reserve(db, "in a batch", Amount(1.0, 1000))
    ledger.reserve(db, "under way", Amount(2.0, 2000))
    ledger.open_ledger(db, {"in a batch"})  # the next command
    assert (ledger.spent(db).counted_usd, ledger.spent(db).counted_tokens) == (3.0, 3000)
    assert not ledger.unreserved(db, ["in a batch"])
    assert ledger.unreserved(db, ["in a batch", "put in without a budget"])
    ledger.count(db, "in a batch", Reply(content="x", usage=Usage(input=5, output=5), cost_usd=0.1))
    assert (ledger.spent(db).counted_usd, ledger.spent(db).counted_tokens) == (2.1, 2010)
