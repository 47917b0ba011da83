"""Decides when a request may be sent: one gate for each provider, model and key.

Three things hold a request back, first come first served: a slot, room in every bucket, and a Retry-After.
Slots adapt as in TCP (additive increase, multiplicative decrease; Chiu and Jain 1989): they start at `--concurrency`,
are halved when the provider is over its limit, once for all that was sent before, and grow while replies are clean.
Buckets hold what the user set and what the provider's headers say. A Retry-After is waited out by everybody, to the
millisecond. There is no other cool-down. When a day's allowance is used up, nothing more is sent at all.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from openstrawberry.chat import Request, Usage
from openstrawberry.errors import ProviderError
from openstrawberry.models.buckets import Bucket, TokenGuess, real_costs
from openstrawberry.models.headers import HOUR, MINUTE, limits_told

ROUNDS = 32  # of clean replies that grow the slots from nothing to the ceiling
LATEST = 200  # replies whose latencies are kept
_BUSY = ("rate_limit", "overloaded")


@dataclass(frozen=True, slots=True)
class Pace:
    """What a user allows to be sent a minute, for each model and key; None leaves it to the provider."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(slots=True)
class Permit:
    """A request that is on its way: the number of its sending, when that was, and what it is thought to take.

    `queued`: the seconds that it had to wait before.
    """

    number: int
    sent: float
    queued: float
    characters: int
    costs: Mapping[str, float]
    taken: list[tuple[Bucket, str]] = field(default_factory=list)


class Gate:
    """Lets requests to one model under one key pass. `latencies`: seconds that the latest replies took.

    Args:
        provider: its name in specs.
        ceiling: most requests on their way at a time.
        pace: what the user allows.
        patience: seconds; a provider that asks for a longer wait has no quota left.
        clock: seconds; must run as the event loop's does.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        provider: str,
        ceiling: int,
        pace: Pace = Pace(),
        *,
        patience: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.provider = provider
        self.slots = float(ceiling)
        self.latencies: deque[float] = deque(maxlen=LATEST)
        self._ceiling = float(ceiling)
        self._patience = patience
        self._clock = clock
        self._wall = wall
        self._turn = asyncio.Lock()  # whoever holds it is the first in the queue
        self._awake: asyncio.Future[None] | None = None
        self._queued = 0
        self._flying = 0
        self._sent = 0
        self._cut = 0  # the number of the first request that was sent after the last cut
        self._latency = 0.0
        self._held = -math.inf
        self._closed: tuple[float, ProviderError] | None = None
        self._resets: dict[tuple[str, float], tuple[float, float]] = {}
        self._guess = TokenGuess()
        self._buckets: dict[tuple[str, float], Bucket] = {}
        for counts, limit in (("requests", pace.requests_per_minute), ("tokens", pace.tokens_per_minute)):
            if limit is not None:
                self._buckets[counts, 0.0] = Bucket.of_minute(limit, clock())

    async def enter(self, request: Request) -> Permit:
        """Waits until `request` may be sent. The permit must be handed back, in one of three ways, whatever comes.

        Raises:
            ProviderError: `quota`; nothing may be sent for longer than the patience.
        """
        came, (characters, costs) = self._clock(), self._costs(request)
        self._queued += 1
        try:
            async with self._turn:
                while (seconds := self._wait(costs)) > 0:
                    await self._pause(seconds)
        finally:
            self._queued -= 1
        sent = self._clock()
        permit = Permit(self._sent, sent, sent - came, characters, costs)
        self._sent += 1
        self._flying += 1
        for (counts, _), bucket in self._buckets.items():
            bucket.take(costs[counts])
            permit.taken.append((bucket, counts))
        return permit

    def delay(self, request: Request) -> float:
        """Seconds that `request` would have to wait, as far as can be known; endless where the quota is used up."""
        now, (_, costs) = self._clock(), self._costs(request)
        if self._closed is not None and now < self._closed[0]:
            return math.inf
        full = self._flying + self._queued >= int(self.slots)
        slot = self._latency * (self._queued + 1) / self.slots if full else 0.0
        rooms = [bucket.wait(costs[counts], now, self._queued) for (counts, _), bucket in self._buckets.items()]
        return max(0.0, self._held - now, slot, *rooms)

    def answered(self, permit: Permit, usage: Usage) -> float:
        """A whole reply has come. Returns the seconds since it was sent."""
        latency = self._clock() - permit.sent
        self.latencies.append(latency)
        self._latency += 0.1 * (latency - self._latency)
        self._guess.learn(permit.characters, usage)
        if permit.number >= self._cut:
            self.slots = min(self._ceiling, self.slots + max(1.0, self._ceiling / ROUNDS) / self.slots)
        self._leave(permit, real_costs(usage))
        return latency

    def failed(self, permit: Permit, error: ProviderError) -> ProviderError:
        """The provider has not answered as it should. Returns the error to raise: as it came, or as `quota`."""
        if error.kind in _BUSY and permit.number >= self._cut:
            self.slots = max(1.0, min(self.slots, float(self._flying)) // 2)
            self._cut = self._sent
            for bucket in self._buckets.values():
                bucket.even = bucket.even or error.kind == "rate_limit"
        if error.retry_after is not None and error.retryable:
            self._held = max(self._held, self._clock() + error.retry_after)
        refused = error.status >= 400  # a refusal takes a request, but no tokens
        self._leave(permit, {"tokens": 0.0, "input": 0.0, "output": 0.0} if refused else {})
        return self._close(error) if self._used_up(error) else error

    def abandoned(self, permit: Permit) -> None:
        """Nobody waits for the reply any more."""
        self._leave(permit, {})

    def heard(self, headers: Mapping[str, str]) -> None:
        """Learns from the headers of a response; their names are in lower case."""
        now = self._clock()
        for told in limits_told(headers, self.provider):
            key = (told.counts, told.period)
            if told.period > HOUR:
                if told.remaining is not None and told.reset is not None:
                    self._resets[key] = (told.remaining, now + told.reset)
            elif told.limit:
                room = told.limit if told.remaining is None else told.remaining
                bucket = self._buckets.setdefault(key, Bucket(told.limit / told.period, told.limit, room, now))
                bucket.told(told.limit, told.period, told.remaining, now)
        self._wake()

    def _costs(self, request: Request) -> tuple[int, dict[str, float]]:
        characters = sum(len(message.content) for message in request.messages)
        read, written = self._guess.of(request, characters)
        return characters, {"requests": 1.0, "tokens": read + written, "input": read, "output": written}

    def _wait(self, costs: Mapping[str, float]) -> float:
        """Seconds until a request may be sent, 0 for now; endless while all slots are taken."""
        now = self._clock()
        if self._closed is not None:
            until, error = self._closed
            if now < until:
                raise _again(error)
            self._closed = None
        if self._flying >= int(self.slots):
            return math.inf
        rooms = [bucket.wait(costs[counts], now) for (counts, _), bucket in self._buckets.items()]
        return max(0.0, self._held - now, *rooms)

    async def _pause(self, seconds: float) -> None:
        """Until `seconds` have passed, or something has changed."""
        loop = asyncio.get_running_loop()
        self._awake = loop.create_future()
        timer = loop.call_later(seconds, self._wake) if seconds < math.inf else None
        try:
            await self._awake
        finally:
            self._awake = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._awake is not None and not self._awake.done():
            self._awake.set_result(None)

    def _leave(self, permit: Permit, real: Mapping[str, float | None]) -> None:
        self._flying -= 1
        for bucket, counts in permit.taken:
            bucket.settle(permit.costs[counts], real.get(counts))
        self._wake()

    def _used_up(self, error: ProviderError) -> bool:
        """Whether a wait of a moment does not help: the provider says so, by words, by its wait or by its counts."""
        wait = error.retry_after or 0.0
        if error.kind == "rate_limit":
            wait = max(wait, self._reset() or 0.0)
        return error.kind == "quota" or (error.retryable and wait > self._patience)

    def _reset(self) -> float | None:
        """Seconds until a day's allowance that is used up begins anew."""
        now = self._clock()
        return max((at - now for left, at in self._resets.values() if left < 1 and at > now), default=None)

    def _close(self, error: ProviderError) -> ProviderError:
        wait = max((each for each in (error.retry_after, self._reset()) if each is not None), default=None)
        if wait is not None:
            hint = f"It resumes at {_hour(self._wall(), wait)}: run the same command then."
            error = _again(error, hint=hint, retry_after=wait)
        self._closed = (self._clock() + (math.inf if wait is None else wait), error)
        return error


def _again(error: ProviderError, hint: str | None = None, retry_after: float | None = None) -> ProviderError:
    """`error` afresh as a quota, with another hint where one is given: each raise needs an exception of its own."""
    said = str(error).removesuffix(error.hint).strip()
    return ProviderError(
        said,
        provider=error.provider,
        kind="quota",
        status=error.status,
        hint=error.hint if hint is None else hint,
        retry_after=error.retry_after if retry_after is None else retry_after,
        unbilled=error.unbilled,
    )


def _hour(now: float, wait: float) -> str:
    """The minute in which a wait has passed, with its day where that is not today."""
    today, then = (datetime.fromtimestamp(at, UTC) for at in (now, math.ceil((now + wait) / MINUTE) * MINUTE))
    return f"{then:%H:%M} UTC" if then.date() == today.date() else f"{then:%H:%M} UTC on {then.day} {then:%B}"
