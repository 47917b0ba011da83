"""Anthropic's messages, through the official SDK.

A conversation is marked for the prompt cache in exactly two places: on the system block, which all traces of a run
share, and on the last message, so that each turn reads what the turn before wrote.
"""

import re
from contextlib import aclosing
from typing import Any

import anthropic
import httpx2

from openstrawberry.chat import Delta, Message, OnDelta, Reply, Request, Usage
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchApi
from openstrawberry.models.model import no_logprobs
from openstrawberry.models.provider import Opening
from openstrawberry.models.providers import wire
from openstrawberry.models.providers.anthropic_batches import AnthropicBatches
from openstrawberry.models.providers.endpoint import Endpoint
from openstrawberry.models.providers.faults import faults_of
from openstrawberry.models.providers.http_options import http_options
from openstrawberry.models.providers.refusals import OPTIONAL, Refusals
from openstrawberry.models.providers.schema import strict

BUDGETS = {"low": 2048, "medium": 8192, "high": 24576}
_BUDGETED = re.compile(r"claude-3-7|-4(-[015](-|$)|-20\d{6}|$)")  # later generations are asked for an effort
_EMPTY = "(nothing)"  # the protocol has no empty message


def open_anthropic(opening: Opening) -> "AnthropicModel":
    """A model at Anthropic, or at a server that speaks its protocol; `base_url` has no `/v1`."""
    options = opening.options
    client = anthropic.AsyncAnthropic(
        api_key=opening.key,
        base_url=opening.base_url.rstrip("/").removesuffix("/v1"),
        max_retries=0,
        default_headers=options.headers,
        http_client=anthropic.DefaultAsyncHttpxClient(**http_options(httpx2, options)),
    )
    return AnthropicModel(opening, Endpoint(client, anthropic, httpx2, "/v1/messages", faults_of(opening)))


class AnthropicModel:
    """One model behind `/v1/messages`."""

    def __init__(self, opening: Opening, endpoint: Endpoint) -> None:
        self._opening = opening
        self._endpoint = endpoint
        self._refusals = Refusals(opening.spec)
        self._mark = wire.cache_mark(opening.options.cache_ttl)

    @property
    def spec(self) -> str:
        return self._opening.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`."""
        system, turns = wire.split_system(request.messages)
        while True:
            fields = self._refusals.without(self._fields(request, system, on_delta is not None))
            try:
                return await self._once(wire.body(fields, self._messages(turns)), on_delta)
            except ProviderError as error:
                if not self._refusals.learns(error, fields):
                    raise

    async def names(self) -> tuple[str, ...]:
        """The models that the provider lists."""
        listed = await self._endpoint.get("/v1/models?limit=1000")
        rows = listed.get("data", []) if isinstance(listed, dict) else []
        return tuple(sorted(str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row))

    def batches(self) -> BatchApi:
        """Anthropic's message batches."""
        return AnthropicBatches(self, self._endpoint)

    def body(self, request: Request) -> bytes:
        """What is sent for a reply that comes whole."""
        system, turns = wire.split_system(request.messages)
        fields = self._refusals.without(self._fields(request, system, stream=False))
        return wire.body(fields, self._messages(turns))

    def reply(self, answer: dict[str, Any]) -> Reply:
        """A reply that came whole, as ours.

        Raises:
            ProviderError: `malformed`, it is not one.
        """
        pieces = _Pieces()
        with self._endpoint.faults.parsing():
            pieces.whole(answer)
        return pieces.reply(self._opening)

    def refuses(self, error: ProviderError) -> bool:
        """Whether `error` refuses a parameter that is left out from now on, so that asking again makes sense."""
        return self._refusals.learns(error, dict.fromkeys(OPTIONAL))

    async def close(self) -> None:
        await self._endpoint.close()

    async def _once(self, body: bytes, on_delta: OnDelta | None) -> Reply:
        if on_delta is None:
            return self.reply(await self._endpoint.post(body))
        pieces = _Pieces()
        await self._follow(body, pieces, on_delta)
        return pieces.reply(self._opening)

    async def _follow(self, body: bytes, pieces: "_Pieces", on_delta: OnDelta) -> None:
        async with aclosing(self._endpoint.stream(body)) as events:
            async for event in events:
                with self._endpoint.faults.parsing():
                    delta = pieces.take(event)
                if delta is not None:
                    on_delta(delta)
        if not pieces.finish:
            raise self._endpoint.faults.cut()

    def _fields(self, request: Request, system: list[str], stream: bool) -> dict[str, Any]:
        if request.logprobs:
            raise no_logprobs(self.spec)
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in system if text]
        if blocks:
            blocks[-1]["cache_control"] = self._mark
        thinking, effort = self._thinking(request)
        thinks = thinking is not None and thinking["type"] != "disabled"
        output = {**effort, **self._format(request)}
        return {
            "model": self._opening.name,
            "max_tokens": request.max_tokens,
            "system": blocks or None,
            "temperature": None if thinks else request.temperature,
            "top_p": None if thinks else request.top_p,
            "stop_sequences": list(request.stop) or None,
            "thinking": thinking,
            "output_config": output or None,
            "stream": True if stream else None,
            **self._opening.options.extra,
        }

    def _thinking(self, request: Request) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """The `thinking` field and what belongs into `output_config`, in the model's generation's way of asking."""
        effort = request.reasoning
        if effort is None and not request.thoughts:
            return None, {}
        if effort == "off":
            return {"type": "disabled"}, {}
        if not _BUDGETED.search(self._opening.name):
            return {"type": "adaptive", "display": "summarized"}, {"effort": effort} if effort else {}
        budget = min(BUDGETS.get(effort or "", BUDGETS["medium"]), request.max_tokens * 3 // 4)
        return ({"type": "enabled", "budget_tokens": budget} if budget >= 1024 else None), {}

    def _format(self, request: Request) -> dict[str, Any]:
        schema = strict(request.response_schema) if request.response_schema is not None else None
        return {"format": {"type": "json_schema", "schema": schema}} if schema is not None else {}

    def _messages(self, turns: tuple[Message, ...]) -> list[bytes]:
        encoded = [_message(turn) for turn in turns[:-1]]
        mark = b',"cache_control":' + wire.encoded_object(self._mark)
        return [*encoded, *(_message(turn, mark) for turn in turns[-1:])]


class _Pieces:
    """What a reply has said so far, whole or streamed."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.usage: dict[str, Any] = {}
        self.model = ""
        self.finish = ""

    def whole(self, answer: dict[str, Any]) -> None:
        """Take a reply that came at once."""
        for block in answer["content"]:
            self._block(block)
        self.usage = dict(answer.get("usage") or {})
        self.model = answer.get("model") or ""
        self.finish = answer.get("stop_reason") or "unknown"

    def take(self, event: dict[str, Any]) -> Delta | None:
        """Take one event of a stream; what it adds to the text."""
        match event.get("type"):
            case "message_start":
                self.usage = dict(event["message"].get("usage") or {})
                self.model = event["message"].get("model") or ""
            case "content_block_start":
                return self._block(event["content_block"])
            case "content_block_delta":
                return self._block(event["delta"])
            case "message_delta":
                self.usage |= {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
                self.finish = event["delta"].get("stop_reason") or self.finish
            case "message_stop":
                self.finish = self.finish or "unknown"
        return None

    def reply(self, opening: Opening) -> Reply:
        usage = self.usage
        read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
        details = usage.get("output_tokens_details")
        return Reply(
            content="".join(self.content),
            reasoning="".join(self.reasoning),
            finish_reason=wire.finish(self.finish),
            usage=Usage(
                input=wire.total(usage.get("input_tokens"), read, written),
                cached_input=wire.count(read),
                cache_write=wire.count(written),
                output=wire.count(usage.get("output_tokens")),
                reasoning=wire.count(details.get("thinking_tokens")) if isinstance(details, dict) else None,
            ),
            model=f"{opening.provider.name}:{self.model or opening.name}",
        )

    def _block(self, block: dict[str, Any]) -> Delta | None:
        text, thought = block.get("text") or "", block.get("thinking") or ""
        if not isinstance(text, str) or not isinstance(thought, str):
            raise TypeError("a text block holds no text")
        if thought:
            self.reasoning.append(thought)
            return Delta(thought, "reasoning")
        if text:
            self.content.append(text)
            return Delta(text)
        return None


def _message(turn: Message, mark: bytes = b"") -> bytes:
    text = wire.encoded(turn.content if turn.content.strip() else _EMPTY)
    role = wire.turn_of(turn).encode()
    return b'{"role":"%b","content":[{"type":"text","text":%b%b}]}' % (role, text, mark)
