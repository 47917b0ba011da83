"""What a run directory holds, counted through its index."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstrawberry.store.run import RunDirectory


@dataclass
class Summary:
    """What a run directory holds in the end, and what this command did for it.

    `saved_*`: what was not asked for because its problem was decided, -1 where sampling does not stop by itself. Token
    counts are sums of what the provider reported, -1 where it reported none. `seconds` is this command's time.
    `stopped`: why this command began nothing new any more; empty where it went to its end.
    """

    path: Path
    made: int = 0
    replies_asked: int = 0
    replies_replayed: int = 0
    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    stops: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    problems: int = 0
    solved_sometimes: int = 0
    solved_always: int = 0
    first_error: str = ""
    stopped: str = ""
    saved_traces: int = -1
    saved_calls: int = -1

    @property
    def traces(self) -> int:
        """All traces in the directory."""
        return sum(self.stops.values())

    @property
    def failed(self) -> int:
        """Traces that ended in an error; the next run of the same command retries them."""
        return self.stops.get("error", 0)


def summarise(directory: RunDirectory) -> Summary:
    """Counts what is in `directory` now."""
    rows = directory.rows
    per_problem: list[Any] = rows(
        "select sum(status = 'correct'), count(*) from traces where stop != 'error' group by problem"
    )
    errors = rows("select error from traces where stop = 'error' limit 1")
    return Summary(
        path=directory.path,
        statuses=_counts(directory, "status", "where stop != 'error'"),
        stops=_counts(directory, "stop"),
        tokens={column: _total(directory, column) for column in ("input", "cached", "output")},
        problems=len(per_problem),
        solved_sometimes=sum(0 < right < count for right, count in per_problem),
        solved_always=sum(right == count for right, count in per_problem),
        first_error=str(errors[0][0]) if errors else "",
    )


def _counts(directory: RunDirectory, column: str, where: str = "") -> dict[str, int]:
    rows: list[Any] = directory.rows(f"select {column}, count(*) from traces {where} group by {column}")
    return dict(rows)


def _total(directory: RunDirectory, column: str) -> int:
    found = directory.rows(f"select sum({column}) from traces where {column} >= 0")
    return found[0][0] if found and isinstance(found[0][0], int) else -1
