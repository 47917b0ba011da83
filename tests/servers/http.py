"""A small HTTP/1.1 server on loopback for tests: it records every request and answers what a handler says.

Standard library only, and fast enough to stand in for a provider in a benchmark. Faults are part of an answer: the
connection can be reset before the headers, cut in the middle of the body, or left hanging.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

PHRASES = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: `body` at once, or `chunks` streamed, each after `pause` seconds and once `release` lets it go.

    `fault`: `reset` drops the connection before the headers, `cut` drops it after the last chunk without an end, `hang`
    never answers, `stall` never ends.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: tuple[bytes, ...] | None = None
    pause: float = 0.0
    release: Callable[[], Awaitable[object]] | None = None
    latency: float = 0.0
    fault: Literal["", "reset", "cut", "hang", "stall"] = ""

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> "Answer":
        """A JSON body; header names are written with `_` for `-`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, {"content-type": "application/json", **named}, json.dumps(value).encode())

    @classmethod
    def events(cls, events: Iterable[str], content_type: str = "text/event-stream", **options: Any) -> "Answer":
        """A stream of ready-made pieces of text."""
        chunks = tuple(event.encode() for event in events)
        return cls(headers={"content-type": content_type}, chunks=chunks, **options)


Handler = Callable[[Received], Answer | Awaitable[Answer]]


class Server:
    """`async with Server(handler) as server:` listens on a free port at `server.url`.

    `requests` holds what came in, unless `keep` is off, and `connected` counts connections.
    """

    def __init__(self, handler: Handler, port: int = 0, keep: bool = True) -> None:
        self._handler = handler
        self._port = port
        self._keep = keep
        self._connections: set[asyncio.Task[None]] = set()
        self.requests: list[Received] = []
        self.connected = 0

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, backlog=1024)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.connected += 1
        try:
            while received := await _read(reader):
                if self._keep:
                    self.requests.append(received)
                answer = self._handler(received)
                if not isinstance(answer, Answer):
                    answer = await answer
                if not await _write(answer, writer):
                    break
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, path, headers, body)


async def _write(answer: Answer, writer: asyncio.StreamWriter) -> bool:
    """Send `answer`; whether the connection stays open."""
    if answer.latency:
        await asyncio.sleep(answer.latency)
    if answer.fault == "hang":
        await asyncio.Event().wait()
    if answer.fault == "reset":
        writer.transport.abort()
        return False
    body = answer.body
    length = "transfer-encoding: chunked" if answer.chunks is not None else f"content-length: {len(body)}"
    fields = [f"{name}: {value}" for name, value in answer.headers.items()]
    phrase = PHRASES.get(answer.status, "Status")
    head = "\r\n".join([f"HTTP/1.1 {answer.status} {phrase}", *fields, length, "", ""])
    writer.write(head.encode("latin-1") + body)
    for chunk in answer.chunks or ():
        if answer.pause:
            await asyncio.sleep(answer.pause)
        if answer.release is not None:
            await answer.release()
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await writer.drain()
    if answer.fault == "stall":
        await asyncio.Event().wait()
    if answer.fault == "cut":
        await writer.drain()
        writer.close()
        return False
    if answer.chunks is not None:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True
