"""A transport for the SDKs' HTTP clients, httpx and httpx2, over aiohttp.

What those bring by themselves looks at every connection for each request and reads answers in pure Python. aiohttp
finds a free connection at once and reads in C: a fifth less work at 64 streamed conversations. Clients, requests,
responses and errors stay the SDK's own.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import ModuleType
from typing import Any

import aiohttp
from yarl import URL

from openstrawberry.models.providers.connections import Connections, Ended, aborted

_PIECE = 2**16  # bytes of a body that are sent at once, each within the time that writing may take
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


def transport(http: ModuleType) -> Any:
    """A transport of `http`; how many connections there are at once is the caller's concern."""
    certified = cache(http.create_ssl_context)  # slow to make, and not needed on loopback
    connections = Connections()

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

    class Transport(http.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        async def handle_async_request(self, request: Any) -> Any:
            with _told(http, request), aborted():
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
            session = await connections.session()
            seconds = request.extensions.get("timeout", {})
            connect, read = seconds.get("connect"), seconds.get("read")
            while True:
                with suppress(Ended):
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
            await connections.close()

    return Transport()


@contextmanager
def _told(http: ModuleType, request: Any) -> Iterator[None]:
    """aiohttp's errors as those of `http`."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        name = next(name for kind, name in _FAULTS if isinstance(error, kind))
        raise getattr(http, name)(_said(error), request=request) from None  # whose words are not for people


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
