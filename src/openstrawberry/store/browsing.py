"""Looks through a run page by page, by its index alone: 100,000 traces open in a moment, and none is parsed unasked.

    with Browser(path) as browser:
        rows = browser.page(Wanted(statuses=("incorrect",), text="strawberry"), start=0, size=50)
        trace = browser.read(rows[0])

Safe while the run goes on: `refresh` takes in what was written since. A run that is taken away or damaged meanwhile is
a SetupError at the next look.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openstrawberry.errors import SetupError
from openstrawberry.store.index import FINISHED, Index, Place
from openstrawberry.store.reading import Entry, Shelf
from openstrawberry.trace import Trace
from openstrawberry.wording import cause

Order = Literal["file", "turns", "cost", "seconds", "problem"]
STATUS = "coalesce(later.status, traces.status)"
JUDGED = ("correct", "incorrect", "no_answer")  # verdicts on the model; unknown and timeout are none
_FROM = "from traces left join temp.later on later.id = traces.id"
_COLUMNS = (
    f"traces.id, problem, question, sample, stop, {STATUS}, turns, difficulty, file, offset, length, "
    "hinted, model, strategy, answer, input, cached, output, seconds, cost, error"
)
_ORDERS = {
    "file": "file desc, offset",
    "turns": "turns desc, file desc, offset",
    "cost": "cost desc, file desc, offset",
    "seconds": "seconds desc, file desc, offset",
    "problem": "difficulty, problem, sample",
}


@dataclass(frozen=True)
class Wanted:
    """Which traces are looked for; what is empty or None does not matter.

    `statuses`: of the verdict; `stops`: why traces ended; `text`: stands in question or answer, in any case.
    """

    statuses: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    problem: str = ""
    least_turns: int | None = None
    most_turns: int | None = None
    text: str = ""

    @property
    def sql(self) -> tuple[str, list[Any]]:
        """The condition, and its values."""
        parts: list[str] = []
        values: list[Any] = []
        lists = ((STATUS, self.statuses), ("stop", self.stops), ("model", self.models), ("strategy", self.strategies))
        for column, wanted in lists:
            if wanted:
                parts.append(f"{column} in ({','.join('?' * len(wanted))})")
                values += wanted
        for condition, value in (("problem = ?", self.problem or None), ("turns >= ?", self.least_turns),
                                 ("turns <= ?", self.most_turns)):  # fmt: skip
            if value is not None:
                parts.append(condition)
                values.append(value)
        if self.text:
            parts.append("(instr(lower(question), lower(?)) or instr(lower(answer), lower(?)))")
            values += [self.text, self.text]
        return ("where " + " and ".join(parts) if parts else ""), values


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Row(Entry):
    """What a list shows of a trace. Tokens and dollars: -1 is unknown."""

    model: str
    strategy: str
    answer: str
    input: int
    cached: int
    output: int
    seconds: float
    cost: float
    error: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Finished traces of one group, their tokens and dollars (-1: unknown).

    `judged`: those that have a verdict; the others say nothing of how good anybody is. `right`: those that were solved
    without a hint.
    """

    group: tuple[Any, ...]
    right: int
    judged: int
    traces: int
    output: int
    input: int
    cost: float


class Browser:
    """A run that is looked through. Close it, or use it in a `with`.

    Raises:
        SetupError: `path` is no run directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shelf = Shelf(path)
        with _there(path):
            self._index = Index(path)
        try:
            self.refresh()
        except SetupError:
            self._index.close()
            raise

    @property
    def run(self) -> dict[str, Any]:
        """`run.json`."""
        return self._shelf.run

    def refresh(self) -> None:
        """Takes in what was written since."""
        with _there(self.path):
            self._shelf = Shelf(self.path)
            self._index.catch_up(repair=False)
            self._index.overlay((id_, row["status"]) for id_, row in self._shelf.verdicts.items() if "status" in row)

    def count(self, wanted: Wanted = EVERYTHING) -> int:
        """How many traces fit."""
        where, values = wanted.sql
        return int(self._query(f"select count(*) {_FROM} {where}", values)[0][0])

    def page(self, wanted: Wanted = EVERYTHING, *, start: int = 0, size: int = 50, order: Order = "file") -> list[Row]:
        """`size` of the traces that fit, from number `start`."""
        where, values = wanted.sql
        tail = f"{where} order by {_ORDERS[order]} limit ? offset ?"
        return [_row(found) for found in self._query(f"select {_COLUMNS} {_FROM} {tail}", [*values, size, start])]

    def counts(self, column: Literal["status", "stop", "model", "strategy"]) -> dict[str, int]:
        """How many traces have each value of a column, the most frequent first."""
        name = STATUS if column == "status" else column
        return dict(self._query(f"select {name}, count(*) {_FROM} group by 1 order by 2 desc, 1"))

    def find(self, trace_id: str) -> Row | None:
        """The trace whose id begins with `trace_id`; None if there is none, or more than one."""
        where = "where substr(traces.id, 1, ?) = ? limit 2"
        found = self._query(f"select {_COLUMNS} {_FROM} {where}", [len(trace_id), trace_id])
        return _row(found[0]) if len(found) == 1 else None

    def tally(self, *by: Literal["model", "strategy", "family", "difficulty"]) -> list[Tally]:
        """Finished traces per value of these columns."""
        names = ", ".join(by)
        right = f"sum({STATUS} = 'correct' and not hinted), sum({STATUS} in {JUDGED})"
        sums = "sum(output), min(output), sum(input), min(input), sum(cost), min(cost)"
        query = f"select {names}, {right}, count(*), {sums} {_FROM} where {FINISHED} group by {names} order by {names}"
        return [_tally(row, len(by)) for row in self._query(query)]

    def read(self, row: Entry) -> Trace:
        """The whole trace."""
        with _there(self.path):
            return self._shelf.read(row)

    def close(self) -> None:
        """Closes the index."""
        with suppress(sqlite3.Error):  # nothing of it is worth keeping
            self._index.close()

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _there(self.path):
            return self._index.query(sql, values)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@contextmanager
def _there(path: Path) -> Iterator[None]:
    """Around what is read of the run at `path`.

    Raises:
        SetupError: it is no longer there, or no longer what it was.
    """
    try:
        yield
    except (OSError, sqlite3.Error, ValueError) as error:
        raise SetupError(
            f"{path} can no longer be read ({cause(error).lower()}): see whether it is still there, and look again."
        ) from error


def _row(found: tuple[Any, ...]) -> Row:
    return Row(*(*found[:8], Place(*found[8:11]), bool(found[11]), *found[12:]))


def _tally(found: tuple[Any, ...], many: int) -> Tally:
    """A sum is unknown where any part is."""
    right, judged, traces, *sums = found[many:]
    known = [total if least >= 0 else -1 for total, least in zip(sums[::2], sums[1::2], strict=True)]
    return Tally(found[:many], right, judged, traces, *known)
