"""The main job: problems -> lines of ever newer problems, kept with their answers or eliminated with a reason.

A line begins with a given problem. In every round it meets one operator, drawn for this problem and round, and goes
through the stages of `stages.py`. From a problem that is kept, or was only too easy, the line goes on in the next
round; after anything else it stays where it was and meets another operator. Lines run side by side.

Every call goes through the record of one run directory, so a killed evolution goes on with the same command and pays
for nothing twice.

Source: WizardLM's Evol-Instruct (Xu et al. 2023, arXiv 2304.12244) for rounds, operators and elimination; the filter of
EvolveMCTS4RL, both right and wrong among the samples. Theirs inherit the parent's answer, or have none.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from openstrawberry.engine.drive import Setting, drive
from openstrawberry.engine.events import Retried
from openstrawberry.engine.pool import run_pool
from openstrawberry.errors import OutputError, ProviderError, SetupError
from openstrawberry.evolve.book import Book, Candidate
from openstrawberry.evolve.cast import Cast
from openstrawberry.evolve.config import Evolving
from openstrawberry.evolve.elimination import Known
from openstrawberry.evolve.generators import plain
from openstrawberry.evolve.parts import generated, parts
from openstrawberry.evolve.stages import Line, Stages
from openstrawberry.generate import STOPPING
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.pieces import problems_of
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.run import RunDirectory, digest_of
from openstrawberry.store.summary import Summary, summarise
from openstrawberry.trace import Failure, Trace
from openstrawberry.verifiers.catalogue import Verifiers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done:
    """Something came of a line in a round, and it is on disk."""

    candidate: Candidate
    parent: Problem


EvolveEvent = Done | Retried
Hear = Callable[[EvolveEvent], None]


def ignore(event: EvolveEvent) -> None:
    """A `Hear` for callers that do not listen."""


class Owed(Exception):
    """A trace broke off for a reason of its provider: what it was for is made another time."""


class Evolution:
    """One evolution, ready to start. `generated` counts the given problems that need nobody to write or solve them;
    `failures` ended lines early; `stopped` says why nothing more was begun.

    Args:
        problems: the given problems themselves, instead of the config's source.
        policy: how calls are retried, instead of the config's `attempts`.

    Raises:
        SetupError: anything about the configuration is wrong. Nothing has been written then.
    """

    def __init__(
        self,
        config: Evolving,
        settings: Settings,
        hear: Hear = ignore,
        problems: Sequence[Problem] | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.config = config
        self._hear = hear
        self.skipped_rows: list[str] = []
        given = problems if problems is not None else problems_of(config, self.skipped_rows.append)
        self.given = list({problem.id: problem for problem in given}.values())
        self.generated = generated(config, self.given)
        self.cast = Cast(config, settings, parts(config, self.given), policy)
        if config.work == config.file:
            raise SetupError(f"{config.file} would be file and work folder at once: end --out in .jsonl.")
        if config.file.exists() and not (config.work / "run.json").exists():
            raise SetupError(f"{config.file} exists, and no evolution has made it: choose another file with --out.")
        identity = {**config.identity(), **self.cast.identity}
        document = {**config.model_dump(mode="json"), "versions": self.cast.versions}
        self.directory = RunDirectory(config.work, identity, document)
        self.book = Book(config.file, config.work)
        self.cast.record(self.directory, self._retried)
        self.verifiers = Verifiers()
        settings_of = self.cast.settings(digest_of(identity), self.directory.resumed, self.verifiers)
        self._stages = Stages(config, settings_of, self.verifiers, self.given, self._everything(), self._make)
        self.stopped = ""
        self.failures: list[Failure] = []
        self.made = 0

    async def run(self) -> Summary:
        """Carries every line through its rounds, as far as it is owed. Can be cancelled at any point."""
        await run_pool(self.given, self._line, self.config.concurrency)
        self._refuse_if_nothing_works(wave=1)
        if not self.failures and not self.stopped:
            self.directory.finish()
        return self.summary()

    async def close(self) -> None:
        """Waits for the disk and releases models, verifiers and directory."""
        if self.made:
            self.directory.resumed = True  # worth keeping, even where generators made it all and nobody was asked
        try:
            await self.cast.close()
            await self.verifiers.close()
        finally:
            await self.directory.close()

    def summary(self) -> Summary:
        """Tokens, cost and replies of everything in the work folder."""
        models = self.cast.models.values()
        return replace(
            summarise(self.directory),
            made=self.made,
            replies_asked=sum(model.asked for model in models),
            replies_replayed=sum(model.replayed for model in models),
            first_error=self.failures[0].message if self.failures else "",
            stopped=self.stopped,
        )

    def problems(self) -> list[Problem]:
        """The problems that were kept, in the order of the output."""
        return [each.labelled() for each in self.book.all() if each.kept]

    async def _line(self, given: Problem) -> None:
        line = Line(given, given, given.id)
        for round in range(1, self.config.rounds + 1):
            candidate = self.book.find(given.id, round)
            if candidate is None:
                if self.stopped:
                    return
                try:
                    candidate = await self._stages.next(line, round)
                except Owed:
                    return  # later rounds depend on this one
                self.book.add(candidate)
                self.made += 1
                self._tell(Done(candidate, line.parent))
            if candidate.advances and candidate.problem is not None:
                line = Line(given, candidate.problem, candidate.root)

    async def _make(self, setting: Setting, problem: Problem, samples: Sequence[int]) -> list[Trace]:
        """Samples of a problem, made side by side and kept in the run directory.

        Raises:
            Owed: one of them broke off.
        """
        traces = await _side_by_side([drive(setting, problem, sample) for sample in samples])
        for trace in traces:
            if self.directory.owed(trace.id, 0):
                await self.directory.add(trace)
        broken = [trace.error for trace in traces if trace.owed]
        if not broken:
            return traces
        self.failures += broken[:1]
        self._refuse_if_nothing_works(wave=min(3, len(self.given)))
        if (last := next((each for each in broken if each.kind in STOPPING), None)) is not None:
            if self.cast.budget is not None and self.cast.budget.untouched:
                raise SetupError(last.message)
            self.stopped = self.stopped or last.message
        raise Owed

    def _refuse_if_nothing_works(self, wave: int) -> None:
        """A new evolution in which `wave` lines failed before any model answered has a wrong set-up."""
        if not self.directory.resumed and not self.cast.proven and len(self.failures) >= wave:
            raise SetupError(self.failures[0].message)

    def _everything(self) -> Known:
        """The given problems, and all that came of them before; what was a copy adds nothing."""
        known = Known(self.config.near)
        before = [each.problem for each in self.book.all() if not each.reason.endswith("copy")]
        for problem in (*self.given, *filter(None, before)):
            known.add(plain(problem))
        return known

    def _retried(self, error: ProviderError, attempt: int, wait: float) -> None:
        self.directory.log("retried", error=str(error), kind=error.kind, attempt=attempt, wait_s=round(wait, 3))
        self._tell(Retried(error, attempt, wait))

    def _tell(self, event: EvolveEvent) -> None:
        try:
            self._hear(event)
        except (OSError, ValueError) as error:  # a closed pipe, or letters that the terminal cannot show
            raise OutputError(
                f"The output can no longer be written ({error}): run the same command to go on."
            ) from error


async def evolve(
    config: Evolving, settings: Settings, hear: Hear = ignore, problems: Sequence[Problem] | None = None
) -> list[Problem]:
    """Evolves, and returns all problems that were kept, in the order of the output.

    For stages that go on with them: a ladder whose next rung is made of the last one's problems. See `Evolution`.

    Raises:
        SetupError: the configuration is wrong, or a provider or budget stopped it before every line was done; what was
            made is kept, and the same call goes on.
    """
    evolution = Evolution(config, settings, hear, problems)
    try:
        await evolution.run()
    finally:
        await evolution.close()
    if evolution.stopped or evolution.failures:
        raise SetupError(evolution.stopped or evolution.failures[0].message)
    return evolution.problems()


async def _side_by_side(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; an error cancels the others."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
