"""The main job: problems -> strategy x model -> traces -> verdicts -> run directory.

`Run` puts the pieces together from a `RunConfig` and does what is still owed. The command line, the page and later
stages all generate through it.
"""

import json
import platform
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
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
from openstrawberry.models.batch import BatchApi, batches_of
from openstrawberry.models.budget import Budget
from openstrawberry.models.gate import Gate, Pace
from openstrawberry.models.model import Model, without_address
from openstrawberry.models.opening import open_members
from openstrawberry.models.pricelist import Prices, unpriced
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.models.stack import Money, compose
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
        self._plan = plan or Plan()
        self._given = problems
        self.strategy = strategy_of(config)
        self.prompts: PromptSet = load_prompts(self.strategy.name, config.prompts_used, config.prompts)
        self.skipped_rows: list[str] = []
        self.total = self._count()
        self._emit = emit
        prices = Prices(config.prices, settings)
        if config.budget_usd is not None and prices.of(config.model) is None:
            raise SetupError(unpriced(config.model))
        policy = policy or RetryPolicy(attempts=config.attempts)
        pace = Pace(config.requests_per_minute, config.tokens_per_minute)
        spec, self._members = open_members(
            config.model,
            settings,
            lambda provider: Gate(provider, config.concurrency, pace, patience=policy.total),
            **model_options(config),
        )
        self._batch_api = self._batching() if config.engine == "batch" else None
        if config.deadline is not None and self._batch_api is None:
            raise SetupError("--deadline is for batches: add --engine batch, or leave it out.")
        self.verifiers = Verifiers(forced=config.verifier or "")
        identity = self._identity(spec)
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
        limited = config.budget_usd is not None or config.budget_tokens is not None
        self.budget = Budget(self.directory, config.budget_usd, config.budget_tokens) if limited else None
        self.stopped = ""
        self._money = Money(prices.of, self.budget, config.cache_ttl or "5m")
        self._roster = Roster()
        self._waves: Waves | None = None
        waves = self._in_waves if self._batch_api is not None else None
        self.model = compose(
            self._members, self.directory, policy, self._retried, spec=spec, money=self._money, waves=waves
        )
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
            with self._roster.trace():
                trace = await drive(self.setting, problem, sample)
            await self.directory.add(trace)
            if self._decider is not None:
                self._decider.add(trace)
            if trace.stop == "error" and not self.setting.proven:
                self._first_failures.append(trace.error.message)
                self._refuse_if_nothing_works(wave=max(3, self.config.concurrency))
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
        await self.model.close()
        await self.verifiers.close()
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
        return self._waves.running if self._waves is not None else 0

    def _batching(self) -> BatchApi:
        if len(self._members) > 1:
            raise SetupError(
                "A batch goes to one model under one key: name one in --model, or leave out --engine batch."
            )
        return batches_of(self._members[0].model)

    def _in_waves(self, live: Model) -> Model:
        """Batches in the place of live calls."""
        hours, now = self.config.deadline, self._plan.clock()
        plan = replace(
            self._plan,
            attempts=self.config.attempts,
            live_from=self._plan.live_from if hours is None else now + hours * 3600 * (1 - LIVE_SHARE),
            on_retry=self._retried,
            tell=self._tell,
            priced=lambda reply: self._money.halved(reply, live.spec),
        )
        record, resumed = self.directory, self.directory.resumed and self.directory.worth_keeping
        assert self._batch_api is not None
        around = partial(self._money.capped, self._money.price(live.spec))
        self._waves = Waves(live, self._batch_api, record.batches, record, self._roster, plan, around, resumed)
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

    def _identity(self, spec: str) -> dict[str, Any]:
        config = self.config
        resumable = set(self.strategy.RESUMABLE)
        return {
            "model": without_address(spec),
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
            "weights": ",".join(filter(None, (getattr(member.model, "fingerprint", "") for member in self._members))),
        }

    def _document(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.config.model_dump_json())
        return {**config, "options": self.strategy.model_dump(), "versions": versions(self.config)}


def strategy_of(config: RunConfig) -> Strategy:
    """The strategy that is asked for, with its options."""
    kind = STRATEGIES.load(config.strategy)
    return open_strategy(config.strategy, config.options_for(kind.model_fields))


def problems_of(config: RunConfig, on_bad_row: Callable[[str], None] | None = None) -> Iterator[Problem]:
    """The problems of the config's source, streamed."""
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


def model_options(config: RunConfig) -> dict[str, Any]:
    """What a provider may want to know beyond its spec."""
    names = ("num_ctx", "keep_alive", "cache_ttl", "timeout")
    return {name: value for name in names if (value := getattr(config, name)) is not None}


def versions(config: RunConfig) -> dict[str, str]:
    """Of this package, Python, and whatever talks to the model."""
    found = {"openstrawberry": __version__, "python": platform.python_version()}
    for package in _packages(config.providers):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _packages(providers: Sequence[str]) -> Iterable[str]:
    return dict.fromkeys(_SDKS[provider] for provider in providers if provider in _SDKS)
