"""How much room the reply records of all runs take, and how old they are."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from openstrawberry.errors import SetupError
from openstrawberry.store.reading import read_run


@dataclass(frozen=True, slots=True)
class Records:
    """The reply records below one folder: how many, their size, and when the first and the last run began (UTC)."""

    home: Path
    runs: int = 0
    bytes: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None


def measure_records(home: Path) -> Records:
    """Counts what lies below `home`; a folder that is not there holds nothing."""
    runs = [file.parent for file in home.glob("*/replies.sqlite")]
    begun = sorted(_begun(run) for run in runs)
    size = sum(file.stat().st_size for run in runs for file in run.glob("replies.sqlite*"))
    return Records(home, len(runs), size, *((begun[0], begun[-1]) if begun else ()))


def _begun(run: Path) -> datetime:
    try:
        begun = datetime.fromisoformat(str(read_run(run).get("created")))
    except (SetupError, ValueError):
        begun = datetime.fromtimestamp((run / "replies.sqlite").stat().st_mtime, UTC)
    return begun if begun.tzinfo else begun.replace(tzinfo=UTC)
