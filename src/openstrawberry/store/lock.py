"""The lock of a run directory: one writer at a time. The operating system lets go of it when its owner dies."""

import fcntl
from pathlib import Path
from typing import BinaryIO

from openstrawberry.errors import SetupError


def lock(path: Path) -> BinaryIO:
    """Takes the lock of the run at `path`; closing the file gives it back.

    Raises:
        SetupError: another process holds it.
    """
    file = (path / "run.lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise SetupError(
            f"Another process is writing to {path}: wait for it, or use another folder with --out."
        ) from error
    return file


def is_locked(path: Path) -> bool:
    """Whether a living process writes there."""
    try:
        lock(path).close()
    except (SetupError, OSError):  # one that cannot be written to is as good as taken
        return True
    return False
