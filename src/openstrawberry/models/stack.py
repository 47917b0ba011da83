"""The wrappers around a provider, put together in their one order.

record      a reply that is on disk is replayed, every new one is on disk before anybody reads it
retry       one policy for all providers
budget      each attempt reserves its worst case before it is sent
guard       a reply that no trace can use is an error
price       what a reply costs is written on it
provider    the SDK
"""

from openstrawberry.models.budget import Budget, Budgeted
from openstrawberry.models.guard import Guarded
from openstrawberry.models.model import Model
from openstrawberry.models.prices import Price, Priced
from openstrawberry.models.replies import Recorded, ReplyRecord
from openstrawberry.models.retry import OnRetry, Retrying, RetryPolicy


def compose(
    model: Model,
    record: ReplyRecord,
    policy: RetryPolicy,
    on_retry: OnRetry,
    *,
    price: Price | None = None,
    budget: Budget | None = None,
    cache_ttl: str = "5m",
) -> Recorded:
    """A provider's model as a run uses it.

    `price`: None where it is unknown. `budget`: shared by all models of a run; None for no limit. `cache_ttl`: how long
    the provider is asked to keep its cache, `5m` or `1h`, which is paid differently.
    """
    model = Guarded(Priced(model, price, cache_ttl) if price else model)
    if budget is not None:
        model = Budgeted(model, budget, price, cache_ttl)
    return Recorded(Retrying(model, policy, on_retry=on_retry), record)
