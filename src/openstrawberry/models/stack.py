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
    waves: Callable[[Model], Model] | None = None,
) -> Recorded:
    """A provider's model as a run uses it; `waves` puts batches in the place of live calls, and records replies."""
    live = Retrying(Guarded(model), policy, on_retry=on_retry)
    return Recorded(waves(live), record, kept=True) if waves is not None else Recorded(live, record)
