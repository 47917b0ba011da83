"""How providers limit requests, each as strict as it can be: what is too much by one is refused."""

from collections import deque


class TokenBucket:
    """`rate` requests a second, of which `burst` are saved up."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._at = burst, 0.0

    def ask(self, now: float) -> float:
        """0 where a request is let through, else the seconds until one would be."""
        self._level = min(self._burst, self._level + (now - self._at) * self._rate) if self._at else self._level
        self._at = now
        if self._level < 1 - 1e-9:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0

    @property
    def remaining(self) -> int:
        return int(self._level)


class SlidingWindow:
    """`limit` requests in any `seconds`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds
        self._passed: deque[float] = deque()

    def ask(self, now: float) -> float:
        """0 where a request is let through, else the seconds until one would be."""
        while self._passed and self._passed[0] <= now - self._seconds + 1e-9:
            self._passed.popleft()
        if len(self._passed) >= self._limit:
            return self._passed[0] + self._seconds - now
        self._passed.append(now)
        return 0.0

    @property
    def remaining(self) -> int:
        return self._limit - len(self._passed)
