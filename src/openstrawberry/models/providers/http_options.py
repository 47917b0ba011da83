"""How the SDKs' HTTP clients, httpx and httpx2, are set up: how long they wait, and who hears of their answers."""

import urllib.request
from types import ModuleType
from typing import Any

from openstrawberry.models.provider import ModelOptions
from openstrawberry.models.providers.connections import IDLE
from openstrawberry.models.providers.transport import transport

_MOST = 1024


def http_options(http: ModuleType, options: ModelOptions, *hooks: Any) -> dict[str, Any]:
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
        limits = http.Limits(max_connections=_MOST, max_keepalive_connections=_MOST, keepalive_expiry=IDLE)
        return {**given, "limits": limits}
    return {**given, "transport": transport(http)}
