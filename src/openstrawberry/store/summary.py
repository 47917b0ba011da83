"""What a run directory holds, counted through its index."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstrawberry.store.index import FINISHED
from openstrawberry.store.run import RunDirectory
from openstrawberry.trace import OWED


@dataclass
class Summary:
    """What a run directory holds in the end, and what this command did for it.

    `saved_*`: what was not asked for because its problem was decided, -1 where sampling does not stop by itself.
    `no_answer`: what most of the traces without an answer say about it. `hinted`: how many of the correct ones had been
    shown the answer, and do not count as solved. Token counts are sums of what the provider reported, -1 where it
    reported none; `cached_share` is the share of the input that was read from a prompt cache. `seconds` is this
    command's time.

    `cost_usd` is what all recorded replies cost, -1 where that is unknown of one of them: then `unpriced` says of how
    many, and `priced_usd` what the others cost. `open_usd`: what calls whose end nobody knows may have cost besides,
    where a budget counts them. `cache_saved_usd`: how much dearer it had been without the prompt cache. `latency_s`:
    median seconds of the latest replies to this command, by model. `stopped`: why the run drew nothing more, such as a
    budget that is used up.
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
    no_answer: str = ""
    hinted: int = 0
    saved_traces: int = -1
    saved_calls: int = -1
    cached_share: float = -1.0
    cost_usd: float = -1.0
    priced_usd: float = 0.0
    unpriced: int = 0
    open_usd: float = 0.0
    cache_saved_usd: float = 0.0
    latency_s: dict[str, float] = field(default_factory=dict)
    stopped: str = ""

    @property
    def traces(self) -> int:
        """All traces in the directory."""
        return sum(self.stops.values())

    @property
    def owed(self) -> int:
        """Traces that the next run of the same command makes again."""
        return sum(self.stops.get(stop, 0) for stop in OWED)

    @property
    def failed(self) -> int:
        """Traces that ended in an error; the next run of the same command retries them."""
        return self.stops.get("error", 0)


def summarise(directory: RunDirectory) -> Summary:
    """Counts what is in `directory` now."""
    rows = directory.rows
    per_problem: list[Any] = rows(
        f"select sum(status = 'correct' and not hinted), count(*) from traces where {FINISHED} group by problem"
    )
    tokens = {column: _total(directory, column) for column in ("input", "cached", "output")}
    spent = directory.spent()
    errors = rows("select error from traces where stop = 'error' limit 1")
    silent = rows(
        f"select detail, count(*) from traces where status = 'no_answer' and detail != '' and {FINISHED} "
        "group by detail order by 2 desc, 1 limit 1"
    )
    hinted = rows(f"select id from traces where hinted and status = 'correct' and {FINISHED}")
    return Summary(
        path=directory.path,
        statuses=_counts(directory, "status", f"where {FINISHED}"),
        stops=_counts(directory, "stop"),
        tokens=tokens,
        cached_share=tokens["cached"] / tokens["input"] if tokens["input"] > 0 and tokens["cached"] >= 0 else -1.0,
        problems=len(per_problem),
        solved_sometimes=sum(0 < right < count for right, count in per_problem),
        solved_always=sum(right == count for right, count in per_problem),
        first_error=str(errors[0][0]) if errors else "",
        hinted=len(hinted),
        no_answer=str(silent[0][0]) if silent else "",
        cost_usd=-1.0 if spent.unpriced else spent.usd,
        priced_usd=spent.usd,
        unpriced=spent.unpriced,
        open_usd=0.0 if spent.counted_usd is None else max(0.0, round(spent.counted_usd - spent.usd, 12)),
        cache_saved_usd=spent.saved_usd,
    )


def _counts(directory: RunDirectory, column: str, where: str = "") -> dict[str, int]:
    rows: list[Any] = directory.rows(f"select {column}, count(*) from traces {where} group by {column}")
    return dict(rows)


def _total(directory: RunDirectory, column: str) -> int:
    found = directory.rows(f"select sum({column}) from traces where {column} >= 0")
    return found[0][0] if found and isinstance(found[0][0], int) else -1
