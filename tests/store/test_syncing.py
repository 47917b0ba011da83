"""What is committed reaches the disk, whoever reads beside it and however it ends."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.store.syncing import LONGEST, Syncer


class Watched(Syncer):
    """Counts what the log held, in bytes, each time that it was synced; waits for `let` and fails when told to."""

    LATEST = 0.0

    def __init__(self, database: Path) -> None:
        super().__init__(database)
        self.log = Path(f"{database}-wal")
        self.synced: list[int] = []
        self.begun, self.let = threading.Event(), threading.Event()
        self.let.set()
        self.broken = False

    def _sync(self, waiting: object) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")
        held = self.log.stat().st_size
        self.begun.set()
        assert self.let.wait(10)
        super()._sync([])
        self.synced.append(held)


def committed(db: sqlite3.Connection, bytes: int = 10) -> None:
    with db:
        db.execute("insert into texts values (?)", ("x" * bytes,))


def syncing(tmp_path: Path, work: Callable[[sqlite3.Connection, Watched], Awaitable[None]]) -> Watched:
    db = sqlite3.connect(tmp_path / "some.sqlite")
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = normal")
    db.execute("pragma wal_autocheckpoint = 0")
    db.execute("create table if not exists texts (text text)")

    async def session() -> Watched:
        syncer = Watched(tmp_path / "some.sqlite")
        await work(db, syncer)
        await syncer.close()
        return syncer

    try:
        return asyncio.run(session())
    finally:
        db.close()


def test_now_returns_when_everything_before_it_is_synced(tmp_path: Path) -> None:
    async def work(db: sqlite3.Connection, syncer: Watched) -> None:
        committed(db)
        await syncer.now()
        assert syncer.synced == [syncer.log.stat().st_size]

    syncing(tmp_path, work)


def test_what_is_committed_while_a_sync_is_under_way_is_synced_soon_as_well(tmp_path: Path) -> None:
    async def work(db: sqlite3.Connection, syncer: Watched) -> None:
        syncer.let.clear()
        committed(db)
        syncer.soon()
        await asyncio.to_thread(syncer.begun.wait, 10)
        committed(db)
        syncer.soon()
        syncer.let.set()
        async with asyncio.timeout(10):
            while len(syncer.synced) < 2:
                await asyncio.sleep(0)
        assert syncer.synced[0] < syncer.synced[1] == syncer.log.stat().st_size

    syncing(tmp_path, work)


def test_closing_syncs_what_is_left(tmp_path: Path) -> None:
    async def work(db: sqlite3.Connection, syncer: Watched) -> None:
        committed(db)
        syncer.soon()
        assert syncer.synced == []

    assert len(syncing(tmp_path, work).synced) == 1


def test_a_disk_that_takes_nothing_is_told_at_the_call_that_waits_and_at_the_end(tmp_path: Path) -> None:
    async def work(db: sqlite3.Connection, syncer: Watched) -> None:
        committed(db)
        syncer.broken = True
        with pytest.raises(SetupError, match=r"Cannot write to .*input/output error"):
            await syncer.now()

    with pytest.raises(SetupError, match=r"Cannot write to .*input/output error"):
        syncing(tmp_path, work)


def test_a_long_log_is_moved_into_the_database(tmp_path: Path) -> None:
    async def work(db: sqlite3.Connection, syncer: Watched) -> None:
        for _ in range(80):
            committed(db, 1_000_000)
            await syncer.now()

    lengths = syncing(tmp_path, work).synced
    assert LONGEST < max(lengths) < 1.1 * LONGEST
    assert lengths[-2] < LONGEST / 2
