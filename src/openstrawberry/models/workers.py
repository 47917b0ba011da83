"""Several processes send the requests of one model, where one is not enough to keep up with a fast provider.

Most of what a turn costs is the SDK: HTTP, TLS, JSON. That half moves into worker processes; everything that must be
one stays in the parent (strategies, reply record, retry, budget, limits, run directory), so nothing else knows of them.
A conversation stays with its worker, which keeps what was said: only new turns cross over.

A worker ends with its parent: it reads from a socket that closes when the parent dies. One that dies itself costs its
open requests, which the retry sends again, and is started anew.
"""

import asyncio
import contextlib
import pickle
import socket
import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from openstrawberry.chat import Message, OnDelta, Reply, Request
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.model import Model
from openstrawberry.models.provider import Opening

REMEMBERED = 8192  # conversations that parent and worker both keep
_LENGTH = 4


def frame(message: object) -> bytes:
    """One message between parent and worker, on a socket that nobody else has."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(data).to_bytes(_LENGTH, "big") + data


async def read_frame(reader: asyncio.StreamReader) -> Any:
    """The next message.

    Raises:
        EOFError: the other side is gone.
    """
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        return pickle.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError from error


class Said:
    """What the other side knows of each conversation: the messages last sent, the newest conversations only."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Message, ...]] = OrderedDict()

    def kept(self, key: str, messages: tuple[Message, ...]) -> int:
        """How many messages of `messages` need not be sent. Looks at one: a conversation shares its messages."""
        known = self._known.get(key, ())
        count = len(known)
        same = 0 < count <= len(messages) and known[-1] is messages[count - 1]
        return count if same else 0

    def remember(self, key: str, messages: tuple[Message, ...]) -> None:
        """Keeps a conversation, and forgets the one that was used longest ago where there are too many."""
        self._known[key] = messages
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def of(self, key: str) -> tuple[Message, ...]:
        """The messages last remembered."""
        return self._known.get(key, ())


class Workers:
    """The model `model`, asked by `count` processes that open it from the same `opening`: see `worker.py`.

    `model` is the same model in this process: it says its spec, and is never asked.
    """

    def __init__(self, model: Model, opening: Opening, count: int) -> None:
        self._model = model
        alone = replace(opening, options=replace(opening.options, heard=None))
        self.workers = [_Worker(alone, opening.options.heard) for _ in range(count)]

    @property
    def spec(self) -> str:
        """The model's."""
        return self._model.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`."""
        worker = self.workers[zlib.crc32(request.cache_key.encode()) % len(self.workers)]
        return await worker.complete(request, on_delta)

    async def close(self) -> None:
        """Ends the processes."""
        for worker in self.workers:
            await worker.close()
        await self._model.close()


class _Worker:
    """One process, started when it is first asked."""

    def __init__(self, opening: Opening, heard: Callable[[Mapping[str, str]], None] | None) -> None:
        self._opening = opening
        self._heard = heard
        self._starting = asyncio.Lock()
        self.process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._said = Said()
        self._open: dict[int, tuple[asyncio.Future[Reply], OnDelta | None]] = {}
        self._number = 0

    async def complete(self, request: Request, on_delta: OnDelta | None) -> Reply:
        writer = await self._started()
        kept = self._said.kept(request.cache_key, request.messages)
        new = [(message.role, message.content, message.reasoning) for message in request.messages[kept:]]
        self._said.remember(request.cache_key, request.messages)
        self._number += 1
        number = self._number
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._open[number] = future, on_delta
        writer.write(frame(("ask", number, replace(request, messages=()), kept, new, on_delta is not None)))
        try:
            return await future
        except asyncio.CancelledError:
            if not writer.is_closing():
                writer.write(frame(("cancel", number)))
            raise
        finally:
            self._open.pop(number, None)

    async def close(self) -> None:
        """Closes the socket, and waits for the process to end by itself."""
        if self._listening is None or self._writer is None or self.process is None:
            return
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        await self.process.wait()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _started(self) -> asyncio.StreamWriter:
        async with self._starting:
            if self._listening is None or self._listening.done():
                await self._start()
        assert self._writer is not None
        return self._writer

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-m", "openstrawberry.models.worker", str(number)]
            self.process = await asyncio.create_subprocess_exec(*command, pass_fds=[number])
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._said = Said()
        self._writer.write(frame(self._opening))
        self._listening = asyncio.create_task(self._listen(reader, self._writer))

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self._take(*await read_frame(reader))
        except EOFError:
            pass
        finally:
            writer.close()
            for future, _ in self._open.values():
                if not future.done():
                    future.set_exception(_gone())

    def _take(self, kind: str, number: int, told: Any) -> None:
        if kind == "heard":
            if self._heard is not None:
                self._heard(told)
            return
        future, on_delta = self._open.get(number, (None, None))
        if future is None or future.done():
            return
        if kind == "delta" and on_delta is not None:
            on_delta(told)
        elif kind == "reply":
            future.set_result(told)
        elif kind == "failed":
            future.set_exception(ProviderError(**told))
        elif kind == "setup":
            future.set_exception(SetupError(told))
        elif kind == "fault":
            future.set_exception(RuntimeError(told))


def _gone() -> ProviderError:
    return ProviderError(
        "A worker process ended.",
        provider="workers",
        kind="connection",
        hint="Run the same command again, with fewer --workers if memory is short.",
    )
