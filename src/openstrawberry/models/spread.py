"""Several models or keys behind one spec share the load.

A trace has one member that it prefers, drawn from its cache key, so that the prefix it grows stays in one provider's
prompt cache. It moves on only for as long as that member keeps it waiting, fails in a way that may pass, or has no
quota left; what was sent before is sent again as it is, since a conversation belongs to no provider.
"""

import math
import zlib
from collections.abc import Sequence

from openstrawberry.chat import OnDelta, Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.limits import Limited
from openstrawberry.models.model import Model
from openstrawberry.models.retry import Heard

LOST = ("auth", "not_found")  # of a member that has answered before: a key was revoked, a model was taken away
WORTH_MOVING = 1.0  # seconds; a shorter wait costs less than a prompt that is read from its start by another


class Spread:
    """One model made of `members`; `spec` is what the user wrote for all of them.

    Args:
        members: how each is asked, wrappers included.
        gates: the same members' limits, which know how long each would keep a request waiting.
    """

    def __init__(self, members: Sequence[Model], gates: Sequence[Limited], spec: str) -> None:
        self._members = list(zip(members, gates, strict=True))
        self._spec = spec
        self._answered: set[Model] = set()

    @property
    def spec(self) -> str:
        return self._spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`. Each member is tried at most once; `Reply.model` says who answered.

        Raises:
            ProviderError: nobody answered; the error of the member that will be back first.
        """
        first = zlib.crc32(request.cache_key.encode()) % len(self._members)
        left = self._members[first:] + self._members[:first]
        heard = Heard(on_delta) if on_delta is not None else None
        errors: list[ProviderError] = []
        while left:
            member, gate = _next(left, request)
            left.remove((member, gate))
            try:
                reply = await member.complete(request, heard)
            except ProviderError as error:
                gone = error.kind in LOST and member in self._answered
                if not error.retryable and error.kind != "quota" and not gone:
                    raise
                errors.append(error)
            else:
                self._answered.add(member)
                return reply
            if left and heard is not None:
                heard.restart()
        raise min(errors, key=_back)

    async def close(self) -> None:
        """Closes all members."""
        for member, _ in self._members:
            await member.close()


def _back(error: ProviderError) -> tuple[bool, float]:
    """Orders errors by when their member may answer again."""
    return not error.retryable, math.inf if error.retry_after is None else error.retry_after


def _next(left: Sequence[tuple[Model, Limited]], request: Request) -> tuple[Model, Limited]:
    """The first of `left` that keeps the request waiting hardly longer than the one that is soonest ready."""
    waits = [gate.delay(request) for _, gate in left]
    soonest = min(waits)
    return next(member for member, wait in zip(left, waits, strict=True) if wait <= soonest + WORTH_MOVING)
