"""When what was committed to an SQLite database in WAL mode is safe against a power cut, too.

A commit goes to the log and is safe from then on however the process ends. Whoever commits does not wait for the disk
(`pragma synchronous = normal`): a disk that hesitates would hold up every conversation at every turn. The log is synced
here, in a thread, and as a file: a checkpoint syncs nothing while somebody else reads an older state.
"""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from openstrawberry.store.committer import Committer
from openstrawberry.store.files import explained

LONGEST = 64 * 1024 * 1024  # bytes of log that are moved into the database, since each new start of the log is a sync


class Syncer:
    """Syncs the log of `database`, which is open already and moves nothing by itself (`wal_autocheckpoint = 0`)."""

    LATEST: ClassVar[float] = 1.0
    """Seconds after which a commit is synced."""

    def __init__(self, database: Path) -> None:
        self.folder = database.parent
        self._database = database
        self._log = os.open(f"{database}-wal", os.O_RDWR)
        self._committer: Committer[None] = Committer(self._sync)
        self._owed = False
        self._later: asyncio.Task[None] | None = None

    async def now(self) -> None:
        """Returns when everything that was committed before is synced.

        Raises:
            SetupError: the disk does not take it.
        """
        self._owed = False
        with explained(self.folder):
            await self._committer.put(None)

    def soon(self) -> None:
        """Has what was committed synced within a second, if the loop runs on; raises what went wrong the last time."""
        self._owed = True
        self._look_back()
        if self._later is None:
            self._later = asyncio.create_task(self._sync_later())

    async def close(self) -> None:
        """Syncs what is left, raises what went wrong, and lets go of the file."""
        try:
            if self._later is not None and not self._later.done():
                self._later.cancel()
            self._look_back()
            await self.now()
        finally:
            await self._committer.close()
            self.leave()

    def leave(self) -> None:
        """Lets go of the file, where nothing was committed."""
        os.close(self._log)

    async def _sync_later(self) -> None:
        while self._owed:
            await asyncio.sleep(self.LATEST)
            await self.now()

    def _look_back(self) -> None:
        if self._later is not None and self._later.done():
            over, self._later = self._later, None
            if not over.cancelled():
                over.result()

    def _sync(self, waiting: Sequence[None]) -> None:
        os.fsync(self._log)
        if os.fstat(self._log).st_size > LONGEST:
            with closing(sqlite3.connect(self._database, timeout=0)) as db:
                db.execute("pragma wal_checkpoint(passive)").fetchone()  # nearly all, while others commit
                db.execute("pragma wal_checkpoint(truncate)").fetchone()  # the rest; if somebody is busy, the next time
