"""What a run has spent, in the database of its replies, so that a reply and its cost reach the disk in one commit.

Sums, not rows: what a run has spent is known at once, however many replies it has. A sum that can no longer be told is
null, and stays so, because adding to null gives null. `reservations` holds what is under way when a budget is set.
"""

import sqlite3
from collections.abc import Container, Iterable
from contextlib import closing
from pathlib import Path

from openstrawberry.chat import Reply
from openstrawberry.models.budget import NOTHING, Amount, Spent
from openstrawberry.store.files import explained

_SCHEMA = """
create table if not exists reservations (key text primary key, usd real, tokens integer not null);
create table if not exists spent (
    one integer primary key check (one = 1), usd real not null, unpriced integer not null, saved_usd real not null,
    counted_usd real, counted_tokens integer);
insert or ignore into spent
    select 1, 0, count(*), 0, case count(*) when 0 then 0 end, case count(*) when 0 then 0 end from replies
    where not exists (select 1 from spent);
"""
# Reservations added up: 0 where there is none, null where one of them is.
_USD = "(select case count(*) when count(usd) then coalesce(sum(usd), 0) end from reservations where {these})"
_TOKENS = "(select coalesce(sum(tokens), 0) from reservations where {these})"
_COUNT = f"update spent set counted_usd = counted_usd + {_USD}, counted_tokens = counted_tokens + {_TOKENS}"


def open_ledger(db: sqlite3.Connection, in_batches: Container[str] = ()) -> None:
    """Makes the tables. What an earlier process had under way may have been billed, so it counts from now on.

    Except what lies in a batch at the provider: that stays reserved until its reply is there, or its batch is gone. A
    record from before there were sums has replies that nobody can count.
    """
    with db:
        db.executescript(_SCHEMA)
        for (key,) in db.execute("select key from reservations").fetchall():
            if key not in in_batches:
                db.execute(_COUNT.format(these="key = :key"), {"key": key})
                release(db, key)


def reserve(db: sqlite3.Connection, key: str, amount: Amount) -> None:
    """Notes what a request may cost. An earlier attempt of the same key that is still noted counts from now on."""
    db.execute(_COUNT.format(these="key = :key"), {"key": key})
    db.execute("insert or replace into reservations values (?, ?, ?)", (key, amount.usd, amount.tokens))


def release(db: sqlite3.Connection, key: str) -> None:
    """Takes a note back: nothing was billed."""
    db.execute("delete from reservations where key = ?", (key,))


def count(db: sqlite3.Connection, key: str, reply: Reply) -> None:
    """Counts a reply in place of what was reserved for it."""
    held = db.execute("select usd, tokens from reservations where key = ?", (key,)).fetchone() or (None, None)
    release(db, key)
    cost, read, written = reply.cost_usd, reply.usage.input, reply.usage.output
    tokens = held[1] if read is None or written is None else read + written
    db.execute(
        "update spent set usd = usd + ?, unpriced = unpriced + ?, saved_usd = saved_usd + ?, "
        "counted_usd = counted_usd + ?, counted_tokens = counted_tokens + ?",
        (cost or 0.0, cost is None, reply.saved_usd or 0.0, held[0] if cost is None else cost, tokens),
    )


def unreserved(db: sqlite3.Connection, keys: Iterable[str]) -> bool:
    """Whether for one of these keys nothing is reserved, and no reply is there either."""
    known = {key for (key,) in db.execute("select key from reservations union select key from replies")}
    return any(key not in known for key in keys)


def spent(db: sqlite3.Connection) -> Spent:
    """The sums; what is under way counts at its worst."""
    counted = f"counted_usd + {_USD}, counted_tokens + {_TOKENS}".format(these="true")
    return Spent(*db.execute(f"select usd, unpriced, saved_usd, {counted} from spent").fetchone())


def spent_below(folder: Path, without: Path | None = None) -> Spent:
    """What all runs below `folder` have spent together; the run `without` is left out.

    Raises:
        SetupError: one of them cannot be read.
    """
    found = NOTHING
    for file in sorted(folder.glob("**/replies.sqlite")):
        if without is None or file.parent.resolve() != without.resolve():
            with explained(file.parent), closing(sqlite3.connect(file)) as db:
                begun = db.execute("select 1 from sqlite_master where name = 'spent'").fetchone()
                if begun:
                    found += spent(db)
    return found
