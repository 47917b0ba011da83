"""How the SDKs' HTTP clients, httpx and httpx2, reach the network: over aiohttp.

What those bring by themselves looks at every connection for each request and reads answers in pure Python. aiohttp
finds a free connection at once and reads in C: a fifth less work at 64 streamed conversations. Clients, requests,
responses and errors stay the SDK's own.
"""

import asyncio
import errno
import os
import select
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import Any
from weakref import WeakSet

import aiohttp
from yarl import URL

from openstrawberry.models.provider import ModelOptions

_IDLE = 60.0  # seconds that a connection without a request is kept
_MOST = 1024
_PIECE = 2**16  # bytes of a body that are sent at once, each within the time that writing may take
_LONGEST = 2**18  # bytes of a header: an answer that was paid for is not lost to one
_FAULTS = (
    (aiohttp.InvalidURL, "UnsupportedProtocol"),
    (aiohttp.NonHttpUrlClientError, "UnsupportedProtocol"),
    (aiohttp.ConnectionTimeoutError, "ConnectTimeout"),
    (aiohttp.ServerTimeoutError, "ReadTimeout"),
    (aiohttp.ClientConnectorError, "ConnectError"),
    (aiohttp.ClientOSError, "ReadError"),
    (aiohttp.ClientError, "RemoteProtocolError"),
    (TimeoutError, "WriteTimeout"),
)  # the first that fits; only those called Connect… say that nothing was sent


_kept: WeakSet[Any] = WeakSet()  # of aiohttp's protocols, one a connection: those that have sent a request
_sending: ContextVar[asyncio.Transport | None] = ContextVar("the connection of the request under way", default=None)


def pool(http: ModuleType, options: ModelOptions, *hooks: Any) -> dict[str, Any]:
    """Arguments for a client of `http`: timeouts, and connections that are kept open between requests.

    Every response goes to `hooks` and, with its headers alone, to `options.heard`, before its body is read.
    Behind a proxy the client's own pool does the work, since only it knows which addresses go through it.
    """
    timeout = http.Timeout(options.timeout, connect=options.connect_timeout)

    async def listen(response: Any) -> None:
        if options.heard is not None:
            options.heard(dict(response.headers))

    given: dict[str, Any] = {"timeout": timeout, "event_hooks": {"response": [listen, *hooks]}}
    if urllib.request.getproxies():
        limits = http.Limits(max_connections=_MOST, max_keepalive_connections=_MOST, keepalive_expiry=_IDLE)
        return {**given, "limits": limits}
    return {**given, "transport": _transport(http)}


def _transport(http: ModuleType) -> Any:
    """A transport of `http`; how many connections there are at once is the caller's concern."""
    certified = cache(http.create_ssl_context)  # slow to make, and not needed on loopback
    sessions = _Sessions()

    class Body(http.AsyncByteStream):  # type: ignore[misc, name-defined]
        def __init__(self, answer: aiohttp.ClientResponse, request: Any) -> None:
            self._answer = answer
            self._request = request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            with _told(http, self._request):
                async for piece in self._answer.content.iter_any():
                    yield piece

        async def aclose(self) -> None:
            self._answer.release()  # gives the connection back, or closes it where the body was not read to its end

    class Connections(http.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        async def handle_async_request(self, request: Any) -> Any:
            _sending.set(None)
            with _told(http, request), _aborted():
                answer = await self._answer(request)
            version = "HTTP/{}.{}".format(*(answer.version or (1, 1)))
            return http.Response(
                answer.status,
                headers=answer.raw_headers,
                stream=Body(answer, request),
                extensions={
                    "http_version": version.encode(),
                    "reason_phrase": (answer.reason or "").encode("ascii", "replace"),
                },
            )

        async def _answer(self, request: Any) -> aiohttp.ClientResponse:
            session = await sessions.current()
            seconds = request.extensions.get("timeout", {})
            connect, read = seconds.get("connect"), seconds.get("read")
            while True:
                with suppress(_Ended):
                    async with asyncio.timeout(None) as writing:
                        return await session.request(
                            request.method,
                            URL(str(request.url), encoded=True),
                            headers=[each for each in request.headers.multi_items() if each[0] != "transfer-encoding"],
                            data=_body(http, request, writing, seconds.get("write")),
                            allow_redirects=False,
                            timeout=aiohttp.ClientTimeout(connect=connect, sock_connect=connect, sock_read=read),
                            ssl=certified() if request.url.scheme == "https" else False,
                        )

        async def aclose(self) -> None:
            await sessions.close()

    return Connections()


class _Ended(aiohttp.ClientConnectionError):
    """The server has closed the connection that was kept; nothing was sent."""


class _Request(aiohttp.ClientRequest):
    """Looks at a kept connection first: its end may have come while the loop did not run.

    And says which one it leaves by: a connection that is given up with data in it must be aborted, for closing waits.
    """

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        if conn.protocol in _kept and _readable(conn.transport.get_extra_info("socket").fileno()):
            raise _Ended
        _kept.add(conn.protocol)
        _sending.set(conn.transport)
        return await super().send(conn)


def _readable(descriptor: int) -> bool:
    if descriptor < 0 or not hasattr(select, "poll"):
        return descriptor < 0 or bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class _Sessions:
    """aiohttp's session, which belongs to one event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def current(self) -> aiohttp.ClientSession:
        """That of the loop that is running."""
        if self._session is None or self._loop is not asyncio.get_running_loop():
            await self.close()
            self._loop = asyncio.get_running_loop()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE, socket_factory=_alive),
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
def _told(http: ModuleType, request: Any) -> Iterator[None]:
    """aiohttp's errors as those of `http`."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        name = next(name for kind, name in _FAULTS if isinstance(error, kind))
        raise getattr(http, name)(_said(error), request=request) from None  # whose words are not for people


@contextmanager
def _aborted() -> Iterator[None]:
    try:
        yield
    except BaseException:
        if (connection := _sending.get()) is not None:
            connection.abort()
        raise


def _said(error: Exception) -> str:
    """What went wrong, without aiohttp's account of where."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.message.partition("\n")[0].rstrip(":")
    if isinstance(error, aiohttp.ClientSSLError):
        return error.strerror or str(error)
    if isinstance(error, aiohttp.ClientOSError):
        unknown = error.strerror if isinstance(error, aiohttp.ClientConnectorError) else ""  # such as a name
        number = error.errno or 0
        if number in (errno.EMFILE, errno.ENFILE):
            return "no more files can be opened; lower --concurrency, or raise the limit with `ulimit -n`"
        return os.strerror(number) if number > 0 else unknown or "the connection was lost"
    return str(error) or ("nothing could be sent" if type(error) is TimeoutError else type(error).__name__)


def _body(http: ModuleType, request: Any, writing: asyncio.Timeout, seconds: float | None) -> Any:
    """What is to be sent; `writing` runs out where one piece of it takes longer than `seconds`."""
    try:
        content: bytes = request.content
    except http.RequestNotRead:
        return _slowly(request.stream, writing, seconds)
    if len(content) <= _PIECE:
        return content or None
    return _slowly(_pieces(content), writing, seconds)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


async def _slowly(
    pieces: AsyncIterator[bytes], writing: asyncio.Timeout, seconds: float | None
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    with suppress(RuntimeError):  # it was answered before all was sent, and nobody waits for the rest
        async for piece in pieces:
            writing.reschedule(None if seconds is None else loop.time() + seconds)
            yield piece
        writing.reschedule(None)


def _alive(address: tuple[Any, ...]) -> socket.socket:
    """A socket whose other end is asked now and then whether it is still there."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made
