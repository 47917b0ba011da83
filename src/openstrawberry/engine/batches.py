"""The batches of one model: handed over, found again, waited for, fetched.

    write the entry          durable, with a tag of our own, before anything is sent      placing.py
    submit                   and write down the id, durable, before the first look at it
    poll                     with waits that grow                                         fetching.py
    fetch                    each reply is on record before anybody reads it
    strike out the entry

A killed run goes on from whichever line it reached: an entry without an id is looked for at the provider by its tag
before its requests may be sent again, one with an id is polled, one that was half fetched is fetched again. While an
entry stands, a request with one of its keys waits for that batch. What a batch did not answer, and only that, goes into
a later one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager

from openstrawberry.chat import Reply, Request
from openstrawberry.engine.fetching import Fetching
from openstrawberry.engine.patience import Patience
from openstrawberry.engine.placing import Placing
from openstrawberry.engine.plan import Aside, Asked, Plan, Unanswered
from openstrawberry.engine.underway import Batch, Underway
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.batch import BatchApi, BatchItem, BatchJournal
from openstrawberry.models.replies import ReplyRecord


class Batches:
    """See the module. What a batch did not answer ends in `Unanswered`, what shall be asked live in `Aside`.

    `busy` is entered around a download, while more traces are about to go on.
    """

    def __init__(
        self,
        spec: str,
        api: BatchApi,
        journal: BatchJournal,
        record: ReplyRecord,
        plan: Plan,
        busy: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._spec = spec
        self._journal = journal
        self._plan = plan
        self._provider = spec.partition(":")[0]
        self._most = api.limits.requests
        self._crowded = False
        self._left = [Batch(entry) for entry in journal.entries() if entry.model == spec]
        self._following: dict[asyncio.Task[None], Batch] = {}
        self._patience = Patience(plan)
        self._underway = Underway(self._provider, self._left)
        self._placing = Placing(spec, api, journal, plan, self._patience)
        self._fetching = Fetching(spec, api, record, plan, self._patience, self._underway, busy)

    @property
    def running(self) -> int:
        """Batches whose results are not all on record."""
        return sum(entry.model == self._spec for entry in self._journal.entries())

    @property
    def waiting(self) -> int:
        """Requests whose replies batches owe to somebody."""
        return sum(len(batch.waiting) for batch in self._following.values())

    def attached(self, request: Request) -> Asked | None:
        """Waits for the batch that `request` is in already, if there is one."""
        batch = self._underway.of(request.key)
        if batch is None:
            return None
        asked = batch.waiting[request.key] = Asked(request, asyncio.get_running_loop().create_future())
        return asked

    def recover(self) -> None:
        """Goes on with what an earlier run has left."""
        for batch in self._left:
            self._follow(batch, self._picked_up(batch))
        self._left.clear()

    async def submit(self, wave: Sequence[Asked], early: Sequence[tuple[Asked, Reply]] = ()) -> None:
        """Hands a wave over, in as many batches as it takes; `early` replies are handed out with the first."""
        for part, items in self._placing.parts(wave, self._most):
            while self._crowded and self._following:
                await asyncio.wait(self._following, return_when=asyncio.FIRST_COMPLETED)
            if self._plan.late:
                for asked in part:
                    asked.fail(Aside(self._provider))
            elif len(part) > self._most:  # as was learnt while it waited
                await self.submit(part, early)
                early = ()
            else:
                await self._place(part, items, early)
                early = ()
        for asked, reply in early:
            asked.answer(reply)

    async def close(self) -> None:
        """Stops looking; the batches go on at the provider."""
        following = list(self._following)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    # One batch from its entry to its end.

    async def _place(
        self, part: Sequence[Asked], items: Sequence[BatchItem], early: Sequence[tuple[Asked, Reply]]
    ) -> None:
        batch = self._placing.opened(part, early)
        self._underway.add(batch)
        try:
            await self._placing.hand_over(batch, items)
        except ProviderError as error:
            self._underway.dissolve(batch, self._grave(error))
        else:
            self._follow(batch, self._wait_for(batch))

    async def _picked_up(self, batch: Batch) -> None:
        if batch.entry.id or await self._placing.found(batch):
            self._plan.tell(batch.news("found"))
            await self._wait_for(batch)
        else:
            await self._let_go(batch)

    async def _wait_for(self, batch: Batch) -> None:
        lost: ProviderError | None = None
        try:
            state = await self._fetching.end_of(batch)
            if state.error is not None:
                await self._turned_down(batch, state.error)
                return
            known = await self._fetching.fetched(batch)
        except ProviderError as error:
            if error.kind != "not_found":
                error.unbilled = False  # of the look at it; the batch itself goes on
                self._underway.dissolve(batch, error)  # its entry stands: the next run looks again
                return
            known = True  # the provider has forgotten it: what it owes is asked again, and may have been billed
            lost = Unanswered(self._provider, None)
            lost.unbilled = False
        if batch.guessed and not known:
            self._placing.disown(batch)
            await self._picked_up(batch)
        else:
            await self._let_go(batch, lost)

    async def _let_go(self, batch: Batch, error: ProviderError | None = None) -> None:
        """Strikes out a batch that has given what it had."""
        self._underway.end(batch, error)
        await self._journal.remove(batch.entry.tag)

    async def _turned_down(self, batch: Batch, error: ProviderError) -> None:
        """A batch that failed as a whole: too much at once may fit later and smaller, the rest will never work."""
        if not error.retryable:
            await self._journal.remove(batch.entry.tag)
            self._underway.dissolve(batch, self._grave(error))
            return
        self._crowded = True
        if len(self._following) == 1:  # it was alone: not the others are too many, it was too big
            self._most = max(1, len(batch.entry.keys) // 2)
            await self._patience.pause(error, 4)
        await self._let_go(batch, error)

    def _grave(self, error: ProviderError) -> Exception:
        """An error of a whole batch; while none has worked it means the set-up."""
        if self._patience.proven:
            return error
        wrong = SetupError(str(error))
        wrong.unbilled = error.unbilled
        return wrong

    # Its task.

    def _follow(self, batch: Batch, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._following[task] = batch
        task.add_done_callback(self._followed)

    def _followed(self, task: "asyncio.Task[None]") -> None:
        batch = self._following.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # a disk that is full, or a fault of ours: everybody who waits must hear of it
            self._underway.dissolve(batch, error)
