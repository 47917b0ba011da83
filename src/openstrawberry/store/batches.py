"""The journal of batches: a small table beside the reply record, in the same file.

An entry is on disk before its batch is submitted, and its id before anybody looks for results; it is struck out when
every result is on record. What is in the table when a run is opened is what an earlier one has left at the provider.
"""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from openstrawberry.models.batch import BatchEntry
from openstrawberry.store.committer import Committer
from openstrawberry.store.files import explained

_SCHEMA = """
create table if not exists batches (
    tag text primary key, model text not null, id text not null, created real not null, keys text not null)
"""
_Change = tuple[str, tuple[object, ...]]


class BatchTable:
    """The open journal of one run directory; a `BatchJournal`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._db = sqlite3.connect(folder / "replies.sqlite", timeout=60, check_same_thread=False)
        self._db.execute("pragma synchronous = full")
        self._db.execute("pragma wal_autocheckpoint = 0")  # run.py does it, in a thread
        self._db.execute(_SCHEMA)
        rows = self._db.execute("select tag, model, id, created, keys from batches order by created")
        self._entries = {row[0]: _entry(*row) for row in rows}
        self._changes: Committer[_Change] = Committer(self._commit)

    def entries(self) -> Sequence[BatchEntry]:
        """Every batch whose results are not all on record, oldest first."""
        return tuple(self._entries.values())

    async def write(self, entry: BatchEntry) -> None:
        """Enters a batch, or what is known of it now; returns when it is on disk."""
        self._entries[entry.tag] = entry
        row = (entry.tag, entry.model, entry.id, entry.created, json.dumps(entry.keys))
        with explained(self._folder):
            await self._changes.put(("replace into batches values (?, ?, ?, ?, ?)", row))

    async def remove(self, tag: str) -> None:
        """Strikes out a batch; returns when that is on disk."""
        self._entries.pop(tag, None)
        with explained(self._folder):
            await self._changes.put(("delete from batches where tag = ?", (tag,)))

    async def close(self) -> None:
        """Waits for what is on its way to disk."""
        await self._changes.close()
        self.leave()

    def leave(self) -> None:
        """Lets go of the file, where nothing is on its way."""
        self._db.close()

    def _commit(self, changes: Sequence[_Change]) -> None:
        with self._db:
            for sql, values in changes:
                self._db.execute(sql, values)


def _entry(tag: str, model: str, id: str, created: float, keys: str) -> BatchEntry:
    return BatchEntry(tag, model, tuple(json.loads(keys)), created, id)
