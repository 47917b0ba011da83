"""One run directory, open for writing.

    run.json            resolved config, versions, and the identity that a continuation must share
    traces-*.jsonl      finished traces, one whole trace per line, appended in one write
    failed-*.jsonl      traces that ended in an error or at the end of the budget; the next resume retries them
    verdicts-*.jsonl    what `strawberry verify` said later, by trace id; the newest wins when reading
    index.sqlite        where each trace stands (derived from the files, see index.py)
    replies.sqlite      the reply record: every reply, keyed by what asked for it; what was spent (ledger.py), and the
                        journal of batches (batches.py)
    log.jsonl           what happened beside the traces: starts, retries, ends
    run.lock            held while a process writes here; dies with its owner

The durability promise: a reply is committed before it is used, and a finished trace is flushed and synced before it is
counted, and the replies with it. What is committed is safe however the process ends; syncing.py makes it safe against a
power cut within a second, and before a call is sent whose price a budget has reserved.

The directory is claimed before anything is asked, so that a place that cannot be written to, or that another process is
using, is found before anything is paid for; it is taken away again if nothing worth keeping came.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openstrawberry.chat import Reply
from openstrawberry.models.budget import Amount, Spent
from openstrawberry.store import ledger
from openstrawberry.store.batches import BatchTable
from openstrawberry.store.committer import Committer
from openstrawberry.store.files import explained
from openstrawberry.store.fitting import covers, plain, refuse_foreign, refuse_other
from openstrawberry.store.index import FINISHED, Index, Place
from openstrawberry.store.lock import lock
from openstrawberry.store.reading import read_run
from openstrawberry.store.syncing import Syncer
from openstrawberry.trace import OWED, Trace

FILE_LIMIT = 512 * 1024 * 1024  # bytes after which the next traces file is begun


class RunDirectory:
    """Writes one run. Also the `ReplyRecord` of its models and the `Ledger` of their budget; `batches` is their
    `BatchJournal`.

    Args:
        path: the directory; made on the first write, continued when it holds a run.
        identity: what a continuation must share: model, strategy, prompt texts, sampling.
        config: everything that was asked for, for `run.json`.
        beside: opened for work beside the traces, which leaves `run.json` as it is.

    Raises:
        SetupError: the directory belongs to another configuration or process, or cannot be used.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, Any], config: Mapping[str, Any], beside: bool = False
    ) -> None:
        self.path = path
        self._beside = beside
        self._identity = dict(identity)
        self._config = dict(config)
        self._added = Committer(self._commit_traces)
        with explained(path):
            self.resumed = (path / "run.json").exists()
            refuse_foreign(path)
            path.mkdir(parents=True, exist_ok=True)
            self._lock = lock(path)
        try:
            with explained(path):
                self._open()
        except BaseException:
            self._lock.close()
            raise

    @classmethod
    def reopened(cls, path: Path) -> "RunDirectory":
        """A run that is there, for work beside its traces: whether it is finished stays as it is.

        Raises:
            SetupError: there is none, or another process is writing to it.
        """
        run = read_run(path)
        return cls(path, run.get("identity", {}), run.get("config", {}), beside=True)

    @property
    def digest(self) -> str:
        """Short hash of the identity."""
        return digest_of(self._identity)

    # The reply record.

    def find(self, key: str) -> Reply | None:
        """The reply recorded under `key`."""
        row = self._replies.execute("select reply from replies where key = ?", (key,)).fetchone()
        return Reply.model_validate_json(row[0]) if row else None

    async def keep(self, key: str, reply: Reply) -> None:
        """Records a reply.

        What is on record already stays as it is, and is not counted again: a batch whose download was cut off is
        fetched once more from its start.
        """
        text = reply.model_dump_json()
        with explained(self.path), self._replies as db:
            fresh = db.execute("insert or ignore into replies values (?, ?)", (key, text)).rowcount
            if fresh:
                ledger.count(db, key, reply)
        self._syncer.soon()

    # The ledger of a budget.

    def spent(self) -> Spent:
        """What this run has spent in all its commands; what is under way counts at its worst."""
        return ledger.spent(self._replies)

    async def reserve(self, key: str, amount: Amount) -> None:
        """Notes what a request may cost; returns when that is synced."""
        with explained(self.path), self._replies as db:
            ledger.reserve(db, key, amount)
        await self._syncer.now()

    async def release(self, key: str) -> None:
        """Takes back what was reserved for a request that was certainly not billed."""
        with explained(self.path), self._replies as db:
            ledger.release(db, key)
        self._syncer.soon()

    # Finished traces.

    def owed(self, trace_id: str, max_turns: int) -> bool:
        """Whether this trace is still to be made: it is missing, failed, or stopped at fewer turns than now allowed."""
        state = self._index.state(trace_id)
        return state is None or state[0] in OWED or (state[0] == "max_turns" and state[1] < max_turns)

    async def add(self, trace: Trace) -> None:
        """Appends a finished trace; returns when it and its replies are synced."""
        with explained(self.path):
            await self._added.put(trace)
        await self._syncer.now()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Asks the index (table `traces`)."""
        return self._index.query(sql)

    def log(self, event: str, **fields: object) -> None:
        """Notes what happened, for whoever wonders later; not synced, and nothing is decided by it."""
        with explained(self.path), (self.path / "log.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps({"time": _now(), "event": event, **fields}, ensure_ascii=False) + "\n")

    # Life.

    @property
    def unbudgeted(self) -> bool:
        """Whether batches are at the provider for which no budget has reserved anything."""
        return ledger.unreserved(self._replies, (key for entry in self.batches.entries() for key in entry.keys))

    @property
    def worth_keeping(self) -> bool:
        """Whether there is a reply, a finished trace, a batch at the provider, or a call that may have been billed."""
        replies = self._replies.execute("select exists (select 1 from replies)").fetchone()[0]
        finished = self._index.query(f"select 1 from traces where {FINISHED} limit 1")
        return bool(replies or finished or self.batches.entries() or self.spent().counted_usd != 0)

    def finish(self) -> None:
        """Marks the run as finished: the next run with the same identity starts a new directory.

        A command that asked for less than an earlier one (other problems, fewer samples) does not finish its run.
        """
        if self._covers:
            with explained(self.path):
                self._write_run(finished=_now())
            self.log("finished")

    async def close(self) -> None:
        """Waits for what is on its way to disk and lets go of the directory; an empty new one is taken away."""
        try:
            await self._added.close()
            await self._syncer.close()
        finally:
            self._let_go()

    def abandon(self) -> None:
        """Lets go of a directory in which nothing was begun; an empty new one is taken away."""
        self._syncer.leave()
        self._let_go()

    def _let_go(self) -> None:
        empty = not self.resumed and not self.worth_keeping
        self._index.close()
        self._replies.close()
        if empty:
            self._take_away()
        self._lock.close()

    def _open(self) -> None:
        self.resumed = (self.path / "run.json").exists()  # somebody may have made it while we waited for the lock
        self._covers = True
        if self.resumed:
            run = read_run(self.path)
            refuse_other(self.path, run, self._identity, self._config)
            self._covers = covers(self._config, run.get("config", {}))
        if not self._beside:
            self._write_run(finished="")
        self._index = Index(self.path)
        self._index.catch_up(repair=True)
        self._replies = sqlite3.connect(self.path / "replies.sqlite", timeout=60)
        self._replies.execute("pragma journal_mode = wal")
        self._replies.execute("pragma synchronous = normal")  # a commit does not wait for the disk,
        self._replies.execute("pragma wal_autocheckpoint = 0")  # nor for a checkpoint
        self._replies.execute("create table if not exists replies (key text primary key, reply text not null)")
        self._syncer = Syncer(self.path / "replies.sqlite")
        self.batches = BatchTable(self._replies, self._syncer)
        ledger.open_ledger(self._replies, {key for entry in self.batches.entries() for key in entry.keys})
        self.log("opened", process=os.getpid())

    def _take_away(self) -> None:
        with contextlib.suppress(OSError):
            for file in self.path.iterdir():
                if _ours(file.name):
                    file.unlink()
            self.path.rmdir()
            self.path.parent.rmdir()  # traces/ itself, if it holds nothing else

    def _write_run(self, finished: str) -> None:
        file = self.path / "run.json"
        old = read_run(self.path) if file.exists() else {}
        run = {
            "schema": 1,
            "created": old.get("created", _now()),
            "finished": finished,
            "digest": self.digest,
            "identity": self._identity,
            "config": self._config if self._covers else old.get("config", {}),
        }
        temporary = file.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as out:
            out.write(json.dumps(run, indent=2, ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)

    def _commit_traces(self, traces: Sequence[Trace]) -> None:
        for kind in ("traces", "failed"):
            group = [trace for trace in traces if trace.owed == (kind == "failed")]
            if group:
                self._append(kind, group)
        self._index.commit()

    def _append(self, kind: str, traces: Sequence[Trace]) -> None:
        path = _last_file(self.path, kind)
        lines = [trace.to_line().encode("utf-8") + b"\n" for trace in traces]
        with path.open("ab", buffering=0) as file:
            offset = file.tell()
            try:
                _write_all(file, b"".join(lines))
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(offset)  # leave no torn line behind if the disk allows it
                raise
        for trace, line in zip(traces, lines, strict=True):
            self._index.add(trace, Place(path.name, offset, len(line)))
            offset += len(line)


def _ours(name: str) -> bool:
    return name.startswith(("run.", "log.", "index.", "replies.", "failed-", "traces-"))


def digest_of(identity: Mapping[str, Any]) -> str:
    """Short hash of what a continuation must share."""
    return hashlib.sha256(json.dumps(plain(identity), sort_keys=True).encode()).hexdigest()[:16]


def _last_file(path: Path, kind: str) -> Path:
    last = max(path.glob(f"{kind}-*.jsonl"), default=path / f"{kind}-00000.jsonl")
    if last.exists() and last.stat().st_size >= FILE_LIMIT:
        return path / f"{kind}-{int(last.stem.rpartition('-')[2]) + 1:05d}.jsonl"
    return last


def _write_all(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
