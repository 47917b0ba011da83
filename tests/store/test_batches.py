"""The journal of batches: what stands in it survives any end, and nothing else does."""

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.models.batch import BatchEntry
from openstrawberry.store.run import RunDirectory

ENTRY = BatchEntry("tag-1", "openai:gpt", ("a", "b"), created=5.0)


def test_an_entry_is_on_disk_when_write_returns_and_gone_when_remove_does(tmp_path: Path) -> None:
    def on_disk() -> list[tuple[str, str]]:
        with sqlite3.connect(tmp_path / "run" / "replies.sqlite") as db:
            return db.execute("select tag, id from batches order by created").fetchall()

    async def session() -> None:
        directory = RunDirectory(tmp_path / "run", {}, {})
        table = directory.batches
        await table.write(replace(ENTRY, tag="tag-2", created=6.0))
        await table.write(ENTRY)
        assert on_disk() == [("tag-1", ""), ("tag-2", "")]
        await table.write(replace(ENTRY, id="batch-1"))
        assert on_disk() == [("tag-1", "batch-1"), ("tag-2", "")]
        await table.remove("tag-2")
        assert on_disk() == [("tag-1", "batch-1")]
        await directory.close()

    asyncio.run(session())


def test_what_an_earlier_run_has_left_is_read_back_oldest_first(tmp_path: Path) -> None:
    async def session() -> None:
        first = RunDirectory(tmp_path / "run", {}, {})
        later = replace(ENTRY, tag="later", created=9.0, id="batch-9")
        await first.batches.write(later)
        await first.batches.write(ENTRY)
        await first.close()
        second = RunDirectory(tmp_path / "run", {}, {})
        await second.close()
        assert tuple(second.batches.entries()) == (ENTRY, later)

    asyncio.run(session())


def test_a_new_directory_with_a_batch_at_the_provider_is_kept(tmp_path: Path) -> None:
    async def session(entry: BatchEntry | None) -> None:
        directory = RunDirectory(tmp_path / "run", {}, {})
        if entry is not None:
            await directory.batches.write(entry)
        await directory.close()

    asyncio.run(session(None))
    assert not (tmp_path / "run").exists()
    asyncio.run(session(ENTRY))
    assert (tmp_path / "run" / "replies.sqlite").exists()


def test_a_journal_that_cannot_be_written_stops_the_run_with_a_sentence(tmp_path: Path) -> None:
    async def session() -> None:
        directory = RunDirectory(tmp_path / "run", {}, {})
        table = directory.batches
        with sqlite3.connect(tmp_path / "run" / "replies.sqlite") as db:
            db.execute("drop table batches")
        with pytest.raises(SetupError, match=r"Cannot write to .* run the same command again"):
            await table.write(ENTRY)
        await directory.close()

    asyncio.run(session())
