"""Makers of traces and rows for these tests."""

from collections.abc import Sequence
from pathlib import Path

from openstrawberry.evaluation.rows import Row
from openstrawberry.evaluation.score import Tally, attempt, measure
from openstrawberry.problems.problem import Problem
from openstrawberry.store.run import RunDirectory
from openstrawberry.trace import Checked, Stop, Tokens, Trace, Turn

STATUS = {"+": "correct", "-": "incorrect", "0": "no_answer", "?": "unknown", "t": "timeout"}


def problem(number: int, family: str = "", size: float = 0.0) -> Problem:
    metadata = f'{{"family": "{family}"}}' if family else "{}"
    return Problem(question=f"Q{number}?", answer="7", verifier="numeric", difficulty=size, metadata=metadata)


def trace(
    of: Problem,
    mark: str = "+",
    sample: int = 0,
    *,
    said: Sequence[str] = (),
    answer: str | None = None,
    stop: Stop = "final_answer",
    usage: Tokens | None = None,
    cost: float = -1.0,
) -> Trace:
    """A trace whose verdict is `mark` (see STATUS; "!" ended in an error), with what was said as its replies."""
    status = STATUS.get(mark, "unknown")
    given = {"correct": of.answer, "incorrect": "8"}.get(status, "") if answer is None else answer
    turns = [Turn(role="user", content=of.question, parent=-1, usage=Tokens())]
    for text in said or [given]:
        turns.append(Turn(role="assistant", content=text, parent=len(turns) - 1, model="m", usage=Tokens()))
    return Trace(
        id=f"{of.id}-{sample}",
        problem=of,
        model="scripted:m",
        strategy="strawberry",
        params="{}",
        sample=sample,
        seed=0,
        messages=tuple(turns),
        path=tuple(range(len(turns))),
        answer=given,
        stop="error" if mark == "!" else stop,
        verdict=Checked(status=status, verifier="numeric"),
        usage=usage or Tokens(),
        cost_usd=cost,
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T00:00:02+00:00",
    )


def row(marks: str, name: str = "row", samples: int = 1, family: str = "", sizes: Sequence[float] = ()) -> Row:
    """A row of problems 0, 1, ... with `samples` marks each, and a size each where `sizes` are given."""
    tallies = []
    for number in range(len(marks) // samples):
        of = problem(number, family, sizes[number] if sizes else 0.0)
        own = marks[number * samples : (number + 1) * samples]
        attempts = [attempt(trace(of, mark, sample)) for sample, mark in enumerate(own) if mark != " "]
        if attempts:
            tallies.append(Tally(of.id, family, of.difficulty, attempts))
    outcomes = [tally.outcome for tally in tallies]
    return Row(name=name, model="m", method="strawberry", overall=measure(tallies), outcomes=outcomes)


async def write_run(path: Path, traces: Sequence[Trace]) -> Path:
    """A run directory that holds these traces."""
    directory = RunDirectory(path, {}, {})
    for one in traces:
        await directory.add(one)
    await directory.close()
    return path
