"""Checks finished traces again and keeps the new verdicts beside them, in `verdicts-<verifier>.jsonl`.

Most verifiers call no model. `judge` does, under the run's own record and ledger: whatever it was asked about this run
before, by `generate` or by an earlier `verify`, is replayed for nothing.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from openstrawberry.calls import over_run
from openstrawberry.config import RunConfig
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.replies import Recorded
from openstrawberry.pieces import open_judge
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_run, read_traces
from openstrawberry.trace import Checked, Trace
from openstrawberry.verifiers.catalogue import Verifiers
from openstrawberry.verifiers.extract import extract
from openstrawberry.wording import cause

_AT_ONCE = 256
_OF_THEIR_OWN = ("evolve", "write-tests")  # strategies whose traces hold a new problem, or tests, and no answer
_ENDING = ("budget", "quota")  # kinds of failure that every further call would run into


@dataclass
class Recheck:
    """What came of it: how many traces moved from one status to another.

    `failed`: traces that keep their verdict because the judge could not be asked about them; `error`: the first reason.
    `asked`: replies that the judge gave now.
    """

    file: Path
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: int = 0
    error: str = ""
    asked: int = 0

    @property
    def changed(self) -> int:
        """Traces whose status is no longer the same."""
        return sum(count for (before, after), count in self.moves.items() if before != after)


@dataclass(frozen=True)
class JudgeCalls:
    """Who the verifier `judge` asks about a finished run: `config.model`, with the calls as `config` says."""

    config: RunConfig
    settings: Settings


Warn = Callable[[str], None]


async def recheck(
    run: Path, verifier: str | None, judge: JudgeCalls | None = None, warn: Warn | None = None
) -> Recheck:
    """Verifies every trace of `run` that has a reply, reading the answer from its text anew.

    `warn` is told what a person should know of a verifier before it is used.

    Raises:
        SetupError: no such run or verifier, or nobody to ask for the verifier `judge`.
        ProviderError: the judge has never answered, or a budget or quota is used up. What was judged is on record.
    """
    name = verifier or ""
    result = Recheck(run / f"verdicts-{verifier or 'default'}.jsonl")
    fresh = result.file.with_suffix(".tmp")
    try:
        async with opened(run, [name], judge, warn) as checking:
            with fresh.open("w", encoding="utf-8") as out:
                async for trace, (verdict,) in checking.verdicts(read_traces(run)):
                    if isinstance(verdict, ProviderError):
                        result.failed, result.error = result.failed + 1, result.error or str(verdict)
                        if trace.verdict.verifier != name:
                            continue
                        verdict = trace.verdict
                    result.moves[trace.verdict.status, verdict.status] += 1
                    out.write(json.dumps({"id": trace.id, **verdict.model_dump()}, ensure_ascii=False) + "\n")
            result.asked = checking.judge.asked if checking.judge else 0
        fresh.replace(result.file)
    except OSError as error:
        raise SetupError(
            f"Cannot write to {run} ({cause(error)}): free space or make it writable, then run the same command again."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
    return result


@contextlib.asynccontextmanager
async def opened(
    run: Path, names: Sequence[str], judge: JudgeCalls | None = None, warn: Warn | None = None
) -> AsyncIterator["Checking"]:
    """The verifiers called `names` over a run; an empty name is for the verifier that each problem names.

    Raises:
        SetupError: see `recheck`.
    """
    read_run(run)
    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(over_run(run, judge.config, judge.settings)) if judge else None
        made = {"judge": lambda: open_judge(model, judge.config)} if model and judge else {}
        verifiers = [await stack.enter_async_context(Verifiers(name, made, warn)) for name in names]
        yield Checking(names, verifiers, model)


@dataclass(frozen=True)
class Checking:
    """Verifiers side by side; `judge` is the model that one of them asks, if one does."""

    names: Sequence[str]
    verifiers: Sequence[Verifiers]
    judge: Recorded | None

    async def verdicts(self, traces: Iterable[Trace]) -> AsyncIterator[tuple[Trace, list[Checked | ProviderError]]]:
        """Every trace that can be checked, and what each verifier says; an error where the judge could not be asked.

        Raises:
            SetupError: nobody to ask for the verifier `judge`.
            ProviderError: see `recheck`.
        """
        source = (trace for trace in traces if self._known(trace))
        while chunk := list(islice(source, _AT_ONCE)):
            found = await asyncio.gather(*map(self._all, chunk), return_exceptions=True)  # what is paid for is recorded
            for trace, verdicts in zip(chunk, found, strict=True):
                if isinstance(verdicts, BaseException):
                    raise verdicts
                yield trace, verdicts

    def _known(self, trace: Trace) -> bool:
        """Whether there is a truth to check against, or everybody can do without."""
        able = bool(trace.problem.answer) or trace.problem.verifier == "code" or set(self.names) == {"judge"}
        return not trace.owed and trace.strategy not in _OF_THEIR_OWN and able

    async def _all(self, trace: Trace) -> list[Checked | ProviderError]:
        return [await self._one(verifiers, trace) for verifiers in self.verifiers]

    async def _one(self, verifiers: Verifiers, trace: Trace) -> Checked | ProviderError:
        said = trace.messages[trace.path[-1]].content if trace.path else ""
        found = extract(said, trace.problem)
        if trace.stop != "final_answer":
            return Checked(status="no_answer", method=found.method)
        try:
            verdict = await verifiers.verify(trace.problem, found.answer)
        except ProviderError as error:
            if error.kind in _ENDING or (error.is_setup and not (self.judge and self.judge.proven)):
                raise
            return error
        return Checked(**verdict.model_dump(), method=found.method)
