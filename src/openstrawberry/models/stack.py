"""The wrappers around a provider, put together in their one order.

record      a reply that is on disk is replayed, every new one is on disk before anybody reads it
retry       one policy for all providers
spread      where several models or keys share the load
limits      nothing is sent before the provider is ready for it
guard       a reply that no trace can use is an error
provider    the SDK
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openstrawberry.models.gate import Gate
from openstrawberry.models.guard import Guarded
from openstrawberry.models.limits import Limited
from openstrawberry.models.model import Model
from openstrawberry.models.replies import Recorded, ReplyRecord
from openstrawberry.models.retry import OnRetry, Retrying, RetryPolicy
from openstrawberry.models.spread import Spread


@dataclass(frozen=True, slots=True)
class Member:
    """A provider's model under one key, and the gate that knows its limits."""

    model: Model
    gate: Gate


def compose(
    model: Model | Sequence[Member], record: ReplyRecord, policy: RetryPolicy, on_retry: OnRetry, *, spec: str = ""
) -> Recorded:
    """A provider's model as a run uses it, or several that share the load under one `spec`; without gate, no limits."""
    return Recorded(Retrying(_asked(model, spec), policy, on_retry=on_retry), record)


def _asked(model: Model | Sequence[Member], spec: str) -> Model:
    if not isinstance(model, Sequence):
        return Guarded(model)
    gates = [Limited(Guarded(member.model), member.gate) for member in model]
    return gates[0] if len(gates) == 1 else Spread(gates, gates, spec)
