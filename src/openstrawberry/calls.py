"""The way from a run to its providers: who is asked, at what pace, for how much money, live or in batches.

`Calls` is made before the run directory is: whatever is wrong with a model, a key, a price or a flag is said before
anything is written. Then it gives the run its models, one for each role that has its own, with every wrapper around
them (`models/stack.py`). They share the record and the budget; each model and key has its own limits.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median

from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Emit, ignore
from openstrawberry.engine.plan import LIVE_SHARE, Plan
from openstrawberry.engine.waves import Roster, Waves
from openstrawberry.errors import SetupError, UsageError
from openstrawberry.models.batch import BatchApi, batches_of, refuse_without_batches
from openstrawberry.models.budget import NOTHING, Budget, Spent
from openstrawberry.models.gate import Gate, Pace
from openstrawberry.models.model import Model, without_address
from openstrawberry.models.opening import check_models, open_members
from openstrawberry.models.pricelist import Prices, unpriced
from openstrawberry.models.replies import Recorded
from openstrawberry.models.retry import OnRetry, RetryPolicy
from openstrawberry.models.stack import Member, Money, compose
from openstrawberry.pieces import model_options
from openstrawberry.settings import Settings
from openstrawberry.store.run import RunDirectory
from openstrawberry.strategies.strategy import AskRole
from openstrawberry.wording import counted

_ONE_MODEL = "A batch goes to one model under one key: name one in --model, or leave out --engine batch."


def named_models(config: RunConfig, settings: Settings) -> tuple[str, dict[AskRole, str]]:
    """The solver's spec, and that of each role which has a model of its own; default names are filled in.

    Raises:
        SetupError: a model is not named in full.
        UsageError: there is no such model.
    """
    spec = ",".join(check_models(config.model, settings, config.workers))
    roles = {role: ",".join(check_models(asked, settings, config.workers)) for role, asked in config.roles.items()}
    return spec, {role: each for role, each in roles.items() if each != spec}


def check_calls(config: RunConfig, settings: Settings) -> Prices:
    """What is wrong with models, flags and prices, as far as that is known without a key; and the prices themselves.

    Raises:
        SetupError: a price is not known that a budget needs, or a model is not named in full.
        UsageError: there is no such model, or flags do not go together.
    """
    prices = Prices(config.prices, settings)
    for asked in (config.model, *config.roles.values()):
        if config.budget_usd is not None and prices.of(asked) is None:
            raise SetupError(unpriced(asked))
    named_models(config, settings)
    if config.engine == "batch":
        specs = check_models(config.model, settings)
        if len(specs) > 1:
            raise UsageError(_ONE_MODEL)
        if config.workers > 1:
            raise UsageError("--workers is for live calls: leave it out, or leave out --engine batch.")
        refuse_without_batches(specs[0])
    elif config.deadline is not None:
        raise UsageError("--deadline is for batches: add --engine batch, or leave it out.")
    return prices


class Calls:
    """All calls of one run. `roster` is told which traces are at work; `spec` names the solver, or all that share it,
    and `members` are they. `roles` names who plays a role in the solver's place.

    Args:
        policy: how calls are retried, instead of the config's `attempts`.
        plan: waits and clock of a batch run.
        elsewhere: what other runs have spent that share the budget.

    Raises:
        SetupError: a model, a key, a price or a flag is wrong.
    """

    def __init__(
        self,
        config: RunConfig,
        settings: Settings,
        policy: RetryPolicy | None,
        plan: Plan | None,
        elsewhere: Spent = NOTHING,
    ) -> None:
        self._config = config
        self._elsewhere = elsewhere
        self._policy = policy or RetryPolicy(attempts=config.attempts)
        self._plan = plan or Plan()
        self._prices = check_calls(config, settings)
        self.spec, self.roles = named_models(config, settings)
        self.members = self._opened(config.model, settings)
        self._others: dict[str, list[Member]] = {}
        for role, spec in self.roles.items():
            if spec not in self._others:  # opened once for all roles that it plays
                self._others[spec] = self._opened(config.roles[role], settings)
        self._api = self._batch_api() if config.engine == "batch" else None
        self.budget: Budget | None = None
        self.roster = Roster()
        self._waves: Waves | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What a continuation must share: the models, and which weights lie here, as they may change under a name.

        A role has a part in it only where it has a model of its own.
        """
        found = {"model": without_address(self.spec), "weights": _weights(self.members)}
        for role, spec in self.roles.items():
            found[role] = without_address(spec)
            if weights := _weights(self._others[spec]):
                found[f"{role}_weights"] = weights
        return found

    @property
    def batches(self) -> int:
        """Batches at the provider whose results the next command of this run picks up."""
        return self._waves.running if self._waves is not None else 0

    @property
    def latencies(self) -> dict[str, float]:
        """Median seconds of the latest live replies of each model, from sending to the last byte; its keys together."""
        found: dict[str, list[float]] = {}
        for member in chain(self.members, *self._others.values()):
            found.setdefault(member.model.spec, []).extend(member.gate.latencies)
        return {spec: round(median(seconds), 4) for spec, seconds in found.items() if seconds}

    def models(self, directory: RunDirectory, on_retry: OnRetry, tell: Emit) -> dict[AskRole, Recorded]:
        """The models as the run asks them, by role; replies, budget and batches are kept in `directory`.

        A role whose model is the solver's has no line. In a batch run only the solver is asked in batches.
        """
        config, entries = self._config, directory.batches.entries()
        if entries and self._api is None:
            raise SetupError(
                f"{counted(len(entries), 'batch', 'batches')} of this run went to the provider: add "
                "--engine batch to pick up what was paid for, or choose another folder with --out."
            )
        if config.budget_usd is not None or config.budget_tokens is not None:
            if directory.unbudgeted:
                raise SetupError(
                    "Batches of this run went to the provider without a budget, so what they cost is not known yet: "
                    "leave the budget out until they are done."
                )
            self.budget = Budget(directory, config.budget_usd, config.budget_tokens, self._elsewhere)
        money = Money(self._prices.of, self.budget, config.cache_ttl or "5m")
        waves = partial(self._in_waves, self._api, directory, on_retry, tell, money) if self._api else None
        ask = partial(compose, record=directory, policy=self._policy, on_retry=on_retry, money=money)
        others = {spec: ask(members, spec=spec) for spec, members in self._others.items()}
        solver = ask(self.members, spec=self.spec, waves=waves)
        return {"solver": solver, **{role: others[spec] for role, spec in self.roles.items()}}

    def _opened(self, asked: str, settings: Settings) -> list[Member]:
        workers, options = self._config.workers, model_options(self._config)
        return open_members(asked, settings, self._gate, workers=workers, **options)[1]

    def _gate(self, provider: str) -> Gate:
        pace = Pace(self._config.requests_per_minute, self._config.tokens_per_minute)
        # The embedded model has a queue of its own, which knows whose conversation is still at hand. Held back here,
        # the members of a vote or a search would come when theirs is forgotten (four times slower, at 8 traces of 8).
        ceiling = sys.maxsize if provider == "berry" else self._config.concurrency
        return Gate(provider, ceiling, pace, patience=self._policy.total)

    def _batch_api(self) -> BatchApi:
        if len(self.members) > 1:
            raise UsageError(_ONE_MODEL)
        return batches_of(self.members[0].model)

    def _in_waves(
        self, api: BatchApi, directory: RunDirectory, on_retry: OnRetry, tell: Emit, money: Money, live: Model
    ) -> Model:
        """Batches in the place of live calls."""
        hours, now = self._config.deadline, self._plan.clock()
        plan = replace(
            self._plan,
            attempts=self._config.attempts,
            live_from=self._plan.live_from if hours is None else now + hours * 3600 * (1 - LIVE_SHARE),
            on_retry=on_retry,
            tell=tell,
            priced=lambda reply: money.halved(reply, live.spec),
        )
        resumed = directory.resumed and directory.worth_keeping
        around = partial(money.capped, spec=live.spec)
        self._waves = Waves(live, api, directory.batches, directory, self.roster, plan, around, resumed)
        return self._waves


@asynccontextmanager
async def over_run(run: Path, config: RunConfig, settings: Settings) -> AsyncIterator[Recorded]:
    """`config.model` with all its wrappers, over the record and the ledger of a run that is there.

    Raises:
        SetupError: as `Calls`; or there is no such run, another process is writing to it, or it waits for batches.
    """
    calls = Calls(config, settings, None, None)
    directory = RunDirectory.reopened(run)
    try:
        if directory.batches.entries():
            raise SetupError("Batches of this run are at the provider: finish it with `strawberry generate` first.")
        model = calls.models(directory, lambda error, attempt, wait: None, ignore)["solver"]
        try:
            yield model
        finally:
            await model.close()
    finally:
        await directory.close()


def _weights(members: Sequence[Member]) -> str:
    return ",".join(filter(None, (getattr(member.model, "fingerprint", "") for member in members)))
