"""The main job: problems -> strategy x model -> traces -> verdicts -> run directory.

`Run` puts the pieces together from a `RunConfig` and does what is still owed. The command line, the page and later
stages all generate through it.
"""

import json
import platform
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from openstrawberry import __version__
from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import Checker, Sampling, Setting, drive
from openstrawberry.engine.events import Batched, Emit, Event, Retried, TraceEnded, ignore
from openstrawberry.engine.plan import LIVE_SHARE, Plan
from openstrawberry.engine.pool import run_pool
from openstrawberry.engine.waves import Roster, Waves
from openstrawberry.errors import OutputError, ProviderError, SetupError
from openstrawberry.models.batch import batches_of
from openstrawberry.models.model import Model, without_address
from openstrawberry.models.registry import open_model
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.models.stack import compose
from openstrawberry.problems.families import recognise
from openstrawberry.problems.load import is_local, load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.selection.deciding import Decider
from openstrawberry.selection.difficulty import Band
from openstrawberry.settings import Settings
from openstrawberry.store.reading import new_path, read_traces, unfinished
from openstrawberry.store.run import RunDirectory, digest_of
from openstrawberry.store.summary import Summary, summarise
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy
from openstrawberry.strategies.strategy import Strategy
from openstrawberry.verifiers.catalogue import VERIFIERS, Verifiers

_SDKS = {
    "openai": "openai",
    "azure": "openai",
    "anthropic": "anthropic",
    "gemini": "google-genai",
    "groq": "groq",
    "ollama": "ollama",
    "hf": "transformers",
    "berry": "onnxruntime",
}


BERRY_ONLY_KNOWS = (
    "berry, the embedded model, only knows how to count a letter in a word and to add two whole numbers, asked like "
    '"How many r\'s are in strawberry?" or "What is 48 + 67?": for anything else name a real model with --model, such '
    "as ollama:mistral, openai:gpt-5-mini or anthropic:claude-sonnet-4-5."
)


class Run:
    """One `generate`, ready to start.

    Args:
        problems: the problems themselves, instead of the config's source.
        checker: who gives verdicts, instead of the verifiers that the problems name.
        label: starts a new directory of this name, and never goes on with an unfinished one.
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
        plan: Plan | None = None,
    ) -> None:
        self.config = config
        self._plan = plan or Plan()
        self._given = problems
        self.strategy = self._strategy()
        self.prompts: PromptSet = load_prompts(self.strategy.name, config.prompts_used, config.prompts)
        self.skipped_rows: list[str] = []
        self.total = self._count()
        self._emit = emit
        self._base = open_model(config.model, settings, **model_options(config))
        self._batch_api = batches_of(self._base) if config.engine == "batch" else None
        if config.deadline is not None and self._batch_api is None:
            raise SetupError("--deadline is for batches: add --engine batch, or leave it out.")
        self.verifiers = Verifiers(forced=config.verifier or "")
        identity = self._identity()
        digest = digest_of(identity)
        path = config.out or (None if label else unfinished(config.home, digest, config.problems))
        path = path or new_path(config.home, *filter(None, (label, config.short_model, self.strategy.name)))
        self.directory = RunDirectory(path, identity, self._document())
        self._roster = Roster()
        self._waves: Waves | None = None
        policy = RetryPolicy(attempts=config.attempts)
        waves = self._in_waves if self._batch_api is not None else None
        self.model = compose(self._base, self.directory, policy, self._retried, waves)
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
            emit=self._tell,
        )
        self._decider = Decider(Band(samples=config.samples)) if config.until_decided else None
        self._made = 0
        self._under_way: set[str] = set()
        self._first_failures: list[str] = []

    async def run(self) -> Summary:
        """Makes every trace that is owed. Can be cancelled at any point; the next `Run` goes on from there."""

        if self._decider is None:
            await self._draw(self._owed(range(self.config.samples)))
        else:
            await self._draw_until_decided(self._decider)
        if not self.summary().failed:
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
            if not wanted:
                break
            await self._draw(self._owed([wave], wanted))

    async def _make(self, job: tuple[Problem, int]) -> None:
        problem, sample = job
        try:
            with self._roster.trace():
                trace = await drive(self.setting, problem, sample)
            await self.directory.add(trace)
            if self._decider is not None:
                self._decider.add(trace)
            if trace.stop == "error" and not self.setting.proven:
                self._first_failures.append(trace.error.message)
                self._refuse_if_nothing_works(wave=max(3, self.config.concurrency))
            self._made += 1
            self.setting.emit(TraceEnded(trace))
        finally:
            self._under_way.discard(self.setting.trace_id(problem, sample))

    def _refuse_if_nothing_works(self, wave: int) -> None:
        """A new run of which `wave` traces failed before anything worked has a wrong set-up."""
        if not self.directory.resumed and not self.setting.proven and len(self._first_failures) >= wave:
            raise SetupError(self._first_failures[0])

    async def close(self) -> None:
        """Waits for the disk and releases model, verifiers and directory."""
        await self.model.close()
        await self.verifiers.close()
        await self.directory.close()

    def problems(self, on_bad_row: Callable[[str], None] | None = None) -> Iterator[Problem]:
        """The problems of this run, streamed; `on_bad_row` is told of each row that is left out."""
        if self._given is not None:
            return iter(self._given)
        config = self.config
        return load_problems(
            config.problems,
            question_column=config.question_column,
            answer_column=config.answer_column,
            limit=config.limit,
            seed=config.seed,
            skip_bad_rows=config.skip_bad_rows,
            known_verifiers=VERIFIERS.names(),
            on_bad_row=on_bad_row,
        )

    def summary(self) -> Summary:
        """The state of the directory now."""
        found = summarise(self.directory)
        found = replace(found, made=self._made, replies_asked=self.model.asked, replies_replayed=self.model.replayed)
        if self._decider is not None:
            found.saved_traces, found.saved_calls = self._decider.saved()
        return found

    def _owed(self, samples: Sequence[int], wanted: Container[str] | None = None) -> Iterator[tuple[Problem, int]]:
        max_turns = getattr(self.strategy, "max_turns", 0)
        for problem in self.problems():
            for sample in samples if wanted is None or problem.id in wanted else ():
                trace_id = self.setting.trace_id(problem, sample)
                if trace_id not in self._under_way and self.directory.owed(trace_id, max_turns):
                    self._under_way.add(trace_id)
                    yield problem, sample

    def _strategy(self) -> Strategy:
        kind = STRATEGIES.load(self.config.strategy)
        return open_strategy(self.config.strategy, self.config.options_for(kind.model_fields))

    def _count(self) -> int | None:
        """Reads a source on this machine through once, so that a bad row is found before anything is paid for."""
        if self._given is None and not is_local(self.config.problems):
            return None
        total, known = 0, self.config.provider != "berry"
        for problem in self.problems(on_bad_row=self.skipped_rows.append):
            total += 1
            known = known or recognise(problem.question) is not None
        if not known:
            raise SetupError(BERRY_ONLY_KNOWS)
        return total

    @property
    def batches(self) -> int:
        """Batches at the provider whose results the next command of this run picks up."""
        return self._waves.running if self._waves is not None else 0

    def _in_waves(self, live: Model) -> Model:
        """Batches in the place of live calls."""
        hours, now = self.config.deadline, self._plan.clock()
        plan = replace(
            self._plan,
            attempts=self.config.attempts,
            live_from=self._plan.live_from if hours is None else now + hours * 3600 * (1 - LIVE_SHARE),
            on_retry=self._retried,
            tell=self._tell,
        )
        record, resumed = self.directory, self.directory.resumed and self.directory.worth_keeping
        assert self._batch_api is not None
        self._waves = Waves(live, self._batch_api, record.batches, record, self._roster, plan, proven=resumed)
        return self._waves

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
            "model": without_address(self._base.spec),
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
            "weights": getattr(self._base, "fingerprint", ""),
        }

    def _document(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.config.model_dump_json())
        return {**config, "options": self.strategy.model_dump(), "versions": versions(self.config)}


def model_options(config: RunConfig) -> dict[str, Any]:
    """What a provider may want to know beyond its spec."""
    given: dict[str, Any] = {"num_ctx": config.num_ctx, "keep_alive": config.keep_alive, "timeout": config.timeout}
    return {name: value for name, value in given.items() if value is not None}


def versions(config: RunConfig) -> dict[str, str]:
    """Of this package, Python, and whatever talks to the model."""
    found = {"openstrawberry": __version__, "python": platform.python_version()}
    for package in _packages(config.provider):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _packages(provider: str) -> Iterable[str]:
    return (_SDKS[provider],) if provider in _SDKS else ()
