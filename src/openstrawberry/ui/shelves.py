"""Every run below a folder: what it is, how far it has come, and whether somebody writes to it now."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.store.browsing import Browser
from openstrawberry.store.lock import is_locked
from openstrawberry.store.reading import read_run
from openstrawberry.trace import OWED


@dataclass(frozen=True)
class Listed:
    """One run directory. `expected`: how many traces it is to have, 0 where that is not known."""

    path: Path
    created: str
    model: str
    strategy: str
    problems: str
    live: bool
    finished: bool
    traces: int
    right: int
    judged: int
    owed: int
    expected: int

    @property
    def state(self) -> str:
        """In a word or two."""
        return "going on" if self.live else "finished" if self.finished else "unfinished"

    @property
    def share(self) -> float:
        """Of the traces that are expected, how many there are."""
        return min(1.0, self.traces / self.expected) if self.expected else float(self.finished)


def run_folders(home: Path) -> list[Path]:
    """The run directories below `home`, also those inside a loop or an evaluation, the newest first."""
    found: list[tuple[str, Path]] = []
    for pattern in ("*/run.json", "*/*/run.json", "*/*/*/run.json"):
        for file in home.glob(pattern):
            with suppress(SetupError):
                found.append((str(read_run(file.parent).get("created")), file.parent))
    return [path for _, path in sorted(found, reverse=True)]


def listed(path: Path) -> Listed:
    """How one run stands.

    Raises:
        SetupError: it is no run directory that can be read.
    """
    with Browser(path) as browser:
        run = browser.run
        config: Mapping[str, Any] = run.get("config") or {}
        statuses, stops = browser.counts("status"), browser.counts("stop")
        judged = sum(statuses.get(status, 0) for status in ("correct", "incorrect", "no_answer"))
        total = sum(stops.values())
    return Listed(
        path, str(run.get("created", "")), str(config.get("model", "")), str(config.get("strategy", "")),
        str(config.get("problems", "")), is_locked(path), bool(run.get("finished")), total,
        statuses.get("correct", 0), judged, sum(stops.get(stop, 0) for stop in OWED),
        _expected(config),
    )  # fmt: skip


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
