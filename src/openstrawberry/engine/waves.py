"""Multi-turn work over batch APIs: all live traces advance by one turn with each wave.

`Waves` is a `Model` that stands where the live calls would be. Every trace is driven as usual and waits for its reply;
once all of them wait, what they want to know goes out as one wave of batches. Since strategies do no I/O, none of them
knows, and several asks of one trace go out together.

What makes it quick: a batch that has ended sets its traces free at once, whatever the others do; what was not answered
joins the next wave; traces that finish early make room for new ones. The first request of a run is asked live, so that
a wrong key, model or parameter shows in seconds and not after hours. From `Plan.live_from` on nothing goes into batches
any more: what is in them is cancelled, and the rest is asked live.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from openstrawberry.chat import Delta, OnDelta, Reply, Request
from openstrawberry.engine.batches import Batches
from openstrawberry.engine.plan import Aside, Asked, Plan, Unanswered
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.batch import BatchApi, BatchJournal
from openstrawberry.models.model import Model, without_address
from openstrawberry.models.replies import ReplyRecord

SMALL = 0.25  # a wave of less than this share of what is at the provider waits for it
LIVE_AT_ONCE = 64  # calls that are open at a time once the rest is asked live


@dataclass(eq=False, slots=True)
class _Live:
    """A trace under way, and how many replies it waits for."""

    waits: int = 0


_trace: ContextVar[_Live | None] = ContextVar("the trace that is being driven", default=None)


class Roster:
    """Which traces are under way, and which of them wait; shared by all models of a run, so that none waits in vain."""

    def __init__(self) -> None:
        self.busy = 0
        self.listeners: list[Callable[[], None]] = []

    @contextmanager
    def trace(self) -> Iterator[None]:
        """Around the driving of one trace, in whichever tasks."""
        live = _Live()
        before = _trace.set(live)
        self._moved(+1)
        try:
            yield
        finally:
            _trace.reset(before)
            self._moved(-1)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Around anything else that is about to let traces go on."""
        self._moved(+1)
        try:
            yield
        finally:
            self._moved(-1)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around the wait of the current trace for one reply."""
        live = _trace.get() or _Live(waits=1)
        live.waits += 1
        self._moved(-1 if live.waits == 1 else 0)
        try:
            yield
        finally:
            live.waits -= 1
            self._moved(+1 if live.waits == 0 else 0)

    def _moved(self, by: int) -> None:
        self.busy += by
        for listener in self.listeners:
            listener()


class Waves:
    """Answers requests with batches of `api`.

    `live` is the ordinary stack around the same provider, `roster` knows the traces. `around` may put something before
    the way into a batch, such as a budget: what it sees of a request is one attempt, which ends in its reply or in an
    error. `proven` says that the set-up is known to work: then no request is asked live first.
    """

    def __init__(
        self,
        live: Model,
        api: BatchApi,
        journal: BatchJournal,
        record: ReplyRecord,
        roster: Roster,
        plan: Plan | None = None,
        around: Callable[[Model], Model] = lambda door: door,
        proven: bool = False,
    ) -> None:
        self._live = live
        self._record = record
        self._roster = roster
        self._plan = plan or Plan()
        self._proven = proven
        self._batches = Batches(without_address(live.spec), api, journal, record, self._plan, roster.occupied)
        self._door = around(_Door(live.spec, self._join))
        self._open: dict[str, Asked] = {}
        self._going: list[Asked] = []
        self._first: asyncio.Future[ProviderError | None] | None = None
        self._held: list[tuple[Asked, Reply]] = []
        self._changed = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._gate = asyncio.Semaphore(LIVE_AT_ONCE)
        roster.listeners.append(self._changed.set)

    @property
    def spec(self) -> str:
        """The wrapped model's."""
        return self._live.spec

    @property
    def running(self) -> int:
        """Batches at the provider whose results are not all on record."""
        return self._batches.running

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`; a reply is on record when it comes, and reaches `on_delta` in one piece.

        Raises:
            SetupError: nothing has worked yet, and this did not either.
        """
        self._start()
        with self._roster.waiting():
            reply = await self._persistently(request)
        if on_delta is not None:
            on_delta(Delta(reply.content))
        return reply

    async def close(self) -> None:
        """Stops; batches go on at the provider, and the next run picks them up."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        await self._batches.close()
        await self._live.close()

    async def _persistently(self, request: Request) -> Reply:
        for attempt in itertools.count(1):
            try:
                return await self._once(request)
            except Unanswered as unanswered:
                if attempt >= self._plan.attempts and not self._plan.late:
                    raise (unanswered.error or unanswered) from None
        raise AssertionError("unreachable")

    async def _once(self, request: Request) -> Reply:
        asked = self._batches.attached(request)
        if asked is not None:
            return await asked.reply
        if self._plan.late:
            return await self._lively(request)
        if self._first is None and not self._proven:
            return await self._ahead(request)
        if self._first is not None and not self._first.done():
            await asyncio.wait([self._first])  # it may have to be asked again, and must not find the budget taken
        try:
            return await self._door.complete(request)
        except Aside:
            return await self._lively(request)

    async def _ahead(self, request: Request) -> Reply:
        """Asks the first request live. The reply waits for those of the first wave: its trace stays with the others."""
        first = self._first = asyncio.get_running_loop().create_future()
        try:
            reply = await self._lively(request)
        except ProviderError as error:
            first.set_result(error)
            raise
        finally:
            if not first.done():
                first.set_result(None)
        asked = Asked(request, asyncio.get_running_loop().create_future())
        self._held.append((asked, reply))
        self._changed.set()
        return await asked.reply

    async def _join(self, request: Request) -> Reply:
        """Waits in the open wave, and then in its batch."""
        self._start()  # what has ended the runner meanwhile must be heard by those whom money kept waiting
        asked = self._open[request.key] = Asked(request, asyncio.get_running_loop().create_future())
        self._changed.set()
        try:
            return await asked.reply
        finally:
            if self._open.get(request.key) is asked:
                del self._open[request.key]

    async def _lively(self, request: Request) -> Reply:
        clock = asyncio.get_running_loop().time
        async with self._gate:
            started = clock()
            reply = await self._live.complete(request)
            reply = reply.model_copy(update={"latency_s": clock() - started})
        await self._record.keep(request.key, reply)
        return reply

    def _start(self) -> None:
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
            self._runner.add_done_callback(self._stopped)
        elif self._runner.done():
            self._runner.result()

    async def _run(self) -> None:
        self._batches.recover()
        error = await self._first if self._first is not None else None
        if error is not None and error.is_setup:
            raise SetupError(str(error)) from error
        while True:
            await self._gathered()
            self._going = [asked for asked in self._open.values() if not asked.reply.done()]
            self._open.clear()
            held, self._held = self._held, []
            await self._batches.submit(self._going, held)
            self._going = []

    async def _gathered(self) -> None:
        """Returns once the open wave holds all it can: nobody is busy any more, and it has been quiet for a while.

        A few that are out of step with many wait for them, or they would stay alone to their end.
        """
        while True:
            quiet = self._plan.patience if self._roster.busy else self._plan.linger
            self._changed.clear()
            try:
                async with asyncio.timeout(quiet if self._open or self._held else None):
                    await self._changed.wait()
            except TimeoutError:
                if self._plan.late or len(self._open) >= SMALL * self._batches.waiting:
                    return

    def _stopped(self, runner: "asyncio.Task[None]") -> None:
        error = None if runner.cancelled() else runner.exception()
        if error is not None:
            for asked in (*self._going, *self._open.values(), *(asked for asked, _ in self._held)):
                asked.fail(error)


class _Door:
    """The way into the open wave, as a `Model`."""

    def __init__(self, spec: str, join: Callable[[Request], Awaitable[Reply]]) -> None:
        self.spec = spec
        self._join = join

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        return await self._join(request)

    async def close(self) -> None:
        """Nothing to release."""
