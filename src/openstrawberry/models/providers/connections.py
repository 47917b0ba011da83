"""The connections of one client, kept open between requests: a session of aiohttp."""

import asyncio
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import aiohttp

IDLE = 60.0  # seconds that a connection without a request is kept
_LONGEST = 2**18  # bytes of a header: an answer that was paid for is not lost to one

_kept: WeakSet[Any] = WeakSet()  # of aiohttp's protocols, one a connection: those that have sent a request
_sending: ContextVar[asyncio.Transport | None] = ContextVar("the connection of the request under way", default=None)


class Connections:
    """As many as there are requests at once, which is the caller's concern; they belong to one event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def session(self) -> aiohttp.ClientSession:
        """That of the loop that is running."""
        if self._session is None or self._loop is not asyncio.get_running_loop():
            await self.close()
            self._loop = asyncio.get_running_loop()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE, socket_factory=_alive),
                cookie_jar=aiohttp.DummyCookieJar(),  # cookies are the client's
                auto_decompress=False,
                request_class=_Request,
                max_line_size=_LONGEST,
                max_field_size=_LONGEST,
                max_headers=_LONGEST,
            )
        return self._session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(RuntimeError):  # the loop that it belonged to is closed
                await session.close()


@contextmanager
def aborted() -> Iterator[None]:
    """Around a request: when it fails or is given up, its connection goes with whatever it still had to send."""
    _sending.set(None)
    try:
        yield
    except BaseException:
        if (connection := _sending.get()) is not None:
            connection.abort()
        raise


class Ended(aiohttp.ClientConnectionError):
    """The server has closed the connection that was kept; nothing was sent."""


class _Request(aiohttp.ClientRequest):
    """Looks at a kept connection first: its end may have come while the loop did not run.

    And says which one it leaves by: a connection that is given up with data in it must be aborted, for closing waits.
    """

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        if conn.protocol in _kept and _readable(conn.transport.get_extra_info("socket").fileno()):
            raise Ended
        _kept.add(conn.protocol)
        _sending.set(conn.transport)
        return await super().send(conn)


def _readable(descriptor: int) -> bool:
    if descriptor < 0 or not hasattr(select, "poll"):
        return descriptor < 0 or bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _alive(address: tuple[Any, ...]) -> socket.socket:
    """A socket whose other end is asked now and then whether it is still there."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made
