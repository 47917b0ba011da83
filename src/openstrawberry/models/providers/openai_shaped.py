"""Every provider that speaks OpenAI's chat completions: one class, whatever each spells its own way (`dialects.py`).

A conversation is sent as it is, so each request begins with the bytes of the one before, which is what all of these
cache by; vLLM, Groq, DeepSeek and the others without a parameter for it need no more than that. A parameter that the
model refuses by name is dropped, with a warning, and not sent again.
"""

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Any

from openstrawberry.chat import TOP_LOGPROBS, Delta, Message, OnDelta, Reply, Request, Usage
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchApi
from openstrawberry.models.model import no_logprobs
from openstrawberry.models.provider import Opening
from openstrawberry.models.providers import wire
from openstrawberry.models.providers.dialects import DIALECTS, Dialect, effort_fields
from openstrawberry.models.providers.endpoint import Endpoint
from openstrawberry.models.providers.faults import Filtered
from openstrawberry.models.providers.openai_batches import open_batches
from openstrawberry.models.providers.openai_responses import Responses
from openstrawberry.models.providers.refusals import ANY_JSON, OPTIONAL, RENAMED, Refusals
from openstrawberry.models.providers.schema import strict
from openstrawberry.models.providers.think import ThinkSplitter


class OpenAIShapedModel:
    """A model behind chat completions. `underlying` is the model's own name where `name` is only a deployment's."""

    def __init__(self, opening: Opening, endpoint: Endpoint, underlying: str = "") -> None:
        self._spec = opening.spec
        self._provider = opening.provider.name
        self._name = opening.name
        self._underlying = underlying or opening.name
        self._dialect = DIALECTS.get(self._provider, Dialect())
        self._extra = opening.options.extra
        marked = bool(self._dialect.marked) and self._name.startswith(self._dialect.marked)
        self._mark = wire.encoded_object(wire.cache_mark(opening.options.cache_ttl)) if marked else b""
        self._endpoint = endpoint
        self._refusals = Refusals(opening.spec)
        self._responses = Responses(opening, endpoint) if self._dialect.responses else None

    @property
    def spec(self) -> str:
        return self._spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`."""
        if request.thoughts and request.reasoning != "off" and self._responses is not None:
            try:
                return await self._responses.complete(request, on_delta)
            except ProviderError as error:
                if error.kind != "not_found":
                    raise
                self._responses = None  # a server that stands in for OpenAI, or a model that nobody has: asked below
        while True:
            fields = self._refusals.without(self._fields(request, on_delta is not None))
            try:
                return await self._once(wire.body(fields, self._messages(request.messages)), on_delta)
            except Filtered:
                return Reply(content="", finish_reason="filter", model=f"{self._provider}:{self._name}")
            except ProviderError as error:
                if not self._refusals.learns(error, fields):
                    raise

    async def names(self) -> tuple[str, ...]:
        """The models that the provider lists."""
        listed = await self._endpoint.get("/models")
        rows = listed.get("data", []) if isinstance(listed, dict) else listed
        rows = rows if isinstance(rows, list) else []
        return tuple(sorted(str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row))

    def batches(self) -> BatchApi | None:
        """The provider's batch API, where it has one."""
        return open_batches(self._provider, self._name, self, self._endpoint)

    def body(self, request: Request) -> bytes:
        """What is sent for a reply that comes whole."""
        fields = self._refusals.without(self._fields(request, stream=False))
        return wire.body(fields, self._messages(request.messages))

    def reply(self, answer: dict[str, Any]) -> Reply:
        """A reply that came whole, as ours.

        Raises:
            ProviderError: `malformed`, it is not one.
        """
        with self._endpoint.faults.parsing():
            return self._reply(answer)

    def refuses(self, error: ProviderError) -> bool:
        """Whether `error` refuses a parameter that is left out from now on, so that asking again makes sense."""
        return self._refusals.learns(error, dict.fromkeys((*OPTIONAL, *RENAMED)))

    async def close(self) -> None:
        await self._endpoint.close()

    async def _once(self, body: bytes, on_delta: OnDelta | None) -> Reply:
        if on_delta is not None:
            return await self._follow(body, on_delta)
        return self.reply(await self._endpoint.post(body))

    def _fields(self, request: Request, stream: bool) -> dict[str, Any]:
        dialect = self._dialect
        if request.logprobs and not dialect.logprobs:
            raise no_logprobs(self._spec)
        return {
            "model": self._name,
            dialect.max_tokens: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stop": list(request.stop) or None,
            dialect.seed: request.seed,
            dialect.cache_key: request.cache_key or None,
            "response_format": self._schema(request),
            **effort_fields(self._dialect, request, self._name, self._underlying),
            **({"logprobs": True, "top_logprobs": TOP_LOGPROBS} if request.logprobs else {}),
            **({"stream": True} if stream else {}),
            **({"stream_options": {"include_usage": True}} if stream and dialect.usage_in_stream else {}),
            **self._extra,
        }

    def _schema(self, request: Request) -> dict[str, Any] | None:
        if request.response_schema is None:
            return None
        if not self._dialect.schema:
            return ANY_JSON
        exact = strict(request.response_schema)
        named = {"name": "reply", "schema": exact or request.response_schema, "strict": exact is not None}
        return {"type": "json_schema", "json_schema": named}

    def _messages(self, messages: tuple[Message, ...]) -> Iterable[bytes]:
        """Where marks are needed, they stand as in Anthropic's own protocol: on the system prompt and the last turn."""
        if not self._mark:
            return map(self._message, messages)
        system = len(messages) - len(wire.split_system(messages)[1]) - 1
        return [self._message(message, at in (system, len(messages) - 1)) for at, message in enumerate(messages)]

    def _message(self, message: Message, marked: bool = False) -> bytes:
        content = wire.encoded(message.content)
        if marked and message.content:
            content = b'[{"type":"text","text":%b,"cache_control":%b}]' % (content, self._mark)
        head = b'{"role":"%b","content":%b' % (message.role.encode(), content)
        if self._dialect.echo and message.reasoning and message.role == "assistant":
            head += b',"%b":%b' % (self._dialect.echo.encode(), wire.encoded(message.reasoning))
        return head + b"}"

    async def _follow(self, body: bytes, on_delta: OnDelta) -> Reply:
        pieces = _Pieces(ThinkSplitter() if self._dialect.think_tags else ThinkSplitter(done=True))
        async with aclosing(self._endpoint.stream(body)) as events:
            async for event in events:
                with self._endpoint.faults.parsing():
                    deltas = pieces.take(event)
                for delta in deltas:
                    on_delta(delta)
        if not pieces.finish:
            raise self._endpoint.faults.cut()
        for delta in pieces.splitter.end():
            on_delta(delta)
        reason = "refusal" if pieces.refused else pieces.finish
        return self._made(pieces.splitter, reason, pieces.usage, pieces.model, pieces.logprobs or None)

    def _reply(self, answer: dict[str, Any]) -> Reply:
        choice = answer["choices"][0]
        message = choice["message"]
        splitter = ThinkSplitter(done=not self._dialect.think_tags)
        visible, hidden = _texts(message)
        if hidden:
            splitter = ThinkSplitter(done=True, reasoning=[hidden])
        splitter.feed(visible)
        splitter.end()
        reason = "refusal" if message.get("refusal") else choice.get("finish_reason")
        return self._made(splitter, reason, answer.get("usage"), answer.get("model"), _logprobs(choice) or None)

    def _made(
        self, splitter: ThinkSplitter, reason: object, usage: object, model: object, logprobs: list[float] | None
    ) -> Reply:
        return Reply(
            content="".join(splitter.content),
            reasoning="".join(splitter.reasoning),
            finish_reason=wire.finish(reason),
            usage=usage_of(usage),
            model=f"{self._provider}:{model or self._name}",
            logprobs=None if logprobs is None else tuple(logprobs),
        )


class _Pieces:
    """What a stream has said so far."""

    def __init__(self, splitter: ThinkSplitter) -> None:
        self.splitter = splitter
        self.finish = ""
        self.refused = False
        self.usage: object = None
        self.model: object = None
        self.logprobs: list[float] = []

    def take(self, event: dict[str, Any]) -> list[Delta]:
        self.usage = event.get("usage") or (event.get("x_groq") or {}).get("usage") or self.usage
        self.model = event.get("model") or self.model
        if not event.get("choices"):
            return []
        choice = event["choices"][0]
        delta = choice.get("delta") or {}
        visible, hidden = _texts(delta)
        self.finish = choice.get("finish_reason") or self.finish
        self.logprobs += _logprobs(choice)
        self.refused = self.refused or bool(delta.get("refusal"))
        deltas = [Delta(hidden, "reasoning")] if hidden else []
        if hidden:
            self.splitter.reasoning.append(hidden)
            self.splitter.done = True
        return deltas + (self.splitter.feed(visible) if visible else [])


def _logprobs(choice: Mapping[str, Any]) -> list[float]:
    """Of the tokens of a reply or of a piece of it; empty where they, or those of the rivals, are not told."""
    tokens = (choice.get("logprobs") or {}).get("content") or []
    told = ((token["logprob"], token.get("top_logprobs")) for token in tokens)
    return [wire.among(chosen, (each["logprob"] for each in top)) for chosen, top in told if top]


def _texts(message: Mapping[str, Any]) -> tuple[str, str]:
    """The visible text and the reasoning of a message or a delta, whatever the field is called."""
    content = message.get("content") or message.get("refusal") or ""
    hidden = message.get("reasoning_content") or message.get("reasoning") or ""
    if isinstance(content, list):  # Mistral's chunks
        hidden = "".join(_text(part.get("thinking")) for part in content if part.get("type") == "thinking")
        content = "".join(_text(part.get("text")) for part in content if part.get("type") == "text")
    return _text(content), _text(hidden)


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value)
    if not isinstance(value, str | None):
        raise TypeError(f"text is {type(value).__name__}")
    return value or ""


def usage_of(usage: object) -> Usage:
    """OpenAI's counts: prompt tokens include cached ones, completion tokens include reasoning."""
    if not isinstance(usage, dict):
        return Usage()
    before, after = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    cached = wire.count(before.get("cached_tokens"))
    return Usage(
        input=wire.count(usage.get("prompt_tokens")),
        cached_input=cached if cached is not None else wire.count(usage.get("prompt_cache_hit_tokens")),
        cache_write=wire.count(before.get("cache_write_tokens")),
        output=wire.count(usage.get("completion_tokens")),
        reasoning=wire.count(after.get("reasoning_tokens")),
    )


def _details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = usage.get(name)
    return inner if isinstance(inner, dict) else {}
