"""What came of every problem in every round, in two files that only grow.

    FILE.jsonl               the problems that were kept, one per line, as any `--problems` reads them
    FILE.work/others.jsonl   the others, with the reason

A candidate stands in exactly one of them, on one line that is synced before it counts. So a killed evolution knows from
its files alone what is done; a torn last line is cut off and owed again. The lineage of a kept problem is in its
metadata, under `evolved`.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from openstrawberry.errors import SetupError
from openstrawberry.evolve.operators import Operator
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.source import dump
from openstrawberry.store.files import explained

OTHERS = "others.jsonl"
_LATER = ("always right",)  # not kept, but good enough to be evolved further


class Evidence(BaseModel):
    """How the answer was found, and how the target did. All counts are 0 where nobody was asked.

    `answered`: `computed` by the generator of its family, or `agreement` of `votes` of `solvers` draws of `solver`.
    `judge`: what the writer's judge made of it (`judged`, `unjudged`, empty where none was asked).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    answered: str = ""
    solver: str = ""
    solver_strategy: str = ""
    solvers: int = 0
    votes: int = 0
    judge: str = ""
    target: str = ""
    target_strategy: str = ""
    right: int = 0
    wrong: int = 0
    other: int = 0


class Candidate(BaseModel):
    """One problem in one round, and what came of it. `line`: id of the given problem whose line it continues.

    `parent`: id of the problem it was made from, `root`: of the one its line began with; a fresh start has no parent,
    is its own root, and names its `examples`. `reason`: why it is not kept, empty where it is. `problem` has no answer
    where none was found, and is None where there is no problem.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    line: str
    round: int
    operator: Operator
    parent: str = ""
    root: str = ""
    examples: tuple[str, ...] = ()
    writer: str = ""
    reason: str = ""
    problem: Problem | None = None
    evidence: Evidence = Field(default=Evidence())

    def but(self, **changes: object) -> "Candidate":
        """A copy with changes."""
        return self.model_copy(update=changes)

    @property
    def kept(self) -> bool:
        """Whether it is one of the new problems."""
        return not self.reason

    @property
    def advances(self) -> bool:
        """Whether the next round goes on from it."""
        return self.kept or self.reason in _LATER

    def labelled(self) -> Problem:
        """The problem, with where it comes from in its metadata."""
        assert self.problem is not None
        lineage = self.model_dump(mode="json", exclude={"problem", "reason"})
        return self.problem.model_copy(update={"metadata": dump({**self.problem.meta(), "evolved": lineage})})


class Book:
    """Reads what is done, and appends what comes.

    Args:
        kept: the output file.
        work: the folder of everything else; must exist.

    Raises:
        SetupError: the output holds something else, or cannot be written.
    """

    def __init__(self, kept: Path, work: Path) -> None:
        self._kept, self._others = kept, work / OTHERS
        self._done: dict[tuple[str, int], Candidate] = {}
        with explained(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            for file, read in ((kept, _kept), (self._others, Candidate.model_validate_json)):
                for line in _lines(file):
                    self._note(_read(line, read, file))
                _cut(file)

    def find(self, line: str, round: int) -> Candidate | None:
        """What came of a line in a round."""
        return self._done.get((line, round))

    def all(self) -> Iterator[Candidate]:
        """Everything there is, in the order of the files."""
        yield from self._done.values()

    def add(self, candidate: Candidate) -> None:
        """Appends a candidate; returns when it is on disk."""
        if candidate.kept:
            _append(self._kept, candidate.labelled().model_dump_json())
        else:
            _append(self._others, candidate.model_dump_json())
        self._note(candidate)

    @property
    def reasons(self) -> Counter[str]:
        """How many candidates ended how; the kept ones under the empty text."""
        return Counter(candidate.reason for candidate in self._done.values())

    def _note(self, candidate: Candidate) -> None:
        self._done[candidate.line, candidate.round] = candidate


def _kept(line: bytes) -> Candidate:
    problem = Problem.model_validate_json(line)
    return Candidate.model_validate({**problem.meta()["evolved"], "problem": problem})


def _read(line: bytes, read: Callable[[bytes], Candidate], file: Path) -> Candidate:
    try:
        return read(line)
    except (ValueError, LookupError, TypeError) as error:
        raise SetupError(
            f"{file} holds lines that no evolution has written: choose another file with --out."
        ) from error


def _lines(file: Path) -> list[bytes]:
    """The whole lines of a file, without a torn last one."""
    whole = file.read_bytes().rpartition(b"\n")[0] if file.exists() else b""
    return [line for line in whole.split(b"\n") if line.strip()]


def _cut(file: Path) -> None:
    """Takes a torn last line away, once all others are known to be ours."""
    if file.exists() and (whole := file.read_bytes().rfind(b"\n") + 1) < file.stat().st_size:
        with file.open("rb+") as out:
            out.truncate(whole)


def _append(file: Path, line: str) -> None:
    with explained(file), file.open("ab", buffering=0) as out:
        before = out.tell()
        try:
            data = memoryview(line.encode() + b"\n")
            while data:
                data = data[out.write(data) :]
            os.fsync(out.fileno())
        except OSError:
            out.truncate(before)
            raise
