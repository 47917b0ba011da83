"""Who plays which part in an evolution: writer, solver and target, on one record of replies and one budget.

Parts that name the same model share it, its limits and its connections. Everything that can be wrong with a model, a
key, a strategy or a price is found before anything is written.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import Checker, Sampling, Setting
from openstrawberry.errors import SetupError
from openstrawberry.evolve.config import Evolving
from openstrawberry.models.budget import Budget
from openstrawberry.models.gate import Gate, Pace
from openstrawberry.models.model import without_address
from openstrawberry.models.opening import open_members
from openstrawberry.models.pricelist import Prices, unpriced
from openstrawberry.models.replies import Recorded
from openstrawberry.models.retry import OnRetry, RetryPolicy
from openstrawberry.models.stack import Member, Money, compose
from openstrawberry.pieces import model_options, prompts_of, strategy_of, versions
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.settings import Settings
from openstrawberry.store.run import RunDirectory
from openstrawberry.strategies.strategy import AskRole
from openstrawberry.verifiers.verifier import Verdict

Part = Literal["writer", "solver", "target"]


@dataclass(frozen=True)
class _Opened:
    spec: str
    members: list[Member]


class Unchecked:
    """Nothing is known yet that an answer could be checked against."""

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        """Always `unknown`."""
        return Verdict(status="unknown", detail="no known answer")


class Cast:
    """The models of an evolution.

    Args:
        parts: those that will be asked; models of others are not opened.
        policy: how calls are retried, instead of the config's `attempts`.

    Raises:
        SetupError: a model, a key, a strategy, a prompt or a price is wrong.
    """

    def __init__(
        self, config: Evolving, settings: Settings, parts: Collection[Part], policy: RetryPolicy | None = None
    ) -> None:
        self._config = config
        self._policy = policy or RetryPolicy(attempts=config.attempts)
        self._prices = Prices(config.prices, settings)
        every: dict[Part, RunConfig] = {
            "writer": config.writing(), "solver": config.solving(), "target": config.trying()
        }  # fmt: skip
        self._runs = {part: run for part, run in every.items() if part in parts}
        self._strategies = {part: strategy_of(run) for part, run in self._runs.items()}
        self._prompts: dict[Part, PromptSet] = {
            part: load_prompts("evolve", run.prompts_used, config.prompts)
            if part == "writer"
            else prompts_of(run, self._strategies[part])
            for part, run in self._runs.items()
        }
        named = {run.model: run for run in self._runs.values()}
        for spec in named:
            if config.budget_usd is not None and self._prices.of(spec) is None:
                raise SetupError(unpriced(spec))
        self._opened = {
            spec: _Opened(*open_members(spec, settings, self._gate, **model_options(run)))
            for spec, run in named.items()
        }
        self.budget: Budget | None = None
        self.models: dict[str, Recorded] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """What decides what the parts say: who they are, how they go about it, and the texts they are given."""
        return {
            part: {
                "model": without_address(self._opened[run.model].spec),
                "weights": self._weights(run.model),
                "strategy": self._strategies[part].name,
                "options": self._strategies[part].model_dump(),
                "prompts": self._prompts[part].digest,
                "max_tokens": run.reply_tokens,
            }
            for part, run in self._runs.items()
        }

    @property
    def prompts(self) -> dict[Part, PromptSet]:
        """What is said to each part."""
        return self._prompts

    @property
    def versions(self) -> dict[str, str]:
        """Of this package, Python, and whatever talks to the models."""
        return {name: told for run in self._runs.values() for name, told in versions(run).items()}

    def record(self, directory: RunDirectory, on_retry: OnRetry) -> None:
        """Makes `models`: their replies and their budget are kept in `directory`."""
        config = self._config
        if config.budget_usd is not None or config.budget_tokens is not None:
            self.budget = Budget(directory, config.budget_usd, config.budget_tokens)
        money = Money(self._prices.of, self.budget, config.cache_ttl or "5m")
        for spec, opened in self._opened.items():
            self.models[spec] = compose(
                opened.members, directory, self._policy, on_retry, spec=opened.spec, money=money
            )

    def settings(self, identity: str, resumed: bool, checker: Checker) -> dict[Part, Setting]:
        """What the traces of each part share. Only the target's answers are checked; the solver judges the writer."""
        return {
            part: Setting(
                strategy=self._strategies[part],
                prompts=self._prompts[part],
                models=self._roles(part, run.model),
                checker=checker if part == "target" else Unchecked(),
                sampling=Sampling(run.temperature, run.top_p, run.reply_tokens, run.reasoning),
                seed=run.seed,
                identity=f"{identity}-{part}",
                resumed=resumed,
                versions=json.dumps(versions(run)),
            )
            for part, run in self._runs.items()
        }

    @property
    def proven(self) -> bool:
        """Whether any of them has answered."""
        return any(model.proven for model in self.models.values())

    async def close(self) -> None:
        """Releases every model."""
        for model in self.models.values():
            await model.close()

    def _roles(self, part: Part, spec: str) -> dict[AskRole, Recorded]:
        if part == "writer":
            return {"solver": self.models[spec], "judge": self.models[self._config.solver]}
        return {"solver": self.models[spec]}

    def _weights(self, spec: str) -> str:
        """Which weights are asked, where they lie here: they may change under the same name."""
        members = self._opened[spec].members
        return ",".join(filter(None, (getattr(member.model, "fingerprint", "") for member in members)))

    def _gate(self, provider: str) -> Gate:
        pace = Pace(self._config.requests_per_minute, self._config.tokens_per_minute)
        return Gate(provider, self._config.concurrency, pace, patience=self._policy.total)
