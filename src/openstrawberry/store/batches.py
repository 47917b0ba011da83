"""The journal of batches: a small table beside the reply record, in the same file.

An entry is on disk before its batch is submitted, and its id before anybody looks for results; it is struck out when
every result is on record. What is in the table when a run is opened is what an earlier one has left at the provider.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from openstrawberry.models.batch import BatchEntry
from openstrawberry.store.files import explained
from openstrawberry.store.syncing import Syncer

_SCHEMA = """
create table if not exists batches (
    tag text primary key, model text not null, id text not null, created real not null, keys text not null)
"""


class BatchTable:
    """The journal of one run directory, in the database of its replies; a `BatchJournal`."""

    def __init__(self, db: sqlite3.Connection, syncer: Syncer) -> None:
        self._db = db
        self._syncer = syncer
        self._db.execute(_SCHEMA)
        rows = self._db.execute("select tag, model, id, created, keys from batches order by created")
        self._entries = {row[0]: _entry(*row) for row in rows}

    def entries(self) -> Sequence[BatchEntry]:
        """Every batch whose results are not all on record, oldest first."""
        return tuple(self._entries.values())

    async def write(self, entry: BatchEntry) -> None:
        """Enters a batch, or what is known of it now; returns when that is synced."""
        self._entries[entry.tag] = entry
        row = (entry.tag, entry.model, entry.id, entry.created, json.dumps(entry.keys))
        await self._change("replace into batches values (?, ?, ?, ?, ?)", row)

    async def remove(self, tag: str) -> None:
        """Strikes out a batch; returns when that is synced."""
        self._entries.pop(tag, None)
        await self._change("delete from batches where tag = ?", (tag,))

    async def _change(self, sql: str, values: tuple[Any, ...]) -> None:
        with explained(self._syncer.folder), self._db as db:
            db.execute(sql, values)
        await self._syncer.now()


def _entry(tag: str, model: str, id: str, created: float, keys: str) -> BatchEntry:
    return BatchEntry(tag, model, tuple(json.loads(keys)), created, id)
