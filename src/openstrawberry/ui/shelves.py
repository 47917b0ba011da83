"""Every run below a folder: what it is, how far it has come, and whether somebody writes to it now."""

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
from openstrawberry.wording import cause

_COUNTED = ("run.json", "traces-*.jsonl", "failed-*.jsonl", "verdicts-*.jsonl")


@dataclass(frozen=True)
class Counted:
    """What one run holds: how many traces per verdict, end, model and strategy, and what they took (-1: unknown).

    `right` of the `judged` ones were solved, see `Tally`. `expected`: how many there are to be, 0 where nobody knows.
    """

    created: str
    problems: str
    finished: bool
    expected: int
    statuses: Mapping[str, int]
    stops: Mapping[str, int]
    models: Mapping[str, int]
    strategies: Mapping[str, int]
    right: int
    judged: int
    output: int
    cost: float

    @property
    def traces(self) -> int:
        """All of them."""
        return sum(self.stops.values())

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


def run_folders(home: Path, asked: bool = True) -> list[Path]:
    """The run directories below `home`, also those inside a loop or an evaluation, the newest first.

    `asked`: also those of single questions (`strawberry ask`, and the page).
    """
    found: list[tuple[str, Path]] = []
    for pattern in ("*/run.json", "*/*/run.json", "*/*/*/run.json"):
        for file in home.glob(pattern):
            with suppress(SetupError):
                run = read_run(file.parent)
                if asked or (run.get("config") or {}).get("command") != "ask":
                    found.append((str(run.get("created")), file.parent))
    return [path for _, path in sorted(found, reverse=True)]


def name_of(path: Path, home: Path) -> str:
    """What a run is called on the page: its place below `home`, also where its letters are no text."""
    name = str(path.relative_to(home)) if path != home else path.name
    return name.encode("utf-8", "replace").decode("utf-8")


def listed(path: Path) -> Listed:
    """How one run stands. It is counted again only when something of it has changed.

    Raises:
        SetupError: it is no run directory that can be read.
    """
    files = (file for pattern in _COUNTED for file in path.glob(pattern))
    try:
        marks = tuple((file.name, stat.st_size, stat.st_mtime_ns) for file in sorted(files) if (stat := file.stat()))
    except OSError as error:
        raise SetupError(f"{path} can no longer be read ({cause(error)}): see whether it is still there.") from error
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
            right=sum(each.right for each in sums),
            judged=sum(each.judged for each in sums),
            output=sum(each.output for each in sums) if all(each.output >= 0 for each in sums) else -1,
            cost=sum(each.cost for each in sums) if all(each.cost >= 0 for each in sums) else -1.0,
        )


def _expected(config: Mapping[str, Any]) -> int:
    problems, samples = config.get("total") or config.get("limit"), config.get("samples")
    return int(problems) * int(samples) if isinstance(problems, int) and isinstance(samples, int) else 0
