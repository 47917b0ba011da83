"""The main job: problems -> strategy x model -> traces -> verdicts -> run directory.

`Run` puts the pieces together from a `RunConfig` and does what is still owed. The command line, the page and later
stages all generate through it.
"""

import json
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace
from typing import Any

from openstrawberry.calls import Calls
from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import Checker, Sampling, Setting, drive
from openstrawberry.engine.events import Batched, Emit, Event, Retried, TraceEnded, Warned, ignore
from openstrawberry.engine.plan import Plan
from openstrawberry.engine.pool import run_pool
from openstrawberry.errors import OutputError, ProviderError, SetupError
from openstrawberry.models.budget import NOTHING, Budget, Spent
from openstrawberry.models.prm import open_reward
from openstrawberry.models.replies import Recorded
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.pieces import (
    count_problems,
    identity_of,
    judge_prompts,
    open_judge,
    problems_of,
    prompts_of,
    refuse_unscored,
    strategy_of,
    versions,
)
from openstrawberry.problems.problem import Problem
from openstrawberry.selection.deciding import Decider
from openstrawberry.selection.difficulty import Band
from openstrawberry.settings import Settings
from openstrawberry.store.fitting import refuse_run
from openstrawberry.store.reading import new_path, read_traces, unfinished
from openstrawberry.store.run import RunDirectory, digest_of
from openstrawberry.store.summary import Summary, summarise
from openstrawberry.verifiers.catalogue import Verifiers
from openstrawberry.verifiers.judge import Judge
from openstrawberry.wording import cause

FIRST_WAVE = 64  # traces that may fail before a new run is said to be set up wrongly
STOPPING = ("quota", "budget")  # kinds of failure that every further trace would run into


class Run:
    """One `generate`, ready to start. `stopped` says why it drew nothing more, empty while it does.

    Args:
        problems: the problems themselves, instead of the config's source.
        checker: who gives verdicts, instead of the verifiers that the problems name.
        label: starts a new directory of this name, and never goes on with an unfinished one.
        policy: how calls are retried, instead of the config's `attempts`.
        plan: waits and clock of a batch run.
        elsewhere: what other runs have spent that share the budget.

    Raises:
        SetupError: anything about the configuration is wrong. Nothing has been written then.
    """

    def __init__(
        self,
        config: RunConfig,
        settings: Settings,
        emit: Emit = ignore,
        stream: bool = False,
        problems: Sequence[Problem] | None = None,
        checker: Checker | None = None,
        label: str = "",
        policy: RetryPolicy | None = None,
        plan: Plan | None = None,
        elsewhere: Spent = NOTHING,
    ) -> None:
        self.config = config
        self._command = label or "generate"
        self._given = problems
        self.strategy = strategy_of(config)
        self.prompts = prompts_of(config, self.strategy)
        refuse_unscored(config, self.strategy, self.prompts)
        self.skipped_rows: list[str] = []
        self.total = count_problems(config, problems, self.skipped_rows.append)
        self._emit = emit
        self.scorer = open_reward(config.prm) if config.prm is not None else None
        self.calls = Calls(config, settings, policy, plan, elsewhere)
        self.verifiers = Verifiers(config.verifier or "", {"judge": self._judge}, self._warned)
        if config.verifier == "judge":
            judge_prompts(config)  # a rubric that cannot be read is found now
        # A scorer only where there is one, so that runs without it are still found by what they were before.
        scored = {"prm": self.scorer.fingerprint} if self.scorer is not None else {}
        identity = identity_of(config, self.strategy, self.prompts, {**self.calls.identity, **scored})
        digest = digest_of(identity)
        begins = bool(label) or config.fresh
        path = config.out or (None if begins else unfinished(config.home, digest, config.problems))
        path = path or new_path(config.home, *filter(None, (label, config.short_model, self.strategy.name)))
        if config.fresh:
            refuse_run(path)
        self.directory = RunDirectory(path, identity, self._document())
        self.stopped = ""
        try:
            self.models = self.calls.models(self.directory, self._retried, self._tell)
        except SetupError:
            self.directory.abandon()
            raise
        self.setting = Setting(
            strategy=self.strategy,
            prompts=self.prompts,
            models=self.models,
            checker=checker or self.verifiers,
            sampling=Sampling(config.temperature, config.top_p, config.reply_tokens, config.reasoning),
            longest={role: config.longest_reply(role) for role in self.models},
            seed=config.seed,
            identity=digest,
            stream=stream,
            versions=json.dumps(versions(config)),
            resumed=self.directory.resumed,
            scorer=self.scorer,
            emit=self._tell,
        )
        self._decider = Decider(Band(samples=config.samples)) if config.until_decided else None
        self._made = 0
        self._under_way: set[str] = set()
        self._first_failures: list[str] = []

    async def run(self) -> Summary:
        """Makes every trace that is owed. Can be cancelled at any point; the next `Run` goes on from there.

        When a quota or a budget is used up, nothing new is begun, and what was begun ends as it can.
        """
        if self._decider is None:
            await self._draw(self._owed(range(self.config.samples)))
        else:
            await self._draw_until_decided(self._decider)
        if not self.summary().owed and not self.stopped:
            self.directory.finish()
        return self.summary()

    async def _draw(self, jobs: Iterator[tuple[Problem, int]]) -> None:
        await run_pool(jobs, self._make, self.config.concurrency)
        self._refuse_if_nothing_works(wave=1)

    async def _draw_until_decided(self, decider: Decider) -> None:
        """One sample of every undecided problem, then the next; each wave waits for the one before to decide."""
        if self.directory.resumed:
            for trace in read_traces(self.directory.path):
                decider.add(trace)
        for wave in range(self.config.samples):
            wanted = {problem.id for problem in self.problems() if decider.wants(problem.id, wave)}
            if not wanted or self.stopped:
                break
            await self._draw(self._owed([wave], wanted))

    async def _make(self, job: tuple[Problem, int]) -> None:
        problem, sample = job
        try:
            with self.calls.roster.trace():
                trace = await drive(self.setting, problem, sample)
            await self.directory.add(trace)
            if self._decider is not None:
                self._decider.add(trace)
            if trace.stop == "error" and not self.setting.proven:
                self._first_failures.append(trace.error.message)
                self._refuse_if_nothing_works(wave=max(3, min(self.config.concurrency, FIRST_WAVE)))
            if trace.error.kind in STOPPING:
                self._stop(trace.error.message)
            self._made += 1
            self.setting.emit(TraceEnded(trace))
        finally:
            self._under_way.discard(self.setting.trace_id(problem, sample))

    def _refuse_if_nothing_works(self, wave: int) -> None:
        """A new run of which `wave` traces failed before anything worked has a wrong set-up."""
        if not self.directory.resumed and not self.setting.proven and len(self._first_failures) >= wave:
            raise SetupError(self._first_failures[0])

    def _stop(self, why: str) -> None:
        """Draws nothing more; what is under way goes on as far as it can."""
        if self.budget is not None and self.budget.untouched:
            raise SetupError(why)
        self.stopped = self.stopped or why

    async def close(self) -> None:
        """Waits for the disk and releases model, verifiers and directory."""
        try:
            for model in set(self.models.values()):
                await model.close()
            if self.scorer is not None:
                await self.scorer.close()
            await self.verifiers.close()
        finally:
            await self.directory.close()

    def problems(self, on_bad_row: Callable[[str], None] | None = None) -> Iterator[Problem]:
        """The problems of this run, streamed; `on_bad_row` is told of each row that is left out."""
        return iter(self._given) if self._given is not None else problems_of(self.config, on_bad_row)

    def summary(self) -> Summary:
        """The state of the directory now."""
        found = summarise(self.directory)
        asked = sum(model.asked for model in set(self.models.values()))
        replayed = sum(model.replayed for model in set(self.models.values()))
        found = replace(found, made=self._made, replies_asked=asked, replies_replayed=replayed, stopped=self.stopped)
        found.latency_s = self.calls.latencies
        if self._decider is not None:
            found.saved_traces, found.saved_calls = self._decider.saved()
        return found

    def _judge(self) -> Judge:
        return open_judge(self.setting.model("judge"), self.config)

    @property
    def owes(self) -> bool:
        """Whether a trace is still to be made."""
        samples = range(self.config.samples)
        return any(self._lacks(problem, sample) for problem in self.problems() for sample in samples)

    def _lacks(self, problem: Problem, sample: int) -> bool:
        return self.directory.owed(self.setting.trace_id(problem, sample), getattr(self.strategy, "max_turns", 0))

    def _owed(self, samples: Sequence[int], wanted: Container[str] | None = None) -> Iterator[tuple[Problem, int]]:
        for problem in self.problems():
            for sample in samples if wanted is None or problem.id in wanted else ():
                if self.stopped:
                    return
                trace_id = self.setting.trace_id(problem, sample)
                if trace_id not in self._under_way and self._lacks(problem, sample):
                    self._under_way.add(trace_id)
                    yield problem, sample

    @property
    def model(self) -> Recorded:
        """The solver."""
        return self.models["solver"]

    @property
    def batches(self) -> int:
        """Batches at the provider whose results the next command of this run picks up."""
        return self.calls.batches

    @property
    def budget(self) -> Budget | None:
        """What this run may spend, where that is limited."""
        return self.calls.budget

    def _tell(self, event: Event) -> None:
        if isinstance(event, Batched):
            self.directory.log("batch", id=event.id, state=event.state, done=event.done, total=event.total)
        try:
            self._emit(event)
        except (OSError, ValueError) as error:  # a closed pipe, or letters that the terminal cannot show
            raise OutputError(
                f"The output can no longer be written ({cause(error)}): run the same command to go on."
            ) from error

    def _retried(self, error: ProviderError, attempt: int, wait: float) -> None:
        self.directory.log("retried", error=str(error), kind=error.kind, attempt=attempt, wait_s=round(wait, 3))
        self._tell(Retried(error, attempt, wait))

    def _warned(self, text: str) -> None:
        self.directory.log("warning", text=text)
        self._tell(Warned(text))

    def _document(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.config.model_dump_json())
        return {
            **config,
            "command": self._command,
            "options": self.strategy.model_dump(),
            "versions": versions(self.config),
            "total": self.total,
        }
