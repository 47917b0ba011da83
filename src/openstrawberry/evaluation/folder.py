"""The folder of an evaluation: found or made, held by one process, and marked as finished.

`evaluation.json` says what was asked for; its digest decides which unfinished evaluation a command goes on with.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.evaluation.config import Evaluation
from openstrawberry.evaluation.methods import short_model
from openstrawberry.store.files import write_whole
from openstrawberry.store.lock import is_locked, lock
from openstrawberry.store.reading import new_path
from openstrawberry.wording import cause

DOCUMENT = "evaluation.json"


@dataclass(frozen=True)
class Claim:
    """A folder that this process writes to. `created`: when its evaluation was first started."""

    folder: Path
    created: str
    config: Evaluation

    def write(self, finished: str = "") -> None:
        """Writes `evaluation.json`."""
        document = {
            "schema": 1,
            "created": self.created,
            "finished": finished,
            "digest": self.config.digest,
            "config": self.config.model_dump(mode="json"),
        }
        write_whole(self.folder / DOCUMENT, json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        """Marks the evaluation as finished: the same command starts a new one."""
        self.write(finished=now())


def folder_for(config: Evaluation) -> Path:
    """The folder asked for, the newest unfinished one of the same evaluation, or a new one.

    Raises:
        SetupError: a new one cannot be made.
    """
    if config.out:
        return config.out
    found: list[tuple[str, Path]] = []
    for file in config.home.glob(f"*/{DOCUMENT}"):
        known = _read(file.parent)
        if known.get("digest") == config.digest and not known.get("finished") and not is_locked(file.parent):
            found.append((str(known.get("created")), file.parent))
    return max(found)[1] if found else new_path(config.home, *map(short_model, config.models[:3]))


@contextlib.contextmanager
def claimed(folder: Path, config: Evaluation) -> Iterator[Claim]:
    """Holds the folder for this process; one that came to hold no run is taken away again.

    Raises:
        SetupError: it is something else, cannot be written to, or another process holds it.
    """
    known = _read(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not known and any(file.name not in ("run.lock", f"{DOCUMENT}.tmp") for file in folder.iterdir()):
            raise SetupError(f"{folder} exists and is no evaluation: choose another with --out.")
        held = lock(folder)
    except OSError as error:
        raise SetupError(f"Cannot write to {folder} ({cause(error)}): choose another with --out.") from error
    claim = Claim(folder, str(known.get("created") or now()), config)
    try:
        claim.write()
        yield claim
    finally:
        if not any(path.is_dir() for path in folder.iterdir()):
            _take_away(folder, config.home)
        held.close()


def now() -> str:
    """The time, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _take_away(folder: Path, home: Path) -> None:
    with contextlib.suppress(OSError):
        for name in ("run.lock", DOCUMENT):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
        if folder.parent == home:
            home.rmdir()  # if it holds nothing else


def _read(folder: Path) -> dict[str, Any]:
    try:
        known = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
