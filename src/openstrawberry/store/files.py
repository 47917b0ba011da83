"""Files that appear whole or not at all, and what is said when a disk fails."""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from openstrawberry.errors import SetupError
from openstrawberry.wording import cause


def write_whole(path: Path, text: str) -> None:
    """Writes a text file so that whoever opens `path` finds the old one or the new one, never half of it.

    Raises:
        SetupError: the folder cannot be written to.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SetupError(f"Cannot write {path} ({cause(error)}): choose another place with --out.") from error


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Around what is written to the run directory `path`.

    Raises:
        SetupError: it cannot be written to, or its record of replies is damaged.
    """
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            raise SetupError(
                f"replies.sqlite in {path} is damaged ({cause(error).lower()}): restore it, or move it away and run "
                "the same command again; finished traces are kept, the others are asked for anew."
            ) from error
        raise SetupError(
            f"Cannot write to {path} ({cause(error).lower()}): free space or choose another folder with --out, then "
            "run the same command again; everything recorded so far is kept."
        ) from error


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Adds lines to a text file, and is done when they are on disk; a torn last line stays a line of its own.

    Raises:
        SetupError: the folder cannot be written to.
    """
    try:
        with path.open("ab+") as out:
            out.seek(max(0, out.seek(0, os.SEEK_END) - 1))
            torn = out.read(1) not in (b"", b"\n")
            out.write((("\n" if torn else "") + "".join(f"{line}\n" for line in lines)).encode("utf-8"))
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise SetupError(
            f"Cannot write {path} ({cause(error)}): free space or make it writable, then go on."
        ) from error
