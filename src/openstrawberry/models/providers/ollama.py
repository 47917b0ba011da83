"""Ollama through its own SDK and protocol, so that thinking, `keep_alive` and `num_ctx` work.

With `OLLAMA_OPENAI_BASE_URL` set, the same spec speaks OpenAI's protocol to that address instead. A conversation that
has outgrown `num_ctx` is cut by the server without a word: where the counts show it, the reply says `length`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import httpx
import ollama
from pydantic import ValidationError

from openstrawberry.chat import TOP_LOGPROBS, Delta, OnDelta, Reply, Request, Usage
from openstrawberry.errors import ProviderError
from openstrawberry.models.model import Model
from openstrawberry.models.provider import Opening
from openstrawberry.models.providers import wire
from openstrawberry.models.providers.faults import Faults, faults_of
from openstrawberry.models.providers.http_options import http_options
from openstrawberry.models.providers.refusals import Refusals
from openstrawberry.models.providers.think import ThinkSplitter

_CAUGHT = (ollama.ResponseError, ollama.RequestError, ConnectionError, httpx.HTTPError, httpx.StreamError,
           ValidationError, ValueError, TypeError, AttributeError)  # fmt: skip
_headers: ContextVar[dict[str, str] | None] = ContextVar("headers of the last error", default=None)


def open_ollama(opening: Opening) -> Model:
    """A model that Ollama serves."""
    openai_url = opening.variables.get("OLLAMA_OPENAI_BASE_URL", "")
    if openai_url and not opening.options.base_url:
        from openstrawberry.models.providers.openai_sdk import open_openai

        return open_openai(replace(opening, base_url=openai_url, url_variable="OLLAMA_OPENAI_BASE_URL"))
    options = opening.options
    authorization = {"Authorization": f"Bearer {opening.key}"} if opening.key else {}
    client = ollama.AsyncClient(
        host=opening.base_url,
        headers={**authorization, **options.headers},
        **http_options(httpx, options, _remember_headers),
    )
    pull = f"Run `ollama pull {opening.name}`, or check the name in --model."
    return OllamaModel(opening, client, faults_of(opening, {"not_found": pull}))


class OllamaModel:
    """One model behind `/api/chat`."""

    def __init__(self, opening: Opening, client: ollama.AsyncClient, faults: Faults) -> None:
        self._opening = opening
        self._client = client
        self._faults = faults
        self._refusals = Refusals(opening.spec)

    @property
    def spec(self) -> str:
        return self._opening.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`."""
        while True:
            arguments = self._refusals.without(self._arguments(request))
            try:
                return await self._once(arguments, on_delta)
            except ProviderError as error:
                if not self._refusals.learns(error, arguments):
                    raise

    async def _once(self, arguments: dict[str, Any], on_delta: OnDelta | None) -> Reply:
        splitter, last = ThinkSplitter(), None
        logprobs: list[float] = []
        async with aclosing(self._parts(arguments, on_delta is not None)) as parts:
            async for part in parts:
                with self._faults.parsing():
                    deltas = _deltas(part, splitter)
                    logprobs += _logprobs(part)
                last = part if part.done else last
                if on_delta is not None:
                    for delta in deltas:
                        on_delta(delta)
        if last is None:
            raise self._faults.cut() if on_delta is not None else self._faults.malformed("no finished message")
        for delta in splitter.end():
            if on_delta is not None:
                on_delta(delta)
        return self._reply(splitter, last, tuple(logprobs) or None)

    async def names(self) -> tuple[str, ...]:
        """The models that have been pulled."""
        try:
            listed = await self._client.list()
        except _CAUGHT as error:
            raise ollama_error(error, self._faults) from error
        return tuple(sorted(model.model for model in listed.models if model.model))

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def _parts(self, arguments: dict[str, Any], stream: bool) -> AsyncGenerator[ollama.ChatResponse]:
        """The whole answer, or its pieces."""
        started = False
        _headers.set(None)
        try:
            chat: Any = self._client.chat  # its overloads know no `stream: bool`
            answer = await chat(stream=stream, **arguments)
            if isinstance(answer, ollama.ChatResponse):
                yield answer
                return
            async with aclosing(answer) as parts:
                async for part in parts:
                    started = True
                    yield part
        except _CAUGHT as error:
            raise ollama_error(error, self._faults, started) from error

    def _arguments(self, request: Request) -> dict[str, Any]:
        options = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "stop": list(request.stop) or None,
            "num_predict": request.max_tokens,
            "num_ctx": self._opening.options.num_ctx,
            **self._opening.options.extra,
        }
        return {
            "model": self._opening.name,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            "think": self._think(request),
            "format": request.response_schema,
            "options": {name: value for name, value in options.items() if value is not None},
            "keep_alive": self._opening.options.keep_alive,
            **({"logprobs": True, "top_logprobs": TOP_LOGPROBS} if request.logprobs else {}),
        }

    def _think(self, request: Request) -> bool | str | None:
        effort = request.reasoning
        if effort is None:
            return True if request.thoughts else None
        if "gpt-oss" in self._opening.name:  # the one family with levels, which cannot be switched off
            return "low" if effort == "off" else effort
        return effort != "off"

    def _reply(self, splitter: ThinkSplitter, last: ollama.ChatResponse, logprobs: tuple[float, ...] | None) -> Reply:
        read, written, window = last.prompt_eval_count, last.eval_count, self._opening.options.num_ctx
        full = window is not None and (read or 0) + (written or 0) >= window
        return Reply(
            content="".join(splitter.content),
            reasoning="".join(splitter.reasoning),
            finish_reason="length" if full else wire.finish(last.done_reason),
            usage=Usage(input=read, output=written),
            model=f"{self._opening.provider.name}:{last.model or self._opening.name}",
            logprobs=logprobs,
        )


def ollama_error(error: Exception, faults: Faults, started: bool = False) -> ProviderError:
    """Every exception that the Ollama SDK lets through, as one of ours."""
    if isinstance(error, ollama.ResponseError):
        status = max(error.status_code, 0)
        return faults.of_status(status, str(error.error), headers=_headers.get())
    if isinstance(error, httpx.TimeoutException):
        return faults.timeout(error)
    if isinstance(error, ConnectionError | httpx.HTTPError | httpx.StreamError):
        return faults.cut(error) if started else faults.connection(error)
    status = int((_headers.get() or {}).get(":status", "0"))
    return faults.of_status(status, "its error has no JSON object") if status else faults.malformed(error)


async def _remember_headers(response: httpx.Response) -> None:
    """The SDK drops the response on errors; the hook runs in the task of the request, so each keeps its own."""
    if response.status_code >= 400:
        _headers.set({**response.headers, ":status": str(response.status_code)})


def _deltas(part: ollama.ChatResponse, splitter: ThinkSplitter) -> list[Delta]:
    thought, text = part.message.thinking or "", part.message.content or ""
    if thought:
        splitter.reasoning.append(thought)
        splitter.done = True
    return ([Delta(thought, "reasoning")] if thought else []) + (splitter.feed(text) if text else [])


def _logprobs(part: ollama.ChatResponse) -> list[float]:
    told = [token for token in part.logprobs or () if token.top_logprobs]
    return [wire.among(token.logprob, (top.logprob for top in token.top_logprobs or ())) for token in told]
