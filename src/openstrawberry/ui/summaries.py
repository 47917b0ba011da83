"""Summaries of blocks of steps, as o1 tells its thoughts, kept beside the run in `summaries.jsonl`.

A block is `BLOCK` steps in a row on the way to the answer, and is known by what stands in it: the summary of a trace
that was made anew is shown only where it still fits. Each line names trace, block and model; of several, the newest is
shown. `summarise.py` asks for them.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from openstrawberry.store.files import append_lines
from openstrawberry.ui.reading import Reading, Step

BLOCK = 5  # steps
FILE = "summaries.jsonl"


@dataclass(frozen=True)
class Block:
    """Steps in a row; `key` is a hash of what stands in them."""

    steps: tuple[Step, ...]
    key: str

    @property
    def name(self) -> str:
        """Which steps they are."""
        first, last = self.steps[0].number, self.steps[-1].number
        return f"Steps {first} to {last}" if last > first else f"Step {first}"


class Summary(BaseModel):
    """What `model` says of one block of one trace: one line of the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trace: str
    block: str
    model: str
    text: str


@dataclass(frozen=True)
class Told:
    """A summary as it is shown: which steps it is of, what is said of them, and by whom."""

    name: str
    text: str
    model: str


@dataclass(frozen=True)
class Kept:
    """The summaries of a run: the newest of each trace and block, and which there are by trace, block and model."""

    newest: Mapping[tuple[str, str], Summary]
    written: frozenset[tuple[str, str, str]]

    def told(self, reading: Reading) -> dict[int, Told]:
        """What is shown of a trace, by the place of the step that it stands before (`Step.index`)."""
        found = ((block, self.newest.get((reading.trace.id, block.key))) for block in blocks(reading))
        return {block.steps[0].index: Told(block.name, each.text, each.model) for block, each in found if each}


NONE = Kept({}, frozenset())


def blocks(reading: Reading) -> list[Block]:
    """All steps of a trace, in blocks."""
    parts = (reading.steps[start : start + BLOCK] for start in range(0, len(reading.steps), BLOCK))
    return [Block(steps, _key(reading.trace.problem.question, steps)) for steps in parts]


def _key(question: str, steps: Iterable[Step]) -> str:
    said = "\0".join((question, *(step.turn.content for step in steps)))
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]


def read_summaries(run: Path) -> Kept:
    """What is kept beside the run; lines that are torn or damaged are passed over."""
    try:
        stat = (run / FILE).stat()
        return _read(run / FILE, stat.st_size, stat.st_mtime_ns)
    except OSError:
        return NONE


@lru_cache(maxsize=8)
def _read(file: Path, size: int, changed: int) -> Kept:
    newest: dict[tuple[str, str], Summary] = {}
    written: set[tuple[str, str, str]] = set()
    with file.open("rb") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):
                found = Summary.model_validate_json(line)
                newest[found.trace, found.block] = found
                written.add((found.trace, found.block, found.model))
    return Kept(newest, frozenset(written))


def keep_summaries(run: Path, summaries: Iterable[Summary]) -> None:
    """Adds them to what is kept beside the run, which nobody else may be writing to.

    Raises:
        SetupError: the folder cannot be written to.
    """
    append_lines(run / FILE, [summary.model_dump_json() for summary in summaries])
