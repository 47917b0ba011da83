"""Checks finished traces again and keeps the new verdicts beside them, in `verdicts-<verifier>.jsonl`."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from openstrawberry.errors import SetupError
from openstrawberry.store.reading import read_run, read_traces
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from openstrawberry.verifiers.extract import extract
from openstrawberry.verifiers.verifier import Verdict

_AT_ONCE = 256


@dataclass
class Recheck:
    """What came of it: how many traces moved from one status to another."""

    file: Path
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def changed(self) -> int:
        """Traces whose status is no longer the same."""
        return sum(count for (before, after), count in self.moves.items() if before != after)


async def recheck(run: Path, verifier: str | None, warn: Callable[[str], None] | None = None) -> Recheck:
    """Verifies every trace of `run` that has a reply, reading the answer from its text anew.

    `warn` is told what a person should know of a verifier before it is used.

    Raises:
        SetupError: no such run or verifier.
    """
    read_run(run)
    checker = Verifiers(verifier or "", warn)
    result = Recheck(run / f"verdicts-{verifier or 'default'}.jsonl")
    fresh = result.file.with_suffix(".tmp")
    try:
        with fresh.open("w", encoding="utf-8") as out:
            for traces in _chunks(trace for trace in read_traces(run) if _known(trace)):
                for trace, row in zip(traces, await asyncio.gather(*(_check(checker, t) for t in traces)), strict=True):
                    result.moves[trace.verdict.status, row["status"]] += 1
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
        fresh.replace(result.file)
    except OSError as error:
        raise SetupError(
            f"Cannot write to {run} ({(error.strerror or str(error)).lower()}): free space or make it writable, then "
            "run the same command again."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        await checker.close()
    return result


def _known(trace: Trace) -> bool:
    """Whether there is a truth to check against."""
    return not trace.owed and not (trace.problem.source == "ask" and not trace.problem.answer)


async def _check(checker: Verifiers, trace: Trace) -> dict[str, str]:
    said = trace.messages[trace.path[-1]].content if trace.path else ""
    found = extract(said, trace.problem)
    answered = trace.stop == "final_answer"
    verdict = await checker.verify(trace.problem, found.answer) if answered else Verdict(status="no_answer")
    return {"id": trace.id, **verdict.model_dump(), "method": found.method}


def _chunks(traces: Iterable[Trace]) -> Iterator[list[Trace]]:
    source = iter(traces)
    while chunk := list(islice(source, _AT_ONCE)):
        yield chunk
