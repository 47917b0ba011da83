"""`index.sqlite`: where each trace stands in the JSONL files, and what one wants to know without parsing it.

The index is derived: it is brought up to date from the files when a run directory is opened, and made anew when it is
missing or does not fit. When an id stands in the files twice (a failed trace that was retried, a trace continued with
more turns), the newest line wins.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstrawberry.trace import OWED, Trace

LOG = logging.getLogger(__name__)

_SCHEMA = """
create table if not exists files (name text primary key, size integer not null);
create table if not exists traces (
    id text primary key, file text not null, offset integer not null, length integer not null,
    problem text not null, question text not null, sample integer not null, model text not null,
    strategy text not null, stop text not null, status text not null, turns integer not null,
    max_turns integer not null, difficulty real not null, input integer not null, cached integer not null,
    output integer not null, seconds real not null, cost real not null, error text not null,
    hinted integer not null, detail text not null, answer text not null, family text not null);
create index if not exists in_order on traces (file desc, offset);
"""
_COLUMNS = 24
_DAMAGED = (ValueError, TypeError, OverflowError, sqlite3.IntegrityError)  # a number, a time or a text that is none
FINISHED = f"stop not in ({', '.join(repr(stop) for stop in sorted(OWED))})"  # of the table `traces`


@dataclass(frozen=True)
class Place:
    """Where one line stands: file name, and offset and length in bytes."""

    file: str
    offset: int
    length: int


class Index:
    """The open index of one run directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._db = _open(folder / "index.sqlite")

    def catch_up(self, repair: bool) -> None:
        """Reads what the files hold beyond the index. With `repair`, a torn last line is cut off: it is owed again."""
        sizes = dict(self._db.execute("select name, size from files"))
        files = {path.name: path for path in sorted(self._folder.glob("*.jsonl")) if _holds_traces(path.name)}
        actual = {name: path.stat().st_size for name, path in files.items()}
        if any(size > actual.get(name, 0) for name, size in sizes.items()):
            self._db.executescript("delete from traces; delete from files")
            sizes = {}
        for name, path in sorted(files.items(), key=lambda item: item[0].startswith("traces")):
            if actual[name] > sizes.get(name, 0):
                self._read(path, sizes.get(name, 0), repair)
        self._db.commit()

    def _read(self, path: Path, start: int, repair: bool) -> None:
        with path.open("rb") as file:
            file.seek(start)
            offset = start
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    self.add(Trace.model_validate_json(line), Place(path.name, offset, len(line)))
                except _DAMAGED:  # it stays in the file and is owed again
                    LOG.warning(
                        "%s: the line at byte %d is damaged and left out; run the command that made it once more.",
                        path,
                        offset,
                    )
                offset += len(line)
        if repair and offset < path.stat().st_size:
            with path.open("rb+") as file:
                file.truncate(offset)
        self._db.execute("replace into files values (?, ?)", (path.name, offset))

    def add(self, trace: Trace, place: Place) -> None:
        """Enters one trace. `commit` makes it last."""
        row = (
            trace.id,
            place.file,
            place.offset,
            place.length,
            trace.problem.id,
            trace.problem.question,
            trace.sample,
            trace.model,
            trace.strategy,
            trace.stop,
            trace.verdict.status,
            trace.turns,
            _max_turns(trace),
            trace.problem.difficulty,
            trace.usage.input,
            trace.usage.cached_input,
            trace.usage.output,
            trace.seconds,
            trace.cost_usd,
            trace.error.message,
            trace.hinted,
            trace.verdict.detail,
            trace.answer,
            _family(trace),
        )
        self._db.execute(f"replace into traces values ({','.join('?' * _COLUMNS)})", row)
        self._db.execute("replace into files values (?, ?)", (place.file, place.offset + place.length))

    def commit(self) -> None:
        """Makes the entries last."""
        self._db.commit()

    def state(self, trace_id: str) -> tuple[str, int] | None:
        """(stop, max_turns) of the newest line with this id."""
        found: tuple[str, int] | None = self._db.execute(
            "select stop, max_turns from traces where id = ?", (trace_id,)
        ).fetchone()
        return found

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Every trace in file order: id, problem, question, sample, stop, status, turns, difficulty, hinted, place."""
        yield from self._db.execute(
            "select id, problem, question, sample, stop, status, turns, difficulty, hinted, file, offset, length "
            "from traces order by file desc, offset"
        )

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a read-only question to the tables `traces` and, once `overlay` was called, `later`."""
        return self._db.execute(sql, values).fetchall()

    def overlay(self, statuses: Iterable[tuple[str, str]]) -> None:
        """(trace id, status) of later verdicts, as the table `later` of this connection."""
        self._db.executescript(
            "drop table if exists temp.later; create temp table later (id text primary key, status text not null)"
        )
        self._db.executemany("insert into temp.later values (?, ?)", statuses)

    def close(self) -> None:
        """Commits and closes."""
        self._db.commit()
        self._db.close()


def _holds_traces(name: str) -> bool:
    return name.startswith(("traces-", "failed-"))


def _family(trace: Trace) -> str:
    """Among which problems difficulties can be compared: the family that it names, else its source."""
    try:
        family = json.loads(trace.problem.metadata or "{}").get("family")
    except (ValueError, AttributeError):
        family = None
    return family if isinstance(family, str) else trace.problem.source


def _max_turns(trace: Trace) -> int:
    params = json.loads(trace.params)
    value = params.get("max_turns") if isinstance(params, dict) else None
    return min(value, 2**31) if isinstance(value, int) else 0


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.OperationalError:  # busy or not to be opened: no reason to throw it away
        raise
    except sqlite3.DatabaseError:  # damaged, or made by another version: it is derived, so make it anew
        path.unlink(missing_ok=True)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = off")
    db.executescript(_SCHEMA)
    if len(db.execute("pragma table_info(traces)").fetchall()) != _COLUMNS:
        db.close()
        raise sqlite3.DatabaseError("made by another version")
    return db
