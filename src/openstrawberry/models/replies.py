"""Paid work is never lost and never paid twice: every reply is committed before anything reads it.

`Recorded` is the outermost wrapper around a model. A reply is found again by `Request.key`, which `reply_key` makes
from everything that decides it: model, role, sampling parameters, the hash chain of the conversation, the sample, and
which draw at that point of the conversation it is (a repair or a second visit asks again and is a new draw). The same
key is never on its way twice at the same time: whoever comes second waits for the first.

What is recorded, and what is not:

- A reply that broke off (a cut connection, a timeout, a body that is not the protocol) and a reply that no trace can
  use (empty, absurdly long) are errors, and errors are never recorded: the next run asks again.
- A reply that is whole as the provider sees it is recorded, also one that it cut at `max_tokens` or filtered. It was
  paid for, the same request would be cut again, and a raised `--max-tokens` is another key and so asks anew.
- `--fresh` never reads an earlier record, because it begins a run directory, and with it a record, of its own. Going on
  with that run (without the flag) replays what it has paid for itself. Nothing is deleted.
"""

import asyncio
import hashlib
import json
from typing import Protocol

from openstrawberry.chat import Delta, OnDelta, Reply, Request
from openstrawberry.models.model import Model


class ReplyRecord(Protocol):
    """Where replies are kept. The store implements it; models never know a path."""

    def find(self, key: str) -> Reply | None:
        """The reply recorded under `key`."""
        ...

    async def keep(self, key: str, reply: Reply) -> None:
        """Records a reply; returns when it is committed."""
        ...


def reply_key(
    model: str, role: str, request: Request, chain: str, sample: int, draw: int, place: tuple[int, ...] = ()
) -> str:
    """The place of a reply in the record.

    `chain` is the hash of the conversation, `draw` counts asks at its end, those of each branch of a search (`place`)
    by themselves.
    """
    parts = (
        model,
        role,
        request.temperature,
        request.top_p,
        request.max_tokens,
        request.stop,
        request.seed,
        request.reasoning,
        json.dumps(request.response_schema, sort_keys=True),
        chain,
        sample,
        draw,
        *(["thoughts"] if request.thoughts else []),
        *(("logprobs",) if request.logprobs else ()),
        *([place] if place else []),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


class Recorded:
    """Replays what is recorded, asks `model` for the rest, and records it before handing it on.

    `proven` tells whether the model itself has answered since we began (a replay proves nothing about a key or a
    server). `replayed` and `asked` count replies. `kept`: `model` records its replies itself, before it hands them on.
    """

    def __init__(self, model: Model, record: ReplyRecord, kept: bool = False) -> None:
        self._model = model
        self._record = record
        self._kept = kept
        self._flying: dict[str, asyncio.Future[None]] = {}
        self.proven = False
        self.replayed = 0
        self.asked = 0

    @property
    def spec(self) -> str:
        """The wrapped model's."""
        return self._model.spec

    def knows(self, request: Request) -> bool:
        """Whether the reply is on record."""
        return self._record.find(request.key) is not None

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`. A replayed reply reaches `on_delta` in one piece."""
        while (flying := self._flying.get(request.key)) is not None:
            await asyncio.wait([flying])
        known = self._record.find(request.key)
        if known is not None:
            self.replayed += 1
            if on_delta is not None:
                on_delta(Delta(known.content))
            return known
        self._flying[request.key] = asyncio.get_running_loop().create_future()
        try:
            return await self._ask(request, on_delta)
        finally:
            self._flying.pop(request.key).set_result(None)

    async def _ask(self, request: Request, on_delta: OnDelta | None) -> Reply:
        clock = asyncio.get_running_loop().time
        started = clock()
        reply = await self._model.complete(request, on_delta)
        if not self._kept:
            if not reply.latency_s:
                reply = reply.model_copy(update={"latency_s": clock() - started})
            await self._record.keep(request.key, reply)
        self.proven = True
        self.asked += 1
        return reply

    async def close(self) -> None:
        """Closes the wrapped model."""
        await self._model.close()
