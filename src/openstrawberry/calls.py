"""The way from a run to its providers: who is asked, at what pace, for how much money, live or in batches.

`Calls` is made before the run directory is: whatever is wrong with a model, a key, a price or a flag is said before
anything is written. Then it gives the run its one model, with every wrapper around it (`models/stack.py`).
"""

from dataclasses import replace
from functools import partial

from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Emit
from openstrawberry.engine.plan import LIVE_SHARE, Plan
from openstrawberry.engine.waves import Roster, Waves
from openstrawberry.errors import SetupError, UsageError
from openstrawberry.models.batch import BatchApi, batches_of, refuse_without_batches
from openstrawberry.models.budget import Budget
from openstrawberry.models.gate import Gate, Pace
from openstrawberry.models.model import Model
from openstrawberry.models.opening import check_models, open_members
from openstrawberry.models.pricelist import Prices, unpriced
from openstrawberry.models.replies import Recorded
from openstrawberry.models.retry import OnRetry, RetryPolicy
from openstrawberry.models.stack import Money, compose
from openstrawberry.pieces import model_options
from openstrawberry.settings import Settings
from openstrawberry.store.run import RunDirectory
from openstrawberry.wording import counted

_ONE_MODEL = "A batch goes to one model under one key: name one in --model, or leave out --engine batch."


def check_calls(config: RunConfig, settings: Settings) -> Prices:
    """What is wrong with models, flags and prices, as far as that is known without a key; and the prices themselves.

    Raises:
        SetupError: a price is not known that a budget needs, or a model is not named in full.
        UsageError: there is no such model, or flags do not go together.
    """
    prices = Prices(config.prices, settings)
    if config.budget_usd is not None and prices.of(config.model) is None:
        raise SetupError(unpriced(config.model))
    specs = check_models(config.model, settings, config.workers)
    if config.engine == "batch":
        if len(specs) > 1:
            raise UsageError(_ONE_MODEL)
        if config.workers > 1:
            raise UsageError("--workers is for live calls: leave it out, or leave out --engine batch.")
        refuse_without_batches(specs[0])
    elif config.deadline is not None:
        raise UsageError("--deadline is for batches: add --engine batch, or leave it out.")
    return prices


class Calls:
    """All calls of one run. `roster` is told which traces are at work; `spec` names the model, or all that share it,
    and `members` are they.

    Args:
        policy: how calls are retried, instead of the config's `attempts`.
        plan: waits and clock of a batch run.

    Raises:
        SetupError: a model, a key, a price or a flag is wrong.
    """

    def __init__(self, config: RunConfig, settings: Settings, policy: RetryPolicy | None, plan: Plan | None) -> None:
        self._config = config
        self._policy = policy or RetryPolicy(attempts=config.attempts)
        self._plan = plan or Plan()
        self._prices = check_calls(config, settings)
        self.spec, self.members = open_members(
            config.model, settings, self._gate, workers=config.workers, **model_options(config)
        )
        self._api = self._batch_api() if config.engine == "batch" else None
        self.budget: Budget | None = None
        self.roster = Roster()
        self._waves: Waves | None = None

    @property
    def weights(self) -> str:
        """Which weights are asked, where they lie here: they may change under the same name."""
        return ",".join(filter(None, (getattr(member.model, "fingerprint", "") for member in self.members)))

    @property
    def batches(self) -> int:
        """Batches at the provider whose results the next command of this run picks up."""
        return self._waves.running if self._waves is not None else 0

    def recorded(self, directory: RunDirectory, on_retry: OnRetry, tell: Emit) -> Recorded:
        """The model as the run asks it; replies, budget and batches are kept in `directory`."""
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
            self.budget = Budget(directory, config.budget_usd, config.budget_tokens)
        money = Money(self._prices.of, self.budget, config.cache_ttl or "5m")
        waves = partial(self._in_waves, self._api, directory, on_retry, tell, money) if self._api else None
        return compose(self.members, directory, self._policy, on_retry, spec=self.spec, money=money, waves=waves)

    def _gate(self, provider: str) -> Gate:
        pace = Pace(self._config.requests_per_minute, self._config.tokens_per_minute)
        return Gate(provider, self._config.concurrency, pace, patience=self._policy.total)

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
