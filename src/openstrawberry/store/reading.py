"""Finds run directories and reads them; needs no lock, and is safe while a run goes on."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.store.index import Index, Place
from openstrawberry.store.lock import is_locked
from openstrawberry.trace import Checked, Trace
from openstrawberry.wording import cause


def read_run(path: Path) -> dict[str, Any]:
    """`run.json` of a run directory.

    Raises:
        SetupError: it is missing or damaged.
    """
    try:
        run = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(
            f"{path} is no run directory that can be read (run.json: {cause(error)}): name one made by generate."
        ) from error
    if not isinstance(run, dict) or not isinstance(run.get("config") or {}, dict):
        raise SetupError(f"{path / 'run.json'} is damaged: restore it, or start again with another --out.")
    return run


def read_traces(path: Path) -> Iterator[Trace]:
    """The traces of a run, newest line of each, with later verdicts laid over them. Safe while the run goes on.

    Raises:
        SetupError: `path` is no run directory.
    """
    shelf = Shelf(path)
    for entry in shelf.entries():
        yield shelf.read(entry)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index knows of a trace, with a later verdict laid over it. `place`: where the whole trace stands.

    `hinted`: see `Trace.hinted`.
    """

    id: str
    problem: str
    question: str
    sample: int
    stop: str
    status: str
    turns: int
    difficulty: float
    place: Place
    hinted: bool


class Shelf:
    """A run read in two passes: the index of all traces, then only the traces that are wanted. Safe while it goes on.

    Raises:
        SetupError: `path` is no run directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = read_run(path)
        self.verdicts = _verdicts(path)

    def entries(self) -> Iterator[Entry]:
        """Every trace's newest line, in file order."""
        index = Index(self.path)
        try:
            index.catch_up(repair=False)
            for id_, problem, question, sample, stop, status, turns, difficulty, hinted, *place in index.rows():
                later = self.verdicts.get(id_, {}).get("status", status)
                yield Entry(id_, problem, question, sample, stop, later, turns, difficulty, Place(*place), bool(hinted))
        finally:
            index.close()

    def read(self, entry: Entry) -> Trace:
        """The whole trace.

        Raises:
            SetupError: its line was damaged after it had been counted.
        """
        place = entry.place
        with (self.path / place.file).open("rb") as file:
            file.seek(place.offset)
            try:
                trace = Trace.model_validate_json(file.read(place.length))
            except ValueError as error:
                raise SetupError(
                    f"{self.path / place.file}: the line at byte {place.offset} can no longer be read: delete "
                    "index.sqlite beside it, and run the command that made it once more."
                ) from error
        later = self.verdicts.get(trace.id)
        return trace.model_copy(update={"verdict": trace.verdict.model_copy(update=later)}) if later else trace


def _verdicts(path: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for file in sorted(path.glob("verdicts-*.jsonl"), key=lambda file: file.stat().st_mtime_ns):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                with contextlib.suppress(
                    ValueError, KeyError, TypeError
                ):  # torn or damaged: the earlier verdict stands
                    row = json.loads(line)
                    found[str(row["id"])] = Checked.model_validate(row).model_dump(exclude_unset=True)
    return found


def unfinished(home: Path, digest: str, problems: str) -> Path | None:
    """The newest unfinished run of generate below `home` with this digest and source that no process is writing."""
    found: list[tuple[str, Path]] = []
    for file in home.glob("*/run.json"):
        with contextlib.suppress(SetupError):
            run = read_run(file.parent)
            same = run.get("digest") == digest and run.get("config", {}).get("problems") == problems
            if same and _generated(run) and not run.get("finished") and not is_locked(file.parent):
                found.append((str(run.get("created")), file.parent))
    return max(found)[1] if found else None


def newest(home: Path) -> Path:
    """The run of generate below `home` that was started last; a question that was asked by itself is none.

    Raises:
        SetupError: there is none.
    """
    found = ((read_run(file.parent), file.parent) for file in home.glob("*/run.json"))
    runs = [(str(run.get("created")), path) for run, path in found if _generated(run)]
    if not runs:
        raise SetupError(f"There is no run in {home}: make one with `strawberry generate`.")
    return max(runs)[1]


def _generated(run: dict[str, Any]) -> bool:
    return bool(run.get("config", {}).get("command", "generate") == "generate")


def new_path(home: Path, *parts: str) -> Path:
    """Makes an empty directory whose name nobody else has: time, then `parts`.

    Raises:
        SetupError: `home` cannot be written to.
    """
    words = [datetime.now().strftime("%Y%m%d-%H%M%S"), *parts]
    name = "-".join("".join(c if c.isalnum() or c in "._" else "-" for c in word).strip("-.") for word in words)[:100]
    for number in itertools.count(1):
        path = home / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise SetupError(f"Cannot write to {home} ({cause(error)}): choose another folder with --out.") from error
    raise AssertionError("unreachable")
