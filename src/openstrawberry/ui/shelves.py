"""Every run below a folder: what it is, how far it has come, and whether somebody writes to it now."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.store.browsing import Browser
from openstrawberry.store.lock import is_locked
from openstrawberry.store.reading import read_run
from openstrawberry.ui.reading import SIGNS

_COUNTED = ("run.json", "traces-*.jsonl", "failed-*.jsonl", "verdicts-*.jsonl")


@dataclass(frozen=True)
class Counted:
    """What one run holds: how many traces per verdict, end, model and strategy, tokens written, dollars (-1: unknown).

    `expected`: how many traces it is to have, 0 where that is not known.
    """

    created: str
    problems: str
    finished: bool
    expected: int
    statuses: Mapping[str, int]
    stops: Mapping[str, int]
    models: Mapping[str, int]
    strategies: Mapping[str, int]
    output: int
    cost: float

    @property
    def traces(self) -> int:
        """All of them."""
        return sum(self.stops.values())

    @property
    def right(self) -> int:
        """Those whose answer was right."""
        return self.statuses.get("correct", 0)

    @property
    def judged(self) -> int:
        """Those that have a verdict."""
        return sum(self.statuses.get(status, 0) for status in SIGNS)

    @property
    def share(self) -> float:
        """Of the traces that are expected, how many there are."""
        return min(1.0, self.traces / self.expected) if self.expected else float(self.finished)


@dataclass(frozen=True)
class Listed:
    """One run directory, and whether somebody writes to it now."""

    path: Path
    live: bool
    holds: Counted

    @property
    def state(self) -> str:
        """In a word or two."""
        return "going on" if self.live else "finished" if self.holds.finished else "unfinished"


def run_folders(home: Path) -> list[Path]:
    """The run directories below `home`, also those inside a loop or an evaluation, the newest first."""
    found: list[tuple[str, Path]] = []
    for pattern in ("*/run.json", "*/*/run.json", "*/*/*/run.json"):
        for file in home.glob(pattern):
            with suppress(SetupError):
                found.append((str(read_run(file.parent).get("created")), file.parent))
    return [path for _, path in sorted(found, reverse=True)]


def listed(path: Path) -> Listed:
    """How one run stands. It is counted again only when something of it has changed.

    Raises:
        SetupError: it is no run directory that can be read.
    """
    files = (file for pattern in _COUNTED for file in path.glob(pattern))
    marks = tuple((file.name, stat.st_size, stat.st_mtime_ns) for file in sorted(files) if (stat := file.stat()))
    return Listed(path, is_locked(path), _counted(path, marks))


@lru_cache(maxsize=1024)
def _counted(path: Path, marks: tuple[tuple[str, int, int], ...]) -> Counted:
    with Browser(path) as browser:
        run = browser.run
        config: Mapping[str, Any] = run.get("config") or {}
        sums = browser.tally("model")
        return Counted(
            created=str(run.get("created", "")),
            problems=str(config.get("problems", "")),
            finished=bool(run.get("finished")),
            expected=_expected(config),
            statuses=browser.counts("status"),
            stops=browser.counts("stop"),
            models=browser.counts("model"),
            strategies=browser.counts("strategy"),
            output=sum(each.output for each in sums),
            cost=sum(each.cost for each in sums) if all(each.cost >= 0 for each in sums) else -1.0,
        )


def _expected(config: Mapping[str, Any]) -> int:
    problems, samples = config.get("total") or config.get("limit"), config.get("samples")
    return int(problems) * int(samples) if isinstance(problems, int) and isinstance(samples, int) else 0


def loops(home: Path) -> list[Path]:
    """The loops (`strawberry bootstrap`) below `home`, the newest first."""
    files = [*home.glob("lineage.json"), *home.glob("*/lineage.json"), *home.glob("*/*/lineage.json")]
    return [file.parent for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)]


def read_loop(path: Path) -> dict[str, Any]:
    """`lineage.json` of a loop.

    Raises:
        SetupError: it is missing or damaged.
    """
    try:
        found = json.loads((path / "lineage.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} holds no loop that can be read ({error}): name one made by bootstrap.") from error
    if not isinstance(found, dict) or not isinstance(found.get("rounds"), list):
        raise SetupError(f"{path / 'lineage.json'} is damaged: run the loop again.")
    return found
