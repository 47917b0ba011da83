"""A worker process: opens a model, and asks it for whoever sits at the other end of a socket.

    python -m openstrawberry.models.worker FILE_DESCRIPTOR

Started by `workers.py` and by nobody else. The first message says how to open the model; then come requests, and
replies, deltas, errors and headers go back. When the socket closes, everything under way is dropped and the process
ends.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openstrawberry.chat import Message, Request
from openstrawberry.errors import ProviderError, StrawberryError
from openstrawberry.models.model import Model
from openstrawberry.models.provider import Opening
from openstrawberry.models.registry import open_with
from openstrawberry.models.workers import Said, frame, read_frame


class Worker:
    """Answers the requests of one parent."""

    def __init__(self, model: Model, writer: asyncio.StreamWriter) -> None:
        self._model = model
        self._writer = writer
        self._said = Said()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, message: tuple[Any, ...]) -> None:
        """A request, or word that nobody waits for one any more."""
        if message[0] == "cancel":
            if task := self._tasks.get(message[1]):
                task.cancel()
            return
        _, number, request, kept, new, stream = message
        messages = (
            *self._said.of(request.cache_key)[:kept],
            *(Message(role=role, content=content, reasoning=reasoning) for role, content, reasoning in new),
        )
        self._said.remember(request.cache_key, messages)
        self._tasks[number] = asyncio.create_task(self._answer(number, request, messages, stream))

    async def close(self) -> None:
        """Drops what is under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._model.close()

    async def _answer(self, number: int, request: Request, messages: tuple[Message, ...], stream: bool) -> None:
        def tell(kind: str, told: object) -> None:
            self._writer.write(frame((kind, number, told)))

        try:
            listen = (lambda delta: tell("delta", delta)) if stream else None
            tell("reply", await self._model.complete(replace(request, messages=messages), listen))
        except ProviderError as error:
            tell("failed", _told(error))
        except StrawberryError as error:
            tell("setup", str(error))
        except Exception as error:  # the process's boundary: whoever waits must hear of it
            tell("fault", f"{type(error).__name__}: {error}")
        finally:
            del self._tasks[number]


def _told(error: ProviderError) -> Mapping[str, Any]:
    said = str(error).removesuffix(error.hint).strip()
    named = {name: getattr(error, name) for name in ("provider", "kind", "status", "hint", "retry_after", "unbilled")}
    return {"message": said, **named}


async def serve(connection: socket.socket) -> None:
    """Answers until the other end is closed."""
    reader, writer = await asyncio.open_connection(sock=connection)
    opening: Opening = await read_frame(reader)

    def heard(headers: Mapping[str, str]) -> None:
        writer.write(frame(("heard", 0, headers)))

    model = open_with(replace(opening, options=replace(opening.options, heard=heard)))
    worker = Worker(model, writer)
    try:
        while True:
            worker.take(await read_frame(reader))
    except EOFError:
        await worker.close()


def main() -> None:
    # Ctrl-C reaches the whole group: the parent decides what it means, and closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
