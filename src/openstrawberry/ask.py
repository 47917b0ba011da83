"""One question, asked by itself and kept like any other trace."""

from dataclasses import replace
from pathlib import Path

from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import drive
from openstrawberry.engine.events import Emit, TraceEnded
from openstrawberry.generate import Run
from openstrawberry.problems.guess import guess_verifier
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.trace import Trace
from openstrawberry.verifiers.verifier import Verdict


class Asking:
    """One question, asked by itself and recorded in a run directory of its own.

    Without a known `answer` the verdict is `unknown`, unless a judge gives it. `run` may be called again with more
    turns: what was said is replayed from the record.
    """

    def __init__(
        self, config: RunConfig, settings: Settings, question: str, answer: str | None, emit: Emit, stream: bool
    ) -> None:
        problem = problem_of(config, question, answer)
        checker = None if answer is not None or config.verifier == "judge" else _Unchecked()
        self._problem = problem
        self._run = Run(config, settings, emit, stream, [problem], checker, label="ask")

    @property
    def path(self) -> Path:
        """The run directory that the trace is kept in."""
        return self._run.directory.path

    @property
    def in_turns(self) -> bool:
        """Whether the strategy goes turn by turn, so that it can be given more of them."""
        return "max_turns" in type(self._run.strategy).model_fields

    async def run(self, turns: int | None, sample: int = 0) -> Trace:
        """Makes the trace number `sample`, with at most `turns` replies."""
        run = self._run
        if turns is not None and self.in_turns:
            strategy = run.strategy.model_copy(update={"max_turns": turns})
            run.setting = replace(run.setting, strategy=strategy)
        trace = await drive(run.setting, self._problem, sample)
        await run.directory.add(trace)
        run.setting.emit(TraceEnded(trace))
        return trace

    async def close(self) -> None:
        """Marks the directory as finished and releases everything."""
        self._run.directory.finish()
        await self._run.close()


def problem_of(config: RunConfig, question: str, answer: str | None) -> Problem:
    """The question as a problem; without a known answer there is nothing to check against."""
    verifier = config.verifier or (guess_verifier(question, answer) if answer is not None else "exact")
    return Problem(question=question, answer=answer or "", verifier=verifier, source="ask")


class _Unchecked:
    async def verify(self, problem: Problem, answer: str) -> Verdict:
        return Verdict(status="unknown", detail="no known answer")
