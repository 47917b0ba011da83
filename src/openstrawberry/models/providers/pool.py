"""How the SDKs' HTTP clients, httpx and httpx2, hold their connections.

Their own pool looks at every connection for each request, several times, and asks the kernel about each idle one: with
64 conversations that costs more than the request itself. Here each connection has a pool of its own, and the one that
was used last is used next, so a request costs the same however many there are.
"""

import socket
import urllib.request
from functools import cache
from types import ModuleType
from typing import Any

from openstrawberry.models.provider import ModelOptions

_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
_MOST = 1024


def pool(http: ModuleType, options: ModelOptions, *hooks: Any) -> dict[str, Any]:
    """Arguments for a client of `http`: timeouts, and connections that are kept open between requests.

    Every response goes to `hooks` and, with its headers alone, to `options.heard`, before its body is read.
    Behind a proxy the client's own pool does the work, since only it knows which addresses go through it.
    """
    timeout = http.Timeout(options.timeout, connect=options.connect_timeout)
    limits = http.Limits(max_connections=_MOST, max_keepalive_connections=_MOST, keepalive_expiry=60.0)

    async def listen(response: Any) -> None:
        if options.heard is not None:
            options.heard(dict(response.headers))

    given: dict[str, Any] = {"timeout": timeout, "event_hooks": {"response": [listen, *hooks]}}
    if urllib.request.getproxies():
        return {**given, "limits": limits}
    return {**given, "transport": _transport(http, limits)}


def _transport(http: ModuleType, limits: Any) -> Any:
    """A transport made of transports with one connection each; how many there are at once is the caller's concern."""
    free: dict[str, list[Any]] = {"http": [], "https": []}
    made: list[Any] = []
    certified = cache(http.create_ssl_context)  # slow to make, and not needed on loopback

    class Borrowed(http.AsyncByteStream):  # type: ignore[misc, name-defined]
        """A body whose end gives the connection back."""

        def __init__(self, stream: Any, transport: Any, home: list[Any]) -> None:
            self._stream = stream
            self._transport = transport
            self._home = home

        def __aiter__(self) -> Any:
            return self._stream.__aiter__()

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                transport, self._transport = self._transport, None
                if transport is not None:
                    self._home.append(transport)

    class Connections(http.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        async def handle_async_request(self, request: Any) -> Any:
            home = free["https" if request.url.scheme == "https" else "http"]
            if not home:
                verify = certified() if home is free["https"] else False
                made.append(http.AsyncHTTPTransport(verify=verify, limits=limits, socket_options=_ALIVE))
                home.append(made[-1])
            transport = home.pop()
            try:
                response = await transport.handle_async_request(request)
            except BaseException:
                home.append(transport)
                raise
            response.stream = Borrowed(response.stream, transport, home)
            return response

        async def aclose(self) -> None:
            for transport in made:
                await transport.aclose()

    return Connections()
