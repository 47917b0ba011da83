"""The wrappers around a provider, put together in their one order.

record      a reply that is on record is replayed, every new one is on record before anybody reads it
waves       only in batch runs: batches stand in for live calls
retry       one policy for all providers
spread      where several models or keys share the load
budget      each attempt reserves its worst case before it is sent; outside the limits, so that what they let through
            is sent at that moment, and a Retry-After is kept
limits      nothing is sent before the provider is ready for it
guard       a reply that no trace can use is an error
price       what a reply costs is written on it
provider    the SDK
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from openstrawberry.chat import Reply
from openstrawberry.models.budget import Budget, Budgeted
from openstrawberry.models.gate import Gate
from openstrawberry.models.guard import Guarded
from openstrawberry.models.limits import Limited
from openstrawberry.models.model import Model
from openstrawberry.models.prices import Price, Priced
from openstrawberry.models.replies import Recorded, ReplyRecord
from openstrawberry.models.retry import OnRetry, Retrying, RetryPolicy
from openstrawberry.models.spread import Spread


@dataclass(frozen=True, slots=True)
class Member:
    """A provider's model under one key, and the gate that knows its limits."""

    model: Model
    gate: Gate


def _unknown(_: str) -> Price | None:
    return None


@dataclass(frozen=True, slots=True)
class Money:
    """What a run knows of money: the price of each spec, its budget (None: no cap), and how long caches are asked to
    live (`5m` or `1h`), which is paid differently. All models of a run share one.
    """

    price: Callable[[str], Price | None] = _unknown
    budget: Budget | None = None
    cache_ttl: str = "5m"

    def counted(self, model: Model) -> Model:
        """`model` with its guard and its price."""
        price = self.price(model.spec)
        return Guarded(Priced(model, price, self.cache_ttl) if price else model)

    def capped(self, model: Model, spec: str) -> Model:
        """`model` within the budget, if there is one; in batches too the price of a live call is reserved."""
        return Budgeted(model, self.budget, self.price(spec), self.cache_ttl) if self.budget else model

    def halved(self, reply: Reply, spec: str) -> Reply:
        """A reply from a batch with what it cost there."""
        price = self.price(spec)
        return price.on(reply, batch=True, cache_ttl=self.cache_ttl) if price else reply


def compose(
    model: Model | Sequence[Member],
    record: ReplyRecord,
    policy: RetryPolicy,
    on_retry: OnRetry,
    *,
    spec: str = "",
    money: Money = Money(),
    waves: Callable[[Model], Model] | None = None,
) -> Recorded:
    """A provider's model as a run uses it, or several that share the load under one `spec`; without gate, no limits.

    `waves` puts batches in the place of live calls, and records replies itself.
    """
    live = Retrying(_asked(model, spec, money), policy, on_retry=on_retry)
    return Recorded(waves(live), record, kept=True) if waves is not None else Recorded(live, record)


def _asked(model: Model | Sequence[Member], spec: str, money: Money) -> Model:
    if not isinstance(model, Sequence):
        return money.capped(money.counted(model), model.spec)
    gates = [Limited(money.counted(member.model), member.gate) for member in model]
    capped = [money.capped(gate, gate.spec) for gate in gates]
    return capped[0] if len(capped) == 1 else Spread(capped, gates, spec)
