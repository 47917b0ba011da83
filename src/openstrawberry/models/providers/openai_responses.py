"""OpenAI's Responses, the one protocol in which its models tell something of what they thought: a summary.

Asked only where thoughts are wanted (`Request.thoughts`); everything else goes through chat completions, which every
server speaks. It knows neither stop strings nor seeds, so these are not sent. Nothing is stored at OpenAI.
"""

from contextlib import aclosing
from typing import Any

from openstrawberry.chat import Delta, Message, OnDelta, Reply, Request, Usage
from openstrawberry.errors import ProviderError
from openstrawberry.models.provider import Opening
from openstrawberry.models.providers import wire
from openstrawberry.models.providers.endpoint import Endpoint
from openstrawberry.models.providers.faults import Filtered
from openstrawberry.models.providers.refusals import Refusals
from openstrawberry.models.providers.schema import strict

PATH = "/responses"
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_BETWEEN = "\n\n"  # parts of a summary


class Responses:
    """One model behind `/responses`."""

    def __init__(self, opening: Opening, endpoint: Endpoint) -> None:
        self._opening = opening
        self._endpoint = endpoint
        self._refusals = Refusals(opening.spec)

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`."""
        while True:
            fields = self._refusals.without(self._fields(request, on_delta is not None))
            body = wire.body(fields, map(_message, request.messages), "input")
            try:
                if on_delta is not None:
                    return await self._follow(body, on_delta)
                return self._read(await self._endpoint.post(body, PATH))
            except Filtered:
                return Reply(content="", finish_reason="filter", model=self._opening.spec)
            except ProviderError as error:
                if not self._refusals.learns(error, fields):
                    raise

    def _fields(self, request: Request, stream: bool) -> dict[str, Any]:
        effort = {"effort": request.reasoning} if request.reasoning else {}
        return {
            "model": self._opening.name,
            "max_output_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "prompt_cache_key": request.cache_key or None,
            "reasoning": {"summary": "auto", **effort},
            "text": _format(request),
            "store": False,
            "stream": True if stream else None,
            **self._opening.options.extra,
        }

    async def _follow(self, body: bytes, on_delta: OnDelta) -> Reply:
        answer: dict[str, Any] | None = None
        thought = False
        async with aclosing(self._endpoint.stream(body, PATH)) as events:
            async for event in events:
                match event.get("type"):
                    case "response.output_text.delta" | "response.refusal.delta":
                        on_delta(Delta(str(event.get("delta") or "")))
                    case "response.reasoning_summary_text.delta":
                        on_delta(Delta(str(event.get("delta") or ""), "reasoning"))
                    case "response.reasoning_summary_part.added":
                        if thought:
                            on_delta(Delta(_BETWEEN, "reasoning"))
                        thought = True
                    case "error":
                        raise self._failed(event)
                    case end if end in _ENDS:
                        answer = event.get("response")
        if answer is None:
            raise self._endpoint.faults.cut()
        return self._read(answer)

    def _read(self, answer: dict[str, Any]) -> Reply:
        if answer.get("status") == "failed":
            raise self._failed(answer.get("error") or {})
        with self._endpoint.faults.parsing():
            return _reply(answer, self._opening)

    def _failed(self, error: dict[str, Any]) -> ProviderError:
        told = str(error.get("message") or "it failed without a reason")
        return self._endpoint.faults.of_status(0, told, code=str(error.get("code") or ""))


def _reply(answer: dict[str, Any], opening: Opening) -> Reply:
    content: list[str] = []
    thoughts: list[str] = []
    refused = False
    for item in answer["output"]:
        if item.get("type") == "reasoning":
            parts = item.get("summary") or item.get("content") or ()
            thoughts += [part["text"] for part in parts]
        elif item.get("type") == "message":
            content += [part.get("text") or part.get("refusal") or "" for part in item["content"]]
            refused = refused or any(part.get("type") == "refusal" for part in item["content"])
    cut = (answer.get("incomplete_details") or {}).get("reason")
    return Reply(
        content="".join(content),
        reasoning=_BETWEEN.join(thoughts),
        finish_reason=wire.finish("refusal" if refused else cut or answer.get("status")),
        usage=_usage(answer.get("usage") or {}),
        model=f"{opening.provider.name}:{answer.get('model') or opening.name}",
    )


def _usage(usage: dict[str, Any]) -> Usage:
    before, after = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    return Usage(
        input=wire.count(usage.get("input_tokens")),
        cached_input=wire.count(before.get("cached_tokens")),
        cache_write=wire.count(before.get("cache_write_tokens")),
        output=wire.count(usage.get("output_tokens")),
        reasoning=wire.count(after.get("reasoning_tokens")),
    )


def _format(request: Request) -> dict[str, Any] | None:
    if request.response_schema is None:
        return None
    exact = strict(request.response_schema)
    named = {"name": "reply", "schema": exact or request.response_schema, "strict": exact is not None}
    return {"format": {"type": "json_schema", **named}}


def _message(message: Message) -> bytes:
    return b'{"role":"%b","content":%b}' % (message.role.encode(), wire.encoded(message.content))
