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
from openstrawberry.engine.events import Batched, Emit, Event, Retried, TraceEnded, ignore
from openstrawberry.engine.plan import Plan
from openstrawberry.engine.pool import run_pool
from openstrawberry.errors import OutputError, ProviderError, SetupError
from openstrawberry.models.budget import Budget
from openstrawberry.models.model import without_address
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.pieces import problems_of, prompts_of, strategy_of, versions
from openstrawberry.problems.families import recognise
from openstrawberry.problems.load import is_local
from openstrawberry.problems.problem import Problem
from openstrawberry.selection.deciding import Decider
from openstrawberry.selection.difficulty import Band
from openstrawberry.settings import Settings
from openstrawberry.store.reading import new_path, read_traces, unfinished
from openstrawberry.store.run import RunDirectory, digest_of
from openstrawberry.store.summary import Summary, summarise
from openstrawberry.verifiers.catalogue import Verifiers

FIRST_WAVE = 64  # traces that may fail before a new run is said to be set up wrongly
STOPPING = ("quota", "budget")  # kinds of failure that every further trace would run into

BERRY_ONLY_KNOWS = (
    "berry, the embedded model, only knows how to count a letter in a word and to add two whole numbers, asked like "
    '"How many r\'s are in strawberry?" or "What is 48 + 67?": for anything else name a real model with --model, such '
    "as ollama:mistral, openai:gpt-5-mini or anthropic:claude-sonnet-4-5."
)


class Run:
    """One `generate`, ready to start. `stopped` says why it drew nothing more, empty while it does.

    Args:
        problems: the problems themselves, instead of the config's source.
        checker: who gives verdicts, instead of the verifiers that the problems name.
        label: starts a new directory of this name, and never goes on with an unfinished one.
        policy: how calls are retried, instead of the config's `attempts`.
        plan: waits and clock of a batch run.

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
    ) -> None:
        self.config = config
        self._given = problems
        self.strategy = strategy_of(config)
        self.prompts = prompts_of(config, self.strategy)
        self.skipped_rows: list[str] = []
        self.total = self._count()
        self._emit = emit
        self.calls = Calls(config, settings, policy, plan)
        self.verifiers = Verifiers(forced=config.verifier or "")
        identity = self._identity()
        digest = digest_of(identity)
        begins = bool(label) or config.fresh
        path = config.out or (None if begins else unfinished(config.home, digest, config.problems))
        path = path or new_path(config.home, *filter(None, (label, config.short_model, self.strategy.name)))
        if config.fresh and (path / "run.json").exists():
            raise SetupError(
                f"{path} holds a run already, and --fresh asks for a new one: "
                "choose another folder with --out, or leave out --fresh to go on with this one."
            )
        self.directory = RunDirectory(path, identity, self._document())
        self.stopped = ""
        self.model = self.calls.recorded(self.directory, self._retried, self._tell)
        self.setting = Setting(
            strategy=self.strategy,
            prompts=self.prompts,
            models={"solver": self.model},
            checker=checker or self.verifiers,
            sampling=Sampling(config.temperature, config.top_p, config.reply_tokens, config.reasoning),
            seed=config.seed,
            identity=digest,
            stream=stream,
            versions=json.dumps(versions(config)),
            resumed=self.directory.resumed,
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
            await self.model.close()
            await self.verifiers.close()
        finally:
            await self.directory.close()

    def problems(self, on_bad_row: Callable[[str], None] | None = None) -> Iterator[Problem]:
        """The problems of this run, streamed; `on_bad_row` is told of each row that is left out."""
        return iter(self._given) if self._given is not None else problems_of(self.config, on_bad_row)

    def summary(self) -> Summary:
        """The state of the directory now."""
        found = summarise(self.directory)
        asked, replayed = self.model.asked, self.model.replayed
        found = replace(found, made=self._made, replies_asked=asked, replies_replayed=replayed, stopped=self.stopped)
        if self._decider is not None:
            found.saved_traces, found.saved_calls = self._decider.saved()
        return found

    def _owed(self, samples: Sequence[int], wanted: Container[str] | None = None) -> Iterator[tuple[Problem, int]]:
        max_turns = getattr(self.strategy, "max_turns", 0)
        for problem in self.problems():
            for sample in samples if wanted is None or problem.id in wanted else ():
                if self.stopped:
                    return
                trace_id = self.setting.trace_id(problem, sample)
                if trace_id not in self._under_way and self.directory.owed(trace_id, max_turns):
                    self._under_way.add(trace_id)
                    yield problem, sample

    def _count(self) -> int | None:
        """Reads a source on this machine through once, so that a bad row is found before anything is paid for."""
        if self._given is None and not is_local(self.config.problems):
            return None
        total, known = 0, self.config.providers != ["berry"]
        for problem in self.problems(on_bad_row=self.skipped_rows.append):
            total += 1
            known = known or recognise(problem.question) is not None
        if not known:
            raise SetupError(BERRY_ONLY_KNOWS)
        return total

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
                f"The output can no longer be written ({error}): run the same command to go on."
            ) from error

    def _retried(self, error: ProviderError, attempt: int, wait: float) -> None:
        self.directory.log("retried", error=str(error), kind=error.kind, attempt=attempt, wait_s=round(wait, 3))
        self._tell(Retried(error, attempt, wait))

    def _identity(self) -> dict[str, Any]:
        config = self.config
        resumable = set(self.strategy.RESUMABLE)
        return {
            "model": without_address(self.calls.spec),
            "strategy": self.strategy.name,
            "options": self.strategy.model_dump(exclude=resumable),
            "prompts": self.prompts.name,
            "prompt_digest": self.prompts.digest,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_tokens": config.reply_tokens,
            "reasoning": config.reasoning,
            "seed": config.seed,
            "num_ctx": config.num_ctx,
            "weights": self.calls.weights,
        }

    def _document(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.config.model_dump_json())
        return {**config, "options": self.strategy.model_dump(), "versions": versions(self.config), "total": self.total}
