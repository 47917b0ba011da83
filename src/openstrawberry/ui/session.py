"""A question that is asked in the background while a page looks on: begun, stopped, gone on with, closed.

A conversation has a thread of its own with an asyncio loop, so that a page may be drawn anew at any time. What was said
is in the run directory before it is shown; going on replays it from there for free and asks only for what is new.
"""

import asyncio
import queue
import threading
import time
import weakref
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from openstrawberry.ask import Asking
from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Event
from openstrawberry.errors import StrawberryError
from openstrawberry.settings import Settings
from openstrawberry.trace import Trace
from openstrawberry.ui.transcript import Lane, Totals, Transcript, totals

State = Literal["running", "stopped", "done", "failed"]


@dataclass(frozen=True)
class View:
    """A conversation at one moment. `error`: why it failed, in a sentence. `more`: whether it can be gone on with."""

    state: State
    error: str
    trouble: str
    lanes: list[Lane]
    totals: Totals
    seconds: float
    more: bool

    @property
    def running(self) -> bool:
        """Whether anything is still to come."""
        return self.state == "running"

    @property
    def traces(self) -> list[Trace]:
        """The records there are, by sample."""
        return [lane.trace for lane in self.lanes if lane.trace is not None]


class Conversation:
    """One question, asked `samples` times at once. It begins at once, with at most `turns` replies (None: as many as
    the strategy takes).

    Errors never leave the thread: they are in the view. When nobody holds the conversation any more (its page is gone),
    it is closed by itself.
    """

    def __init__(
        self, config: RunConfig, settings: Settings, question: str, answer: str | None, turns: int | None = None
    ) -> None:
        self.config, self.question, self.answer = config, question, answer
        self._worker = _Worker(config, settings, question, answer)
        self._close = weakref.finalize(self, _Worker.close, self._worker)
        self._worker.orders.put(_Order(turns))
        self._worker.thread.start()

    def view(self) -> View:
        """How it stands."""
        return self._worker.view()

    def stop(self) -> None:
        """Breaks off. Whole replies are kept, and a chat is recorded as far as it came."""
        self._worker.stop()

    def go_on(self, turns: int) -> None:
        """Goes on for `turns` more replies; nothing if it is running or has nothing to go on with."""
        view = self.view()
        if view.more:
            self._worker.begin(_Order(turns + max(len(lane.replies) for lane in view.lanes)))

    def close(self) -> None:
        """Breaks off, marks the directory as finished, and ends the thread."""
        self._close()

    def wait(self, seconds: float) -> bool:
        """Waits until nothing runs any more; False if that took longer."""
        return self._worker.idle.wait(seconds)


@dataclass(frozen=True)
class _Order:
    turns: int | None


class _Worker:
    """What runs in the thread. It does not know the conversation, so that one may be forgotten while it runs."""

    def __init__(self, config: RunConfig, settings: Settings, question: str, answer: str | None) -> None:
        self.orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._main, name="asking", daemon=True)
        self.idle = threading.Event()
        self._asked = (config, settings, question, answer)
        self._lock = threading.Lock()
        self._heard = self._shown = Transcript()
        self._state: State = "running"
        self._error = ""
        self._more = False
        self._stopping = False
        self._work: asyncio.Future[list[Trace]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began, self._took = time.monotonic(), 0.0

    def view(self) -> View:
        with self._lock:
            lanes = self._shown.copy()
            trouble, state, error = self._shown.trouble, self._state, self._error
        running = state == "running"
        seconds = self._took + (time.monotonic() - self._began if running else 0.0)
        open_ended = any(lane.trace is None or lane.trace.stop == "max_turns" or lane.trace.owed for lane in lanes)
        more = self._more and state in ("stopped", "done") and open_ended and all(lane.is_chat for lane in lanes)
        return View(state, error, trouble, lanes, totals(lanes), seconds, more)

    def begin(self, order: _Order) -> None:
        with self._lock:
            if self._state not in ("stopped", "done"):
                return
            self._state, self._stopping = "running", False
            self._began = time.monotonic()
            self.idle.clear()
        self.orders.put(order)

    def stop(self) -> None:
        with self._lock:
            if self._state == "running":
                self._stopping = True
                if self._loop is not None and self._work is not None:
                    self._loop.call_soon_threadsafe(self._work.cancel)

    def close(self) -> None:
        self.stop()
        self.orders.put(None)

    def _main(self) -> None:
        failure = ""
        with asyncio.Runner() as runner:
            asking: Asking | None = None
            try:
                config, settings, question, answer = self._asked
                asking = Asking(config, settings, question, answer, self._hear, stream=True)
                self._more = asking.in_turns
                while (order := self.orders.get()) is not None:
                    self._settle(runner.run(self._round(asking, order)))
            except StrawberryError as error:
                failure = str(error)
            except Exception as error:  # the boundary of this thread: a page must not wait for ever
                failure = f"{type(error).__name__}: {error}. Ask again."
            finally:
                if asking is not None:
                    runner.run(asking.close())
        if failure:  # told last: what was begun for nothing is taken away by now
            self._settle("failed", failure)

    def _settle(self, state: State, error: str = "") -> None:
        with self._lock:
            self._state, self._error = state, error
            self._shown = self._heard
            self._took += time.monotonic() - self._began
        self.idle.set()

    async def _round(self, asking: Asking, order: _Order) -> State:
        samples = range(self._asked[0].samples)
        try:
            await self._stoppable([asking.run(order.turns, sample) for sample in samples])
        except asyncio.CancelledError:
            await self._keep(asking)
            return "stopped"
        return "done"

    async def _stoppable(self, runs: list[Coroutine[Any, Any, Trace]]) -> None:
        tasks = [asyncio.ensure_future(run) for run in runs]
        work = asyncio.gather(*tasks)
        with self._lock:
            self._heard = Transcript()
            self._loop, self._work = asyncio.get_running_loop(), work
            if self._stopping:
                work.cancel()
        try:
            await work
        finally:
            with self._lock:
                self._work = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, asking: Asking) -> None:
        """Makes the record of chats that were stopped: replayed up to where they were, at no cost."""
        with self._lock:
            said = self._heard.copy()
            self._shown = self._heard
        chats = [lane for lane in said if lane.is_chat and (lane.trace is not None or lane.replies)]
        if asking.in_turns and len(chats) == len(said):
            with self._lock:
                self._heard = Transcript()
            for lane in chats:
                await asking.run(len(lane.replies), lane.sample)

    def _hear(self, event: Event) -> None:
        with self._lock:
            self._heard.hear(event)
            if self._heard.whole >= self._shown.whole:  # a replay is shown once it has caught up: nothing flickers
                self._shown = self._heard
