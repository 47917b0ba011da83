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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial

from openstrawberry.chat import Delta, OnDelta, Reply, Request
from openstrawberry.engine.batches import Batches
from openstrawberry.engine.plan import Asked, Plan
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

    `live` is the ordinary stack around the same provider, `roster` knows the traces. `proven` says that the set-up is
    known to work: then no request is asked live first.
    """

    def __init__(
        self,
        live: Model,
        api: BatchApi,
        journal: BatchJournal,
        record: ReplyRecord,
        roster: Roster,
        plan: Plan | None = None,
        proven: bool = False,
    ) -> None:
        self._live = live
        self._record = record
        self._roster = roster
        self._plan = plan or Plan()
        self._proven = proven
        self._batches = Batches(
            without_address(live.spec), api, journal, record, self._plan, self._again, roster.occupied
        )
        self._open: dict[str, Asked] = {}
        self._going: list[Asked] = []
        self._changed = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._alive: set[asyncio.Task[Reply]] = set()
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
        asked = Asked(request, asyncio.get_running_loop().create_future())
        with self._roster.waiting():
            if not self._batches.attach(asked):
                self._again(asked)
            try:
                reply = await asked.reply
            finally:
                if self._open.get(request.key) is asked:
                    del self._open[request.key]
        if on_delta is not None:
            on_delta(Delta(reply.content))
        return reply

    async def close(self) -> None:
        """Stops; batches go on at the provider, and the next run picks them up."""
        tasks = [*self._alive, *([self._runner] if self._runner else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._batches.close()
        await self._live.close()

    def _start(self) -> None:
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
            self._runner.add_done_callback(self._stopped)
        elif self._runner.done():
            self._runner.result()

    async def _run(self) -> None:
        self._batches.recover()
        while True:
            await self._gathered()
            self._going = [asked for asked in self._open.values() if not asked.reply.done()]
            self._open.clear()
            await self._send(self._going)
            self._going = []

    async def _gathered(self) -> None:
        """Returns once the open wave holds all it can: nobody is busy any more, and it has been quiet for a while.

        A few that are out of step with many wait for them, or they would stay alone to their end.
        """
        while True:
            quiet = self._plan.patience if self._roster.busy else self._plan.linger
            self._changed.clear()
            try:
                async with asyncio.timeout(quiet if self._open else None):
                    await self._changed.wait()
            except TimeoutError:
                if self._plan.late or len(self._open) >= SMALL * self._batches.waiting:
                    return

    async def _send(self, wave: list[Asked]) -> None:
        if self._plan.late:
            for asked in wave:
                self._ask_live(asked)
        elif wave and not self._proven:
            await self._batches.submit(wave[1:], await self._first(wave[0]))
        else:
            await self._batches.submit(wave)

    async def _first(self, asked: Asked) -> list[tuple[Asked, Reply]]:
        """Asks one request live. Its reply is handed out with those of its wave, so that its trace stays with them."""
        try:
            reply = await self._lively(asked.request)
        except ProviderError as error:
            if error.is_setup:
                raise SetupError(str(error)) from error
            asked.fail(error)
            return []
        self._proven = True
        return [(asked, reply)]

    def _again(self, asked: Asked) -> None:
        if self._plan.late:
            self._ask_live(asked)
        elif not asked.reply.done():
            self._open[asked.request.key] = asked
            self._changed.set()

    def _ask_live(self, asked: Asked) -> None:
        task = asyncio.create_task(self._lively(asked.request))
        self._alive.add(task)
        task.add_done_callback(partial(self._answered, asked))
        asked.reply.add_done_callback(lambda _: task.cancel())  # nobody waits any more

    def _answered(self, asked: Asked, task: "asyncio.Task[Reply]") -> None:
        self._alive.discard(task)
        if not task.cancelled():
            error = task.exception()
            asked.answer(task.result()) if error is None else asked.fail(error)

    async def _lively(self, request: Request) -> Reply:
        clock = asyncio.get_running_loop().time
        async with self._gate:
            started = clock()
            reply = await self._live.complete(request)
            reply = reply.model_copy(update={"latency_s": clock() - started})
        await self._record.keep(request.key, reply)
        return reply

    def _stopped(self, runner: "asyncio.Task[None]") -> None:
        error = None if runner.cancelled() else runner.exception()
        if error is not None:
            for asked in (*self._going, *self._open.values()):
                asked.fail(error)
