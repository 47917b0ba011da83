"""Hands batches over, and finds those again whose id was never seen."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace

from openstrawberry.chat import Reply
from openstrawberry.engine.patience import Patience
from openstrawberry.engine.plan import Asked, Plan
from openstrawberry.engine.underway import Batch
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchApi, BatchEntry, BatchItem, BatchJournal


class Placing:
    """Every batch has its entry in the journal, with a tag of our own, before the provider hears of it.

    A call whose fate is unknown is not repeated before the provider has been asked whether it has the batch.
    """

    def __init__(self, spec: str, api: BatchApi, journal: BatchJournal, plan: Plan, patience: Patience) -> None:
        self._spec = spec
        self._api = api
        self._journal = journal
        self._plan = plan
        self._patience = patience
        self._foreign: set[str] = set()
        self._began = plan.clock()

    def parts(self, wave: Sequence[Asked], most: int) -> Iterator[tuple[list[Asked], list[BatchItem]]]:
        """A wave in as many batches as it takes, of `most` requests at most.

        They are encoded one batch at a time: a whole wave may not fit into memory.
        """
        part: list[Asked] = []
        items: list[BatchItem] = []
        size = 0
        for asked in wave:
            item = self._api.item(asked.request)
            if items and (len(items) >= most or size + item.size > self._api.limits.bytes):
                yield part, items
                part, items, size = [], [], 0
            part.append(asked)
            items.append(item)
            size += item.size
        if items:
            yield part, items

    def opened(self, part: Sequence[Asked], early: Sequence[tuple[Asked, Reply]]) -> Batch:
        """A batch with an entry, of which nobody has heard yet."""
        waiting = {asked.request.key: asked for asked in part}
        entry = BatchEntry(f"strawberry-{uuid.uuid4().hex}", self._spec, tuple(waiting), self._plan.clock())
        return Batch(entry, waiting, early)

    async def hand_over(self, batch: Batch, items: Sequence[BatchItem]) -> None:
        """Submits a batch, and writes down its id.

        Raises:
            ProviderError: it is certainly not at the provider, and its entry is struck out; or nobody knows, and the
                next run looks for it.
        """
        await self._journal.write(batch.entry)
        await self._identify(batch, await self._submitted(batch.entry, items))
        self._plan.tell(batch.news("submitted"))

    async def found(self, batch: Batch) -> bool:
        """Looks for a batch of an earlier process whose id nobody saw.

        It was handed over before this process began, however long that took after its entry was made.
        """
        found = await self._looked_for(batch.entry, self._began + self._plan.settle)
        if found is None:
            return False
        batch.guessed = True
        await self._identify(batch, found)
        return True

    def disown(self, batch: Batch) -> None:
        """What was found for it belongs to nobody here: it has no id again, and is not found as that one any more."""
        self._foreign.add(batch.entry.id)
        batch.entry = replace(batch.entry, id="")

    async def _submitted(self, entry: BatchEntry, items: Sequence[BatchItem]) -> str:
        """The id of the batch at the provider."""
        for attempt in range(1, self._plan.attempts + 1):
            try:
                return await self._api.submit(items, entry.tag)
            except ProviderError as error:
                if not error.retryable or attempt >= self._patience.attempts(error):
                    await self._given_up(entry, error)
                    raise
                until = 0.0 if error.unbilled else self._plan.clock() + self._plan.settle
                await self._patience.pause(error, attempt)
            try:
                found = await self._looked_for(entry, until)
            except ProviderError as unseen:
                unseen.unbilled = False  # whatever it says of itself: the batch may be there
                raise
            if found is not None:
                return found
        raise AssertionError("unreachable")

    async def _looked_for(self, entry: BatchEntry, until: float) -> str | None:
        """The id of a batch that the provider has on its list by `until`, if it has it at all."""
        while True:
            settled = self._plan.clock() >= until
            found = await self._patience.tried(self._api.find, entry, self._taken())
            if found is not None or settled:
                return found
            await self._plan.sleep(max(0.0, until - self._plan.clock()))

    async def _given_up(self, entry: BatchEntry, error: ProviderError) -> None:
        """Strikes out a batch that was turned away, and is certainly not there.

        Of any other its entry stands: it may be there, and the next run looks for it.
        """
        if error.unbilled or not error.retryable:
            await self._journal.remove(entry.tag)

    async def _identify(self, batch: Batch, id: str) -> None:
        batch.entry = replace(batch.entry, id=id)
        await self._journal.write(batch.entry)

    def _taken(self) -> set[str]:
        """Ids that belong to other entries, or to nobody here."""
        return self._foreign | {entry.id for entry in self._journal.entries() if entry.id}
