"""One call through the SDKs of openai, anthropic and groq, which come from one generator and share their shape.

Requests go through the SDK's own lower-level `post`: the same keys, connection pool and errors as its typed methods,
but without walking every message of the conversation on each call (a quarter of the time at 20 turns). Whatever goes
wrong leaves here as a `ProviderError`; the SDK itself never retries.
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import ModuleType
from typing import Any

from openstrawberry.errors import ProviderError
from openstrawberry.models.providers.faults import Faults, error_fields


class Endpoint:
    """A path of a provider, behind `client` of the module `sdk`, which is built on the module `http`.

    `prefix` stands before every path, for an SDK whose base URL is the bare host.
    """

    def __init__(
        self, client: Any, sdk: ModuleType, http: ModuleType, path: str, faults: Faults, prefix: str = ""
    ) -> None:
        self.faults = faults
        self._client = client
        self._sdk = sdk
        self._path = prefix + path
        self._prefix = prefix
        self._caught: tuple[type[Exception], ...] = (sdk.APIError, http.HTTPError, http.StreamError, ValueError)
        self._timeouts = (sdk.APITimeoutError, http.TimeoutException)
        self._transport = (sdk.APIConnectionError, http.HTTPError, http.StreamError)

    async def post(self, body: bytes, path: str = "") -> dict[str, Any]:
        """Send `body`, to another path if one is given; the JSON object that comes back."""
        to = self._prefix + path if path else self._path
        try:
            answer = await self._client.post(to, cast_to=object, content=body)
        except self._caught as error:
            raise self.error(error) from error
        return self._object(answer)

    async def stream(self, body: bytes, path: str = "") -> AsyncGenerator[dict[str, Any]]:
        """Send `body`, to another path if one is given; yield the JSON object of each event."""
        started, empty = False, True
        try:
            stream = await self._client.post(
                self._prefix + path if path else self._path,
                cast_to=object,
                content=body,
                stream=True,
                stream_cls=self._sdk.AsyncStream[object],
            )
            started = True
            async with aclosing(stream.__aiter__()) as events:
                async for event in events:
                    empty = False
                    yield self._object(event)
        except self._caught as error:
            raise self.error(error, started) from error
        finally:
            if started:
                await stream.close()
        if empty:
            raise self.faults.malformed("a stream without an event")

    async def get(self, path: str) -> object:
        """The JSON at `path`."""
        try:
            answer: object = await self._client.get(self._prefix + path, cast_to=object)
        except self._caught as error:
            raise self.error(error) from error
        return answer

    async def upload(self, name: str, content: bytes) -> tuple[str, str]:
        """Store a file for batches; its id and status."""
        try:
            stored = await self._client.files.create(file=(name, content), purpose="batch")
        except self._caught as error:
            raise self.error(error) from error
        return str(stored.id), str(stored.status)

    async def rows(self, download: Callable[[Any], Any]) -> AsyncGenerator[dict[str, Any]]:
        """The JSON objects, one a line, of what `download` opens with the SDK's client, read as they come."""
        started = False
        try:
            async with download(self._client) as answer:
                async for line in answer.iter_lines():
                    started = True
                    if line.strip():
                        yield json.loads(line)
        except self._caught as error:
            raise self.error(error, started) from error

    async def close(self) -> None:
        await self._client.close()

    def error(self, error: Exception, started: bool = False) -> ProviderError:
        """Every exception that the SDK lets through, as one of ours."""
        if isinstance(error, self._sdk.APIStatusError):
            code, message = error_fields(error.body)
            headers = dict(error.response.headers)
            return self.faults.of_status(error.status_code, message or str(error), code=code, headers=headers)
        if isinstance(error, self._timeouts):
            return self.faults.timeout(error)
        if isinstance(error, self._transport):
            return self.faults.cut(error) if started else self.faults.connection(error)
        if isinstance(error, self._sdk.APIError):
            code, message = error_fields(error.body)
            return self.faults.of_status(0, message or str(error), code=code)
        return self.faults.malformed(error)

    def _object(self, answer: object) -> dict[str, Any]:
        if not isinstance(answer, dict):
            raise self.faults.malformed(f"{type(answer).__name__} where a JSON object was due")
        if answer.get("error"):
            code, message = error_fields(answer)
            raise self.faults.of_status(0, message, code=code)
        return answer
