"""The wrappers around a provider, put together in their one order.

record      a reply that is on disk is replayed, every new one is on disk before anybody reads it
waves       only in batch runs: batches stand in for live calls
retry       one policy for all providers
guard       a reply that no trace can use is an error
provider    the SDK
"""

from collections.abc import Callable

from openstrawberry.models.guard import Guarded
from openstrawberry.models.model import Model
from openstrawberry.models.replies import Recorded, ReplyRecord
from openstrawberry.models.retry import OnRetry, Retrying, RetryPolicy


def compose(
    model: Model,
    record: ReplyRecord,
    policy: RetryPolicy,
    on_retry: OnRetry,
    waves: Callable[[Model], Model] = lambda live: live,
) -> Recorded:
    """A provider's model as a run uses it; `waves` may put something in the place of live calls."""
    return Recorded(waves(Retrying(Guarded(model), policy, on_retry=on_retry)), record)
