"""One retry policy for every provider: the SDKs' own retries are off.

What a provider asks for in Retry-After is waited exactly; otherwise the wait is drawn evenly from nothing up to a
ceiling that doubles (full jitter, as in Brooker, "Exponential Backoff And Jitter", 2015). Errors that will not go away
are never repeated, and until the first success an error that may mean a wrong set-up is raised at once; a connection
that was made and then lost is not one.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import tenacity

from openstrawberry.chat import Delta, OnDelta, Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.model import Model

UNPROVEN_ATTEMPTS = 3  # while nothing has worked yet, only a provider that says it is busy gets more patience


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long one call is tried.

    `attempts`: the first one included. `total`: seconds after which no further attempt begins; those for which our own
    limits kept a call waiting do not count. `base`: ceiling of the first wait in seconds, doubled each time up to
    `longest`. Retry-After is not bounded by `longest`, but by `total`.
    """

    attempts: int = 8
    total: float = 900.0
    base: float = 1.0
    longest: float = 60.0


OnRetry = Callable[[ProviderError, int, float], None]


class Retrying:
    """Tries `model` again, streams included.

    When a streamed reply is retried, its listener first gets an empty delta on the channel `restart`: what it has heard
    of this reply is void. `on_retry` is told the error, the number of the attempt that failed and the wait before the
    next one. `proven` says that the set-up works, for example because a resumed run has replies already.
    """

    def __init__(
        self,
        model: Model,
        policy: RetryPolicy | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] | None = None,
        on_retry: OnRetry | None = None,
        proven: bool = False,
    ) -> None:
        self._model = model
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter or random.Random().random
        self._on_retry = on_retry
        self.proven = proven

    @property
    def spec(self) -> str:
        """The wrapped model's."""
        return self._model.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`; the last error is raised when patience or time runs out."""
        heard = Heard(on_delta) if on_delta is not None else None
        deadline = self._clock() + self._policy.total

        def too_late(state: tenacity.RetryCallState) -> bool:
            nonlocal deadline
            deadline += _error(state).queued
            late = self._clock() + state.upcoming_sleep > deadline
            return late or state.attempt_number >= self._patience(_error(state))

        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(self._again),
            stop=too_late,
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=lambda state: self._tell(state, heard),
            reraise=True,
        )
        reply: Reply = await attempts(self._model.complete, request, heard)
        self.proven = True
        return reply

    async def close(self) -> None:
        """Closes the wrapped model."""
        await self._model.close()

    def _again(self, error: BaseException) -> bool:
        if not isinstance(error, ProviderError) or not error.retryable:
            return False
        reached = error.kind == "connection" and not error.unbilled  # then the address at least is right
        return self.proven or reached or not error.is_setup

    def _patience(self, error: ProviderError) -> int:
        busy = error.kind in ("rate_limit", "overloaded")
        return self._policy.attempts if self.proven or busy else min(self._policy.attempts, UNPROVEN_ATTEMPTS)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = _error(state)
        if error.retry_after is not None:
            return error.retry_after
        ceiling: float = self._policy.base * 2 ** min(state.attempt_number - 1, 32)
        return self._jitter() * min(self._policy.longest, ceiling)

    def _tell(self, state: tenacity.RetryCallState, heard: "Heard | None") -> None:
        if heard is not None:
            heard.restart()
        if self._on_retry is not None:
            self._on_retry(_error(state), state.attempt_number, state.upcoming_sleep)


class Heard:
    """Passes deltas on and remembers whether there were any, so that a reply that starts again can say so."""

    def __init__(self, on_delta: OnDelta) -> None:
        self._on_delta = on_delta
        self._any = False

    def __call__(self, delta: Delta) -> None:
        self._any = True
        self._on_delta(delta)

    def restart(self) -> None:
        """Takes back what was heard."""
        if self._any:
            self._any = False
            self._on_delta(Delta("", "restart"))


def _error(state: tenacity.RetryCallState) -> ProviderError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, ProviderError):
        raise TypeError("tenacity asked about a call that did not fail")
    return error
