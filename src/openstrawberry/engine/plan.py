"""What a batch run goes by, and what waits in it."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from openstrawberry.chat import Reply, Request
from openstrawberry.engine.events import Emit, ignore
from openstrawberry.errors import ProviderError
from openstrawberry.models.retry import OnRetry

LIVE_SHARE = 0.25  # of a deadline, in which what batches have not answered is asked live


@dataclass(frozen=True)
class Plan:
    """How a batch run goes about it; times in seconds.

    `attempts`: how often a request is put into a batch, and how often a call is made, before it counts as failed.
    `linger`: quiet after which a wave that has everybody in it is sent; `patience`: after which it is sent without the
    traces that are still busy. `first_poll` and `longest_poll` bound the waits between two looks at a batch. `settle`:
    how long a provider may take to list a new batch. `outage`: how long it may be out of reach before its batches are
    left to the next run. `live_from`: the moment, on `clock`, from which nothing goes into batches any more and what is
    in them is cancelled. `priced` completes each reply of a batch before it is recorded.
    """

    attempts: int = 8
    linger: float = 1.0
    patience: float = 60.0
    first_poll: float = 5.0
    longest_poll: float = 60.0
    settle: float = 60.0
    outage: float = 3600.0
    live_from: float = math.inf
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    priced: Callable[[Reply], Reply] = field(default=lambda reply: reply)
    on_retry: OnRetry | None = None
    tell: Emit = ignore

    @property
    def late(self) -> bool:
        """Whether the rest is asked live."""
        return self.clock() >= self.live_from


@dataclass(eq=False, slots=True)
class Asked:
    """A request that waits for its reply."""

    request: Request
    reply: "asyncio.Future[Reply]"

    def answer(self, reply: Reply) -> None:
        """Hands over the reply, unless nobody waits any more."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: BaseException) -> None:
        """Hands over an error, unless nobody waits any more."""
        if not self.reply.done():
            self.reply.set_exception(error)


class Unanswered(ProviderError):
    """A batch has no reply for this request, and it may go into another one. `error`: what it said instead, if it did.

    `unbilled`: whether this attempt certainly cost nothing.
    """

    def __init__(self, provider: str, error: ProviderError | None) -> None:
        super().__init__(
            f"{provider} has left this request unanswered, batch after batch.",
            provider=provider,
            kind="timeout",
            hint="Run the same command again, or without --engine batch.",
        )
        self.error = error
        self.unbilled = error is None or bool(getattr(error, "unbilled", False))


class Aside(ProviderError):
    """It is late: this request goes into no batch any more, but is asked live."""

    def __init__(self, provider: str) -> None:
        super().__init__(f"{provider} is asked live.", provider=provider, kind="timeout")
        self.unbilled = True
