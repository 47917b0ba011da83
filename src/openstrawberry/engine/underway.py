"""The batches under way, and who waits for the replies that they owe."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from openstrawberry.chat import Reply
from openstrawberry.engine.events import Batched
from openstrawberry.engine.plan import Asked, Unanswered
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchEntry, BatchState


@dataclass(eq=False, slots=True)
class Batch:
    """A batch under way. `early`: replies to hand out with its own. `guessed`: its id was looked for, not given."""

    entry: BatchEntry
    waiting: dict[str, Asked] = field(default_factory=dict)
    early: Sequence[tuple[Asked, Reply]] = ()
    guessed: bool = False

    def news(self, status: str, state: BatchState | None = None) -> Batched:
        """What is told of it: that it came to `status`, and how far it is."""
        total = state.total if state is not None and state.total else len(self.entry.keys)
        return Batched(self.entry.id, status, state.done if state is not None else 0, total)


class Underway:
    """Which batch a request is in, from its entry in the journal until that batch has no more to say about it."""

    def __init__(self, provider: str, batches: Iterable[Batch]) -> None:
        self._provider = provider
        self._home: dict[str, Batch] = {}
        for batch in batches:
            self.add(batch)

    def add(self, batch: Batch) -> None:
        """Its requests are in it from now on."""
        self._home.update(dict.fromkeys(batch.entry.keys, batch))

    def of(self, key: str) -> Batch | None:
        """The batch that the request `key` is in."""
        return self._home.get(key)

    def answer(self, batch: Batch, key: str, reply: Reply) -> None:
        """Hands a reply to whoever waits for it."""
        if asked := self._take(batch, key):
            asked.answer(reply)

    def disappoint(self, batch: Batch, key: str, error: ProviderError | None) -> None:
        """No reply to `key`: whoever waits for it may try again, unless its error will not go away."""
        if asked := self._take(batch, key):
            hopeless = error is not None and not error.retryable
            asked.fail(error if hopeless and error is not None else Unanswered(self._provider, error))

    def end(self, batch: Batch, error: ProviderError | None = None) -> None:
        """It has given what it had: what it did not answer, for the reason of `error`, is asked again."""
        for key in batch.entry.keys:
            self.disappoint(batch, key, error)
        _hand_out_early(batch)

    def dissolve(self, batch: Batch, error: BaseException) -> None:
        """Fails everybody who waits for it."""
        for key in batch.entry.keys:
            if asked := self._take(batch, key):
                asked.fail(error)
        _hand_out_early(batch)

    def _take(self, batch: Batch, key: str) -> Asked | None:
        """Whoever waits for `key`, about which the batch has nothing more to say."""
        if self._home.get(key) is batch:
            del self._home[key]
        return batch.waiting.pop(key, None)


def _hand_out_early(batch: Batch) -> None:
    for asked, reply in batch.early:
        asked.answer(reply)
