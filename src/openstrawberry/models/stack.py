"""The wrappers around a provider, put together in their one order.

record      a reply that is on disk is replayed, every new one is on disk before anybody reads it
retry       one policy for all providers
guard       a reply that no trace can use is an error
provider    the SDK
"""

from openstrawberry.models.guard import Guarded
from openstrawberry.models.model import Model
from openstrawberry.models.replies import Recorded, ReplyRecord
from openstrawberry.models.retry import OnRetry, Retrying, RetryPolicy


def compose(model: Model, record: ReplyRecord, policy: RetryPolicy, on_retry: OnRetry) -> Recorded:
    """A provider's model as a run uses it."""
    return Recorded(Retrying(Guarded(model), policy, on_retry=on_retry), record)
