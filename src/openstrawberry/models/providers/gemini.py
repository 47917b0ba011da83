"""Google's Gemini through google-genai, protocol v1beta; the system prompt travels as `system_instruction`.

Gemini caches what requests begin alike with by itself; `gemini_cache.py` adds a cache for long system prompts.

The SDK's own HTTP client is always replaced by one of ours: with the default one it would pick aiohttp wherever that is
installed, and then retry by itself after a random sleep. It also leaves open a stream that was not read to its end, so
every response is closed here.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types

from openstrawberry.chat import TOP_LOGPROBS, Delta, FinishReason, Message, OnDelta, Reply, Request, Usage
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchApi
from openstrawberry.models.provider import Opening
from openstrawberry.models.providers import wire
from openstrawberry.models.providers.faults import Faults, faults_of
from openstrawberry.models.providers.gemini_cache import GeminiCaches
from openstrawberry.models.providers.http_options import http_options
from openstrawberry.models.providers.refusals import Refusals

BUDGETS = {"off": 0, "low": 1024, "medium": 8192, "high": 24576}
LEVELS = {"off": "LOW", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_CAUGHT = (errors.APIError, errors.UnknownApiResponseError, httpx2.HTTPError, httpx2.StreamError, ValueError,
           AttributeError, KeyError, TypeError)  # fmt: skip


_response: ContextVar[httpx2.Response | None] = ContextVar("the response that is being read", default=None)


def open_gemini(opening: Opening) -> "GeminiModel":
    """A Gemini model, at Google or at a server that speaks its protocol."""
    options = opening.options

    async def reach_in_time(request: httpx2.Request) -> None:
        request.extensions["timeout"]["connect"] = options.connect_timeout  # the SDK knows one timeout for all

    http = httpx2.AsyncClient(**http_options(httpx2, options, _remember), follow_redirects=True)
    http.event_hooks = {**http.event_hooks, "request": [reach_in_time]}
    client = genai.Client(
        vertexai=False,
        api_key=opening.key,
        http_options=types.HttpOptions(
            api_version="v1beta",
            base_url=opening.base_url,
            headers=dict(options.headers),
            timeout=int(options.timeout * 1000),
            httpx_async_client=http,
        ),
    )
    return GeminiModel(opening, client, http, faults_of(opening))


class GeminiModel:
    """One model behind `generateContent` and `streamGenerateContent`."""

    def __init__(self, opening: Opening, client: genai.Client, http: httpx2.AsyncClient, faults: Faults) -> None:
        self._opening = opening
        self._client = client
        self._http = http
        self._faults = faults
        self._caches = GeminiCaches(client, opening.name, _CAUGHT)
        self._refusals = Refusals(opening.spec)

    @property
    def spec(self) -> str:
        return self._opening.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`."""
        system, turns = wire.split_system(request.messages)
        instruction = "\n\n".join(text for text in system if text)
        while True:
            cached = await self._caches.name(instruction)
            fields = self._refusals.without(self._fields(request, instruction, cached))
            if "response_mime_type" not in fields:
                fields.pop("response_json_schema", None)  # it is taken only together with the type
            try:
                return await self._once(fields, turns, on_delta)
            except ProviderError as error:
                if not self._caches.lost(cached, error) and not self._refusals.learns(error, fields):
                    raise

    async def _once(self, fields: dict[str, Any], turns: tuple[Message, ...], on_delta: OnDelta | None) -> Reply:
        pieces = _Pieces()
        async with aclosing(self._answers(fields, turns, on_delta is not None)) as answers:
            async for answer in answers:
                with self._faults.parsing():
                    deltas = pieces.take(answer)
                for delta in deltas if on_delta is not None else ():
                    on_delta(delta)  # type: ignore[misc]
        if not pieces.finish:
            raise self._faults.cut() if on_delta is not None else self._faults.malformed("no candidate in the answer")
        return pieces.reply(self._opening)

    async def names(self) -> tuple[str, ...]:
        """The models that can hold a conversation."""
        try:
            listed = [model async for model in await self._client.aio.models.list()]
        except _CAUGHT as error:
            raise gemini_error(error, self._faults) from error
        able = [model for model in listed if "generateContent" in (model.supported_actions or ["generateContent"])]
        return tuple(sorted((model.name or "").removeprefix("models/") for model in able))

    def batches(self) -> BatchApi:
        """Gemini's batch jobs."""
        from openstrawberry.models.providers.gemini_batches import GeminiBatches

        return GeminiBatches(self, self._client, self._opening.name, self._faults)

    def inlined(self, request: Request) -> types.InlinedRequest:
        """`request` as a batch holds it."""
        system, turns = wire.split_system(request.messages)
        contents: Any = [_content(turn) for turn in turns]
        instruction = "\n\n".join(text for text in system if text)
        config = self._config(self._fields(request, instruction, ""))
        return types.InlinedRequest(contents=contents, config=config, metadata={"key": request.key})

    def reply(self, answer: types.GenerateContentResponse) -> Reply:
        """An answer that came whole, as ours.

        Raises:
            ProviderError: `malformed`, it is not one.
        """
        pieces = _Pieces()
        with self._faults.parsing():
            pieces.take(answer)
        if not pieces.finish:
            raise self._faults.malformed("no candidate in the answer")
        return pieces.reply(self._opening)

    async def close(self) -> None:
        await self._caches.close()
        await self._client.aio.aclose()
        self._client.close()
        await self._http.aclose()

    async def _answers(
        self, fields: dict[str, Any], turns: tuple[Message, ...], stream: bool
    ) -> AsyncGenerator[types.GenerateContentResponse]:
        """The whole answer, or its pieces."""
        contents: Any = [types.Content(role="user", parts=[types.Part(text=" ")])]  # replaced by the ones in `config`
        # The conversation goes in as a ready-made field: the SDK would walk every part of it on each call.
        ready = {"contents": [_content(turn) for turn in turns], **self._opening.options.extra}
        config = self._config(fields, types.HttpOptions(extra_body=ready))
        models, started = self._client.aio.models, False
        _response.set(None)
        try:
            if not stream:
                yield await models.generate_content(model=self._opening.name, contents=contents, config=config)
                return
            stream_of: Any = models.generate_content_stream
            async with aclosing(await stream_of(model=self._opening.name, contents=contents, config=config)) as pieces:
                async for piece in pieces:
                    started = True
                    yield piece
        except _CAUGHT as error:
            raise gemini_error(error, self._faults, started) from error
        finally:
            if (response := _response.get()) is not None:
                await response.aclose()

    def _fields(self, request: Request, instruction: str, cached: str) -> dict[str, Any]:
        """What stands beside the conversation; a cache holds the system prompt, and takes its place."""
        schema = request.response_schema
        return {
            "system_instruction": None if cached else instruction or None,
            "cached_content": cached or None,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_output_tokens": request.max_tokens,
            "stop_sequences": list(request.stop) or None,
            "seed": None if request.seed is None else request.seed % 2**31,
            "response_json_schema": schema,
            "response_mime_type": "application/json" if schema is not None else None,
            "thinking_config": _thinking(self._opening.name, request.reasoning),
            "response_logprobs": request.logprobs or None,
            "logprobs": TOP_LOGPROBS if request.logprobs else None,
        }

    def _config(self, fields: dict[str, Any], http: types.HttpOptions | None = None) -> types.GenerateContentConfig:
        return types.GenerateContentConfig(
            http_options=http,
            automatic_continuation=False,  # it would send, and be billed for, requests that nobody asked for
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            **fields,
        )


class _Pieces:
    """What an answer has said so far."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.finish = ""
        self.usage: types.GenerateContentResponseUsageMetadata | None = None
        self.model = ""
        self.logprobs: list[float] = []

    def take(self, answer: types.GenerateContentResponse) -> list[Delta]:
        self.usage = answer.usage_metadata or self.usage
        self.model = answer.model_version or self.model
        blocked = answer.prompt_feedback.block_reason if answer.prompt_feedback else None
        if not answer.candidates:
            self.finish = "SAFETY" if blocked else self.finish
            return []
        candidate = answer.candidates[0]
        self.logprobs += _logprobs(candidate.logprobs_result)
        reason = candidate.finish_reason
        self.finish = str(getattr(reason, "value", reason)) if reason else self.finish
        return [self._part(part) for part in (candidate.content and candidate.content.parts) or () if part.text]

    def reply(self, opening: Opening) -> Reply:
        usage = self.usage or types.GenerateContentResponseUsageMetadata()
        return Reply(
            content="".join(self.content),
            reasoning="".join(self.reasoning),
            finish_reason=_finish(self.finish),
            usage=Usage(
                input=usage.prompt_token_count,
                cached_input=usage.cached_content_token_count,
                output=wire.total(usage.candidates_token_count, usage.thoughts_token_count),
                reasoning=usage.thoughts_token_count,
            ),
            model=f"{opening.provider.name}:{self.model or opening.name}",
            logprobs=tuple(self.logprobs) or None,
        )

    def _part(self, part: types.Part) -> Delta:
        text = part.text or ""
        (self.reasoning if part.thought else self.content).append(text)
        return Delta(text, "reasoning" if part.thought else "content")


def gemini_error(error: Exception, faults: Faults, started: bool = False) -> ProviderError:
    """Every exception that google-genai lets through, as one of ours."""
    if isinstance(error, errors.APIError):
        answer = _response.get()
        headers = dict(getattr(error.response, "headers", None) or {})
        message = error.message or str(error)
        daily = error.code == 429 and re.search(r"per ?day", str(error.details), re.IGNORECASE)
        code = "insufficient_quota" if daily else ""  # whatever wait it names: a day's allowance is not back in seconds
        message += " (daily allowance)" if daily else ""
        return faults.of_status(
            error.code or 0,
            message,
            code=code,
            headers=headers,
            retry_after=_delay(error.details),
            begun=answer is not None and answer.status_code < 400,  # an error inside a stream
        )
    if isinstance(error, httpx2.TimeoutException):
        return faults.timeout(error)
    if isinstance(error, httpx2.HTTPError | httpx2.StreamError):
        broken = started or isinstance(error, httpx2.StreamError)
        return faults.cut(error) if broken else faults.connection(error)
    return faults.malformed(error)


async def _remember(response: httpx2.Response) -> None:
    """The hook runs in the task of the request, so each remembers its own."""
    _response.set(response)


def _delay(details: object) -> float | None:
    """Seconds of the `RetryInfo` that Google puts into the body."""
    inner = details.get("error", details) if isinstance(details, dict) else {}
    rows = inner.get("details") if isinstance(inner, dict) else None
    for row in rows if isinstance(rows, list) else ():
        found = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(row.get("retryDelay", ""))) if isinstance(row, dict) else None
        if found:
            return float(found[1])
    return None


def _content(turn: Message) -> dict[str, Any]:
    return {"role": "model" if turn.role == "assistant" else "user", "parts": [{"text": turn.content}]}


def _thinking(name: str, effort: str | None) -> types.ThinkingConfig | None:
    """Budgets for the 2.5 generation, levels for the later ones; thoughts are asked for where a model has them."""
    if effort is None:
        return types.ThinkingConfig(include_thoughts=True) if re.search(r"gemini-(2\.5|[3-9])", name) else None
    thoughts = effort != "off"
    if "gemini-2.5" in name:
        return types.ThinkingConfig(include_thoughts=thoughts, thinking_budget=BUDGETS.get(effort, -1))
    level = types.ThinkingLevel(LEVELS.get(effort, "HIGH"))
    return types.ThinkingConfig(include_thoughts=thoughts, thinking_level=level)


def _logprobs(told: types.LogprobsResult | None) -> list[float]:
    chosen, tops = (told.chosen_candidates or [], told.top_candidates or []) if told else ([], [])
    return [
        wire.among(token.log_probability or 0.0, [each.log_probability or 0.0 for each in top.candidates or []])
        for token, top in zip(chosen, tops, strict=True)
    ]


def _finish(reason: str) -> FinishReason:
    return wire.finish(reason.removeprefix("IMAGE_"))
