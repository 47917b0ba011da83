"""What replies cost.

Cached, cache-write, batch and reasoning tokens have their own rates, and long prompts dearer ones where a provider says
so. What is not known stays unknown (None), never 0. Where the rates come from is the concern of `pricelist.py`.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from openstrawberry.chat import OnDelta, Reply, Request, Usage
from openstrawberry.models.model import Model

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars per million tokens. `tiers` are (start, rate): a whole request with a longer prompt pays that rate."""

    base: float
    tiers: tuple[tuple[int, float], ...] = ()

    def at(self, prompt: int) -> float:
        """For a request with `prompt` input tokens."""
        return next((rate for start, rate in reversed(self.tiers) if prompt > start), self.base)

    def most(self, prompt: int) -> float:
        """The dearest for any request with up to `prompt` input tokens."""
        return max([self.base, *(rate for start, rate in self.tiers if prompt > start)])

    def times(self, factor: float) -> "Rate":
        """The same rate, dearer or cheaper."""
        return Rate(self.base * factor, tuple((start, rate * factor) for start, rate in self.tiers))


@dataclass(frozen=True, slots=True)
class Rates:
    """What one model charges at one moment. `request`: dollars for each. A rate that is None is the plain one."""

    input: Rate
    output: Rate
    cached_input: Rate | None = None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    reasoning: Rate | None = None
    request: float = 0.0

    def cost(self, usage: Usage, cache_ttl: str = "5m") -> float | None:
        """Dollars, None when the provider did not report what it takes to tell.

        Cached and written tokens that are not reported are none: several protocols leave out what is 0.
        """
        if self == FREE:
            return 0.0
        if usage.input is None or usage.output is None or (self.reasoning and usage.reasoning is None):
            return None
        read, written = usage.cached_input or 0, usage.cache_write or 0
        thought = (usage.reasoning or 0) if self.reasoning else 0
        parts = (
            (max(0, usage.input - read - written), self.input),
            (read, self.cached_input or self.input),
            (written, self._write(cache_ttl)),
            (max(0, usage.output - thought), self.output),
            (thought, self.reasoning or self.output),
        )
        return sum(tokens * rate.at(usage.input) for tokens, rate in parts) / MILLION + self.request

    def saved(self, usage: Usage, cache_ttl: str = "5m") -> float | None:
        """Dollars that the prompt cache saved: less than nothing where more was written to it than read from it."""
        if usage.input is None:
            return None
        plain, read, written = self.input, usage.cached_input or 0, usage.cache_write or 0
        gained = read * (plain.at(usage.input) - (self.cached_input or plain).at(usage.input))
        paid = written * (self._write(cache_ttl).at(usage.input) - plain.at(usage.input))
        return (gained - paid) / MILLION

    def worst(self, input_tokens: int, max_tokens: int, cache_ttl: str = "5m") -> float:
        """Dollars that a request with up to so many tokens costs at most."""
        ways = (self.input, self.cached_input or self.input, self._write(cache_ttl))
        read = max(rate.most(input_tokens) for rate in ways)
        written = max(rate.most(input_tokens) for rate in (self.output, self.reasoning or self.output))
        return (input_tokens * read + max_tokens * written) / MILLION + self.request

    def times(self, factor: float) -> "Rates":
        """All rates, dearer or cheaper."""
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        dearer: dict[str, Any] = {name: rate.times(factor) for name, rate in given if isinstance(rate, Rate)}
        return replace(self, **dearer, request=self.request * factor)

    def _write(self, cache_ttl: str) -> Rate:
        return (self.cache_write_1h if cache_ttl == "1h" else None) or self.cache_write or self.input


FREE = Rates(Rate(0.0), Rate(0.0))
"""Nobody bills, however many tokens there were."""

Tariff = Callable[[datetime, bool], Rates | None]
"""The rates at a moment, of a live call or (True) of one in a batch; None where they are not known."""


def now() -> datetime:
    """The clock of prices."""
    return datetime.now(UTC)


class Price:
    """What one model costs, or several that share the load. `clock` tells the hour: some providers have night rates."""

    def __init__(self, *tariffs: Tariff, clock: Callable[[], datetime] = now) -> None:
        self._tariffs = tariffs
        self._clock = clock
        self._dearest = functools.lru_cache(maxsize=8)(self._soon)

    def cost(self, usage: Usage, *, batch: bool = False, cache_ttl: str = "5m") -> float | None:
        """Dollars of a reply that arrives now, None where unknown, also when several models differ in it."""
        return _agreed(rates.cost(usage, cache_ttl) if rates else None for rates in self._now(batch))

    def worst(self, input_tokens: int, max_tokens: int, *, batch: bool = False, cache_ttl: str = "5m") -> float | None:
        """Dollars that a request costs at most, at the dearest hour of the coming day; None where unknown."""
        rates = self._dearest(self._clock().replace(minute=0, second=0, microsecond=0), batch)
        return max(each.worst(input_tokens, max_tokens, cache_ttl) for each in rates) if rates else None

    def on(self, reply: Reply, *, batch: bool = False, cache_ttl: str = "5m") -> Reply:
        """`reply` with its cost on it, and what the prompt cache saved, unless it has one."""
        if reply.cost_usd is not None:
            return reply
        now = self._now(batch)
        cost = _agreed(rates.cost(reply.usage, cache_ttl) if rates else None for rates in now)
        saved = _agreed(rates.saved(reply.usage, cache_ttl) if rates else None for rates in now)
        return reply.model_copy(update={"cost_usd": cost, "saved_usd": saved})

    def _now(self, batch: bool) -> list[Rates | None]:
        moment = self._clock()
        return [tariff(moment, batch) for tariff in self._tariffs]

    def _soon(self, hour: datetime, batch: bool) -> frozenset[Rates]:
        """Every set of rates from now to this time tomorrow, empty when one is unknown."""
        moments = [hour + timedelta(minutes=30 * step) for step in range(51)]
        found = {tariff(moment, batch) for tariff in self._tariffs for moment in moments}
        return frozenset() if None in found else frozenset(rates for rates in found if rates)


def _agreed(values: Iterable[float | None]) -> float | None:
    found = set(values)
    return found.pop() if len(found) == 1 else None


class Priced:
    """Puts onto each reply of `model` what it cost."""

    def __init__(self, model: Model, price: Price, cache_ttl: str = "5m") -> None:
        self._model = model
        self._price = price
        self._cache_ttl = cache_ttl

    @property
    def spec(self) -> str:
        """The wrapped model's."""
        return self._model.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`."""
        return self._price.on(await self._model.complete(request, on_delta), cache_ttl=self._cache_ttl)

    async def close(self) -> None:
        """Closes the wrapped model."""
        await self._model.close()
