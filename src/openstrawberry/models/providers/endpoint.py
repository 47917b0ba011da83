"""One call through the SDKs of openai, anthropic and groq, which come from one generator and share their shape.

Requests go through the SDK's own lower-level `post`: the same keys, connection pool and errors as its typed methods,
but without walking every message of the conversation on each call (a quarter of the time at 20 turns). Whatever goes
wrong leaves here as a `ProviderError`; the SDK itself never retries.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import ModuleType
from typing import Any

from openstrawberry.errors import ProviderError
from openstrawberry.models.providers.faults import Faults, error_fields


class Endpoint:
    """A path of a provider, behind `client` of the module `sdk`, which is built on the module `http`."""

    def __init__(self, client: Any, sdk: ModuleType, http: ModuleType, path: str, faults: Faults) -> None:
        self.faults = faults
        self._client = client
        self._sdk = sdk
        self._path = path
        self._caught: tuple[type[Exception], ...] = (sdk.APIError, http.HTTPError, http.StreamError, ValueError)
        self._timeouts = (sdk.APITimeoutError, http.TimeoutException)
        self._transport = (sdk.APIConnectionError, http.HTTPError, http.StreamError)

    async def post(self, body: bytes) -> dict[str, Any]:
        """Send `body`, return the JSON object that comes back."""
        try:
            answer = await self._client.post(self._path, cast_to=object, content=body)
        except self._caught as error:
            raise self.error(error) from error
        return self._object(answer)

    async def stream(self, body: bytes) -> AsyncGenerator[dict[str, Any]]:
        """Send `body`, yield the JSON object of each event."""
        started, empty = False, True
        try:
            stream = await self._client.post(
                self._path, cast_to=object, content=body, stream=True, stream_cls=self._sdk.AsyncStream[object]
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
            answer: object = await self._client.get(path, cast_to=object)
        except self._caught as error:
            raise self.error(error) from error
        return answer

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
