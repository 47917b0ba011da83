"""Sends nothing before the provider is ready for it: the wrapper that asks a gate for every attempt.

Sits inside the retry, so that each attempt is let through by itself, and around the guard. A request whose error asks
for a wait (Retry-After) comes back here when the wait has passed; the gate has kept everybody else back as long.
"""

import asyncio

from openstrawberry.chat import OnDelta, Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.gate import Gate
from openstrawberry.models.model import Model


class Unsent(asyncio.CancelledError):
    """Cancelled while it waited to be sent: a budget takes back what it had reserved."""

    unbilled = True


class Limited:
    """Asks `model` when `gate` lets it. The reply's latency is counted from there."""

    def __init__(self, model: Model, gate: Gate) -> None:
        self._model = model
        self._gate = gate

    @property
    def spec(self) -> str:
        """The wrapped model's."""
        return self._model.spec

    def delay(self, request: Request) -> float:
        """See `Gate.delay`."""
        return self._gate.delay(request)

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`.

        Raises:
            ProviderError: also `quota`, when nothing may be sent for longer than a run should wait.
        """
        try:
            permit = await self._gate.enter(request)
        except asyncio.CancelledError as error:
            raise Unsent(*error.args) from None
        except ProviderError as error:
            error.unbilled = True
            raise
        try:
            reply = await self._model.complete(request, on_delta)
        except ProviderError as error:
            told = self._gate.failed(permit, error)
            told.queued = permit.queued
            if told is error:
                raise
            raise told from error
        except BaseException:
            self._gate.abandoned(permit)
            raise
        latency = self._gate.answered(permit, reply.usage)
        return reply.model_copy(update={"latency_s": latency})

    async def close(self) -> None:
        """Closes the wrapped model."""
        await self._model.close()
