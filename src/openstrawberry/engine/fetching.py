"""Waits for the end of a batch, and fetches what it has answered."""

from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing

from openstrawberry.chat import Reply
from openstrawberry.engine.patience import Patience
from openstrawberry.engine.plan import Plan
from openstrawberry.engine.underway import Batch, Underway
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchApi, BatchState, Outcome
from openstrawberry.models.guard import checked
from openstrawberry.models.replies import ReplyRecord

_TOGETHER = 500  # replies that are handed out at a time


class Fetching:
    """Every reply is on record before anybody reads it.

    `busy` is entered around a download, while more traces are about to go on.
    """

    def __init__(
        self,
        spec: str,
        api: BatchApi,
        record: ReplyRecord,
        plan: Plan,
        patience: Patience,
        underway: Underway,
        busy: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._spec = spec
        self._api = api
        self._record = record
        self._plan = plan
        self._patience = patience
        self._underway = underway
        self._busy = busy

    async def end_of(self, batch: Batch) -> BatchState:
        """Waits until a batch runs no more. When it is late, the provider is asked to stop it."""
        plan, wait, cancelled = self._plan, self._plan.first_poll, False
        settled = plan.clock() + plan.settle
        seen = BatchState("running", -1)
        while True:
            state = await self._state(batch, settled)
            if state != seen:
                plan.tell(batch.news(state.status, state))
                seen = state
            if state.status != "running":
                return state
            if plan.late and not cancelled:
                cancelled, wait = await self._cancelled(batch), plan.first_poll
            await plan.sleep(wait if plan.late else min(wait, plan.live_from - plan.clock()))
            wait = min(wait * 1.5, plan.longest_poll)

    async def fetched(self, batch: Batch) -> bool:
        """Records and hands out every result; whether any was ours. A download that breaks off is begun again."""
        with self._busy():
            return await self._patience.tried(self._download, batch)

    async def _state(self, batch: Batch, settled: float) -> BatchState:
        """How far it is. A provider that does not know it yet, before `settled`, has only just taken it."""
        try:
            return await self._patience.tried(self._api.state, batch.entry.id)
        except ProviderError as error:
            if error.kind != "not_found" or self._plan.clock() >= settled:
                raise
            return BatchState("running")

    async def _cancelled(self, batch: Batch) -> bool:
        """Asks the provider to stop; whether it will. One that has ended in this very moment refuses."""
        try:
            await self._api.cancel(batch.entry.id)
        except ProviderError:
            return False
        self._plan.tell(batch.news("cancelled"))
        return True

    async def _download(self, batch: Batch) -> bool:
        ours, known, replies = frozenset(batch.entry.keys), False, dict[str, Reply]()
        async with aclosing(self._api.results(batch.entry.id)) as results:
            async for key, outcome in results:
                known = known or key in ours
                if self._underway.of(key) is not batch:  # from a download that broke off, or not ours
                    continue
                outcome = self._usable(batch, key, outcome)
                if isinstance(outcome, Reply):
                    replies[key] = outcome
                else:
                    self._underway.disappoint(batch, key, outcome)
                if len(replies) >= _TOGETHER:
                    await self._hand_out(batch, replies)
        await self._hand_out(batch, replies)
        return known

    def _usable(self, batch: Batch, key: str, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Reply):
            return outcome
        asked, latency = batch.waiting.get(key), max(0.0, self._plan.clock() - batch.entry.created)
        reply = self._plan.priced(outcome.model_copy(update={"latency_s": latency}))
        try:
            return checked(self._spec, reply, asked.request.max_tokens if asked else None)
        except ProviderError as error:
            return error

    async def _hand_out(self, batch: Batch, replies: dict[str, Reply]) -> None:
        for key, reply in replies.items():
            await self._record.keep(key, reply)
        self._patience.proven = self._patience.proven or bool(replies)
        for key, reply in replies.items():
            self._underway.answer(batch, key, reply)
        replies.clear()
