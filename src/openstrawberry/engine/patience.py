"""Repeats the calls of a batch run: a provider that is away for a while costs no batch."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import tenacity

from openstrawberry.engine.plan import Plan
from openstrawberry.errors import ProviderError
from openstrawberry.models.retry import UNPROVEN_ATTEMPTS

T = TypeVar("T")


class Patience:
    """`proven`: a batch has answered something, so an address that does not answer will do so again."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.proven = False

    async def tried(self, call: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Makes a call until it works, its error will not go away, or patience has run out.

        Raises:
            ProviderError: the last one.
        """
        began = self._plan.clock()

        def stop(state: tenacity.RetryCallState) -> bool:
            enough = state.attempt_number >= self.attempts(_error(state))
            return enough and (not self.proven or self._plan.clock() - began >= self._plan.outage)

        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, ProviderError) and error.retryable),
            stop=stop,
            wait=lambda state: self._delay(_error(state), state.attempt_number),
            sleep=self._plan.sleep,
            before_sleep=lambda state: self._tell(_error(state), state.attempt_number, state.upcoming_sleep),
            reraise=True,
        )
        result: T = await attempts(call, *arguments)
        return result

    async def pause(self, error: ProviderError, attempt: int) -> None:
        """The wait after attempt number `attempt`."""
        wait = self._delay(error, attempt)
        self._tell(error, attempt, wait)
        await self._plan.sleep(wait)

    def attempts(self, error: ProviderError) -> int:
        """How often a call is made that ends in `error`."""
        unproven = not self.proven and error.kind == "connection"
        return min(self._plan.attempts, UNPROVEN_ATTEMPTS) if unproven else self._plan.attempts

    def _delay(self, error: ProviderError, attempt: int) -> float:
        growing: float = self._plan.first_poll * 2 ** min(attempt - 1, 16)
        return error.retry_after if error.retry_after is not None else min(growing, 10 * self._plan.longest_poll)

    def _tell(self, error: ProviderError, attempt: int, wait: float) -> None:
        if self._plan.on_retry is not None:
            self._plan.on_retry(error, attempt, wait)


def _error(state: tenacity.RetryCallState) -> ProviderError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, ProviderError):
        raise TypeError("tenacity asked about a call that did not fail")
    return error
