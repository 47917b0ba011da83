"""How much may be sent, and how much a request will take: token buckets, and the guess at a request's tokens."""

from dataclasses import dataclass

from openstrawberry.chat import Request, Usage
from openstrawberry.models.headers import MINUTE

SHARE = 0.98  # of a rate that is used: what is left covers a second's burst, and jitter on the way
BURST = 1.0  # seconds' worth that a bucket without a provider's own count saves up; at most 1 - SHARE of a minute
_NOTHING = 1e-9


@dataclass(slots=True)
class Bucket:
    """Room for `rate` units a second, of which at most `capacity` are saved up. Times are the gate's clock's.

    A request passes when there is room for it, or the bucket is full; what it takes beyond that is owed, so that one
    larger than the bucket passes too and the rate still holds. `flying` is what has been taken and not settled.
    """

    rate: float
    capacity: float
    level: float
    now: float
    flying: float = 0.0
    even: bool = False

    @classmethod
    def of_minute(cls, limit: float, now: float) -> "Bucket":
        """A bucket that lets no more than `limit` requests pass in any minute, or tokens but for one request's."""
        rate = SHARE * limit / MINUTE
        capacity = max(1.0, limit / MINUTE * BURST)
        return cls(rate, capacity, capacity, now)

    def wait(self, cost: float, now: float, ahead: int = 0) -> float:
        """Seconds until `cost` units have room, after as much for each of those `ahead`."""
        self._fill(now)
        missing = min(cost, self.capacity) + ahead * cost - self.level
        return missing / self.rate if missing > _NOTHING else 0.0

    def take(self, cost: float) -> None:
        """Spends `cost` units."""
        self.level -= cost
        self.flying += cost

    def settle(self, cost: float, real: float | None) -> None:
        """What was taken as `cost` turned out to be `real`; None where nobody knows."""
        self.flying -= cost
        if real is not None:
            self.level = min(self.capacity, self.level + cost - real)

    def told(self, limit: float, period: float, remaining: float | None, now: float) -> None:
        """The provider's own count bounds ours: by what it says remains, and by that less what is on its way.

        All that remains may be sent at once, until `even`: a provider that refuses then limits shorter times as well.
        """
        self._fill(now)
        self.rate = SHARE * limit / period
        self.capacity = max(1.0, limit / period * BURST) if self.even else limit
        if remaining is not None:
            self.level = min(max(self.level, remaining - self.flying), remaining)

    def _fill(self, now: float) -> None:
        self.level = min(self.capacity, self.level + (now - self.now) * self.rate)
        self.now = now


class TokenGuess:
    """Tokens of a request before it is sent, from its characters and the replies so far."""

    def __init__(self) -> None:
        self._per_character = 0.25
        self._written = 512.0
        self._learnt = 0.1  # share of a new observation in the running means

    def of(self, request: Request, characters: int) -> tuple[float, float]:
        """Tokens that will be read and written."""
        return characters * self._per_character, min(self._written, float(request.max_tokens))

    def learn(self, characters: int, usage: Usage) -> None:
        """Corrects the means by what a reply took."""
        if usage.input is not None and characters:
            self._per_character += self._learnt * (usage.input / characters - self._per_character)
        if usage.output is not None:
            self._written += self._learnt * (usage.output - self._written)


def real_costs(usage: Usage) -> dict[str, float | None]:
    """What a reply took, by what is counted; None where the provider did not say.

    Where tokens read are limited by themselves (Anthropic's), those from the cache do not count.
    """
    read, written = usage.input, usage.output
    both = None if read is None or written is None else float(read + written)
    fresh = None if read is None else float(read - (usage.cached_input or 0))
    return {"requests": 1.0, "tokens": both, "input": fresh, "output": written}
