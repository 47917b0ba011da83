"""The batches of one model: handed over, found again, waited for, fetched.

    write the entry          durable, with a tag of our own, before anything is sent
    submit                   and write down the id, durable, before the first look at it
    poll                     with waits that grow
    fetch                    each reply is on record before anybody reads it
    strike out the entry

A killed run goes on from whichever line it reached: an entry without an id is looked for at the provider by its tag
before its requests may be sent again, one with an id is polled, one that was half fetched is fetched again. While an
entry stands, a request with one of its keys waits for that batch. What a batch did not answer, and only that, goes into
a later one.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field, replace

from openstrawberry.chat import Reply, Request
from openstrawberry.engine.events import Batched
from openstrawberry.engine.patience import Patience
from openstrawberry.engine.plan import Aside, Asked, Plan, Unanswered
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.batch import BatchApi, BatchEntry, BatchItem, BatchJournal, BatchState, Outcome
from openstrawberry.models.guard import checked
from openstrawberry.models.replies import ReplyRecord

_TOGETHER = 500  # replies that are recorded with one commit


@dataclass(eq=False, slots=True)
class _Batch:
    """A batch under way. `early`: replies to hand out with its own. `guessed`: its id was looked for, not given."""

    entry: BatchEntry
    waiting: dict[str, Asked] = field(default_factory=dict)
    early: Sequence[tuple[Asked, Reply]] = ()
    guessed: bool = False


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
        self._api = api
        self._journal = journal
        self._record = record
        self._plan = plan
        self._provider = spec.partition(":")[0]
        self._busy = busy
        self._most = api.limits.requests
        self._crowded = False
        self._foreign: set[str] = set()
        self._home: dict[str, _Batch] = {}
        self._left = [_Batch(entry) for entry in journal.entries() if entry.model == spec]
        self._following: dict[asyncio.Task[None], _Batch] = {}
        self._patience = Patience(plan)
        for batch in self._left:
            self._home.update(dict.fromkeys(batch.entry.keys, batch))

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
        batch = self._home.get(request.key)
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
        for part, items in self._parts(wave):
            while self._crowded and self._following:
                await asyncio.wait(self._following, return_when=asyncio.FIRST_COMPLETED)
            if self._plan.late:
                for asked in part:
                    asked.fail(Aside(self._provider))
            elif len(part) > self._most:  # as was learnt while it waited
                await self.submit(part, early)
                early = ()
            else:
                batch, early = await self._place(part, items, early), ()
                if batch is not None:
                    self._follow(batch, self._wait_for(batch))
        for asked, reply in early:
            asked.answer(reply)

    async def close(self) -> None:
        """Stops looking; the batches go on at the provider."""
        following = list(self._following)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    # Handing over.

    def _parts(self, wave: Sequence[Asked]) -> Iterator[tuple[list[Asked], list[BatchItem]]]:
        """Encodes one batch at a time: a whole wave may not fit into memory."""
        part: list[Asked] = []
        items: list[BatchItem] = []
        size = 0
        for asked in wave:
            item = self._api.item(asked.request)
            if items and (len(items) >= self._most or size + item.size > self._api.limits.bytes):
                yield part, items
                part, items, size = [], [], 0
            part.append(asked)
            items.append(item)
            size += item.size
        if items:
            yield part, items

    async def _place(
        self, part: Sequence[Asked], items: Sequence[BatchItem], early: Sequence[tuple[Asked, Reply]]
    ) -> _Batch | None:
        waiting = {asked.request.key: asked for asked in part}
        entry = BatchEntry(f"strawberry-{uuid.uuid4().hex}", self._spec, tuple(waiting), self._plan.clock())
        batch = _Batch(entry, waiting, early)
        self._home.update(dict.fromkeys(entry.keys, batch))
        await self._journal.write(entry)
        try:
            await self._identify(batch, await self._handed_over(entry, items))
        except ProviderError as error:
            if not error.retryable or error.kind == "rate_limit":  # certainly not there; else the next run looks for it
                await self._journal.remove(entry.tag)
            else:
                error.unbilled = False  # of the call; the batch itself may be there
            self._dissolve(batch, self._grave(error))
            return None
        self._tell(batch, "submitted")
        return batch

    async def _handed_over(self, entry: BatchEntry, items: Sequence[BatchItem]) -> str:
        """The id of the batch. A call whose fate is unknown is not repeated before the provider has been asked."""
        for attempt in range(1, self._plan.attempts + 1):
            try:
                return await self._api.submit(items, entry.tag)
            except ProviderError as error:
                if not error.retryable or attempt >= self._patience.attempts(error):
                    raise
                await self._patience.pause(error, attempt)
            try:
                found = await self._patience.tried(self._api.find, entry, self._taken())
            except ProviderError as unseen:
                unseen.unbilled = False
                raise
            if found is not None:
                return found
        raise AssertionError("unreachable")

    async def _identify(self, batch: _Batch, id: str) -> None:
        batch.entry = replace(batch.entry, id=id)
        await self._journal.write(batch.entry)

    # Finding again.

    async def _picked_up(self, batch: _Batch) -> None:
        if batch.entry.id or await self._found(batch):
            self._tell(batch, "found")
            await self._wait_for(batch)
        else:
            await self._let_go(batch)

    async def _found(self, batch: _Batch) -> bool:
        """Looks for a batch whose id we never saw, until the provider must have it on its list if it has it at all."""
        entry = batch.entry
        while True:
            settled = self._plan.clock() >= entry.created + self._plan.settle
            found = await self._patience.tried(self._api.find, entry, self._taken())
            if found is not None:
                batch.guessed = True
                await self._identify(batch, found)
                return True
            if settled:
                return False
            await self._plan.sleep(max(0.0, entry.created + self._plan.settle - self._plan.clock()))

    def _taken(self) -> set[str]:
        """Ids that belong to other entries, or to nobody here."""
        return self._foreign | {entry.id for entry in self._journal.entries() if entry.id}

    # Waiting and fetching.

    async def _wait_for(self, batch: _Batch) -> None:
        try:
            state = await self._end_of(batch)
            if state.error is not None:
                await self._turned_down(batch, state.error)
                return
            known = await self._fetched(batch)
        except ProviderError as error:
            if error.kind != "not_found":
                error.unbilled = False  # of the look at it; the batch itself goes on
                self._dissolve(batch, error)  # its entry stands: the next run looks again
                return
            known = True  # the provider has forgotten it: what it still owes is asked again
        if batch.guessed and not known:
            self._foreign.add(batch.entry.id)
            batch.entry = replace(batch.entry, id="")
            await self._picked_up(batch)
        else:
            await self._let_go(batch)

    async def _end_of(self, batch: _Batch) -> BatchState:
        plan, wait, cancelled = self._plan, self._plan.first_poll, False
        seen = BatchState("running", -1)
        while True:
            state = await self._patience.tried(self._api.state, batch.entry.id)
            if state != seen:
                self._tell(batch, state.status, state)
                seen = state
            if state.status != "running":
                return state
            if plan.late and not cancelled:
                cancelled, wait = await self._cancelled(batch), plan.first_poll
            await plan.sleep(wait if plan.late else min(wait, plan.live_from - plan.clock()))
            wait = min(wait * 1.5, plan.longest_poll)

    async def _cancelled(self, batch: _Batch) -> bool:
        """Asks the provider to stop; whether it will. One that has ended in this very moment refuses."""
        try:
            await self._api.cancel(batch.entry.id)
        except ProviderError:
            return False
        self._tell(batch, "cancelled")
        return True

    async def _fetched(self, batch: _Batch) -> bool:
        """Records and hands out every result; whether any was ours. A download that breaks off is begun again."""
        with self._busy():
            return await self._patience.tried(self._download, batch)

    async def _download(self, batch: _Batch) -> bool:
        ours, known, replies = frozenset(batch.entry.keys), False, dict[str, Reply]()
        async with aclosing(self._api.results(batch.entry.id)) as results:
            async for key, outcome in results:
                known = known or key in ours
                if self._home.get(key) is not batch:  # from a download that broke off, or not ours
                    continue
                outcome = self._usable(batch, key, outcome)
                if isinstance(outcome, Reply):
                    replies[key] = outcome
                else:
                    self._disappoint(self._take(batch, key), outcome)
                if len(replies) >= _TOGETHER:
                    await self._hand_out(batch, replies)
        await self._hand_out(batch, replies)
        return known

    def _usable(self, batch: _Batch, key: str, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Reply):
            return outcome
        asked, latency = batch.waiting.get(key), max(0.0, self._plan.clock() - batch.entry.created)
        reply = self._plan.priced(outcome.model_copy(update={"latency_s": latency}))
        try:
            return checked(self._spec, reply, asked.request.max_tokens if asked else None)
        except ProviderError as error:
            return error

    async def _hand_out(self, batch: _Batch, replies: dict[str, Reply]) -> None:
        await asyncio.gather(*(self._record.keep(key, reply) for key, reply in replies.items()))
        self._patience.proven = self._patience.proven or bool(replies)
        for key, reply in replies.items():
            if asked := self._take(batch, key):
                asked.answer(reply)
        replies.clear()

    # Endings.

    def _take(self, batch: _Batch, key: str) -> Asked | None:
        """Whoever waits for `key`, about which the batch has nothing more to say."""
        if self._home.get(key) is batch:
            del self._home[key]
        return batch.waiting.pop(key, None)

    async def _let_go(self, batch: _Batch, error: ProviderError | None = None) -> None:
        """Strikes out a batch that has given what it had; what it did not answer is asked again."""
        for key in batch.entry.keys:
            self._disappoint(self._take(batch, key), error)
        self._hand_out_early(batch)
        await self._journal.remove(batch.entry.tag)

    async def _turned_down(self, batch: _Batch, error: ProviderError) -> None:
        """A batch that failed as a whole: too much at once may fit later and smaller, the rest will never work."""
        if not error.retryable:
            await self._journal.remove(batch.entry.tag)
            self._dissolve(batch, self._grave(error))
            return
        self._crowded = True
        if len(self._following) == 1:  # it was alone: not the others are too many, it was too big
            self._most = max(1, len(batch.entry.keys) // 2)
            await self._patience.pause(error, 4)
        await self._let_go(batch, error)

    def _dissolve(self, batch: _Batch, error: BaseException) -> None:
        """Fails everybody who waits for `batch`."""
        for key in batch.entry.keys:
            if asked := self._take(batch, key):
                asked.fail(error)
        self._hand_out_early(batch)

    def _hand_out_early(self, batch: _Batch) -> None:
        for asked, reply in batch.early:
            asked.answer(reply)

    def _disappoint(self, asked: Asked | None, error: ProviderError | None) -> None:
        """No reply for `asked`: it may try again, unless its error will not go away."""
        if asked is not None:
            hopeless = error is not None and not error.retryable
            asked.fail(error if hopeless and error is not None else Unanswered(self._provider, error))

    def _grave(self, error: ProviderError) -> Exception:
        """An error of a whole batch; while none has worked it means the set-up."""
        return error if self._patience.proven else SetupError(str(error))

    # Tasks and news.

    def _follow(self, batch: _Batch, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._following[task] = batch
        task.add_done_callback(self._followed)

    def _followed(self, task: "asyncio.Task[None]") -> None:
        batch = self._following.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # a disk that is full, or a fault of ours: everybody who waits must hear of it
            self._dissolve(batch, error)

    def _tell(self, batch: _Batch, state: str, found: BatchState | None = None) -> None:
        entry = batch.entry
        total = found.total if found is not None and found.total else len(entry.keys)
        self._plan.tell(Batched(entry.id, state, found.done if found is not None else 0, total))
