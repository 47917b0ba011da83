"""Batch APIs: many requests handed over in one piece, answered within a day, at half the price.

`BatchApi` is what `engine/waves.py` needs of one; each SDK family implements it beside its provider, with the
provider's own body building and reply parsing. `BatchJournal` is where it is written down what was handed over, so that
a killed run neither loses a batch nor submits one twice; the store implements it.
"""

from collections.abc import AsyncGenerator, Container, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from openstrawberry.chat import Reply, Request
from openstrawberry.errors import ProviderError, UsageError
from openstrawberry.models.model import Model
from openstrawberry.models.registry import PROVIDERS

BATCHING = tuple(provider.name for provider in PROVIDERS if provider.batch)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The most requests, and the most bytes, that one batch may hold."""

    requests: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One request as it is handed over. `payload` is for its own `BatchApi`, `size` what it takes in bytes."""

    key: str
    payload: Any
    size: int


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is: `ended` has results, `failed` (with `error`) was turned down as a whole.

    `done` and `total` count its requests, 0 where the provider does not say.
    """

    status: Literal["running", "ended", "failed"]
    done: int = 0
    total: int = 0
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One line of the journal: written before a batch is submitted, `id` as soon as it is known.

    `tag` is ours alone, `keys` are the reply keys of its requests, `created` is in seconds since 1970, `model` a spec
    without address.
    """

    tag: str
    model: str
    keys: tuple[str, ...]
    created: float
    id: str = ""


Outcome = Reply | ProviderError | None
"""What became of one request. None: nothing (it expired, was cancelled, or is to be put in another way): ask again."""


class BatchApi(Protocol):
    """A provider's batches. Every method raises `ProviderError`; none of them repeats a call."""

    @property
    def limits(self) -> BatchLimits: ...

    def item(self, request: Request) -> BatchItem:
        """`request` as it is handed over, under the name `request.key`."""
        ...

    async def submit(self, items: Sequence[BatchItem], tag: str) -> str:
        """Hands a batch over; its id at the provider."""
        ...

    async def find(self, entry: BatchEntry, taken: Container[str]) -> str | None:
        """The id of the batch that was submitted for `entry`, if it ever was; `taken` are ids that it is not."""
        ...

    async def state(self, batch: str) -> BatchState:
        """How far it is."""
        ...

    def results(self, batch: str) -> AsyncGenerator[tuple[str, Outcome]]:
        """The key and the outcome of each request of a batch that has ended; those left out were not answered."""
        ...

    async def cancel(self, batch: str) -> None:
        """Asks the provider to stop; what it has answered by then stays among the results."""
        ...


class BatchJournal(Protocol):
    """Where batches are written down. The store implements it; both methods return when it is durable."""

    def entries(self) -> Sequence[BatchEntry]:
        """Every batch whose results are not on record yet, oldest first."""
        ...

    async def write(self, entry: BatchEntry) -> None:
        """Enters a batch, or what is known of it now."""
        ...

    async def remove(self, tag: str) -> None:
        """Strikes out a batch."""
        ...


def batches_of(model: Model) -> BatchApi:
    """The batch API behind `model`.

    Raises:
        UsageError: its provider has none.
    """
    batches = getattr(model, "batches", None)
    api: BatchApi | None = batches() if batches is not None else None
    if api is None:
        raise _without_batches(model.spec)
    return api


def refuse_without_batches(spec: str) -> None:
    """Raises UsageError where a provider of ours has no batch API; what others bring is found when it is opened."""
    if any(provider.name == spec.partition(":")[0] and not provider.batch for provider in PROVIDERS):
        raise _without_batches(spec)


def _without_batches(spec: str) -> UsageError:
    return UsageError(
        f"{spec.partition(':')[0]} has no batch API: leave --engine batch out, or choose a --model of "
        f"{', '.join(BATCHING[:-1])} or {BATCHING[-1]}."
    )
