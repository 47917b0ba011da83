"""What four protocols look like on the wire: a reply in each, whole and streamed, and errors in each.

Written from the protocols' public descriptions; nothing here knows the code under test.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.servers.http import Answer, Received

FINISH = {
    "openai": {"stop": "stop", "length": "length", "filter": "content_filter"},
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "filter": "refusal"},
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"},
    "ollama": {"stop": "stop", "length": "length", "filter": "stop"},
}


@dataclass(frozen=True)
class Said:
    """A reply before it is spelt: `usage` is (input, cached, cache write, output, reasoning)."""

    text: str = "One step."
    reasoning: str = ""
    finish: str = "stop"
    usage: tuple[int, int, int, int, int] = (100, 60, 20, 30, 10)
    options: dict[str, Any] = field(default_factory=dict)


def wants_stream(received: Received) -> bool:
    """Whether the client asked for a stream, in any of the protocols."""
    return "stream" in received.path.lower() or bool((received.json or {}).get("stream"))


def openai(said: Said, stream: bool) -> Answer:
    read, cached, _, written, thought = said.usage
    usage = {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    finish = FINISH["openai"][said.finish]
    if not stream:
        message = {"role": "assistant", "content": said.text}
        if said.reasoning:
            message["reasoning_content"] = said.reasoning
        choice = {"index": 0, "message": message, "finish_reason": finish}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "served"}
        return Answer.of({**head, "choices": [choice], "usage": usage})
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in pieces(said.reasoning)]
    deltas += [{"content": piece} for piece in pieces(said.text)]
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices += [[{"index": 0, "delta": {}, "finish_reason": finish}], []]
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "served"}
    events = [{**head, "choices": choice} for choice in choices]
    events[-1]["usage"] = usage
    return Answer.events([*(f"data: {json.dumps(event)}\n\n" for event in events), "data: [DONE]\n\n"], **said.options)


def anthropic(said: Said, stream: bool) -> Answer:
    read, cached, wrote, written, thought = said.usage
    usage = {
        "input_tokens": read - cached - wrote,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": wrote,
        "output_tokens": written,
        "output_tokens_details": {"thinking_tokens": thought},
    }
    finish = FINISH["anthropic"][said.finish]
    head = {"id": "1", "type": "message", "role": "assistant", "model": "served"}
    blocks: list[dict[str, str]] = [{"type": "thinking", "thinking": said.reasoning}] if said.reasoning else []
    blocks.append({"type": "text", "text": said.text})
    if not stream:
        return Answer.of({**head, "content": blocks, "stop_reason": finish, "usage": usage})
    early = {**usage, "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**head, "content": [], "usage": early}}]
    for index, block in enumerate(blocks):
        kind = block["type"]
        name = "thinking" if kind == "thinking" else "text"
        empty = {"type": kind, name: ""}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        for piece in pieces(block[name]):
            delta = {"type": f"{name}_delta", name: piece}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    final = {"output_tokens": written, "output_tokens_details": {"thinking_tokens": thought}}
    events.append({"type": "message_delta", "delta": {"stop_reason": finish}, "usage": final})
    events.append({"type": "message_stop"})
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return Answer.events(["event: ping\ndata: {}\n\n", *lines], **said.options)


def gemini(said: Said, stream: bool) -> Answer:
    read, cached, _, written, thought = said.usage
    usage = {
        "promptTokenCount": read,
        "cachedContentTokenCount": cached,
        "candidatesTokenCount": written - thought,
        "thoughtsTokenCount": thought,
    }
    finish = FINISH["gemini"][said.finish]

    def candidate(parts: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
        body = {"candidates": [{"content": {"role": "model", "parts": parts}}], "modelVersion": "served"}
        if reason:
            body["candidates"][0]["finishReason"] = reason  # type: ignore[index]
            body["usageMetadata"] = usage  # type: ignore[assignment]
        return body

    if not stream:
        parts: list[dict[str, Any]] = [{"text": said.reasoning, "thought": True}] if said.reasoning else []
        return Answer.of(candidate([*parts, {"text": said.text}], finish))
    events = [candidate([{"text": piece, "thought": True}], None) for piece in pieces(said.reasoning)]
    events += [candidate([{"text": piece}], None) for piece in pieces(said.text)]
    events.append(candidate([], finish))
    return Answer.events([f"data: {json.dumps(event)}\r\n\r\n" for event in events], **said.options)


def ollama(said: Said, stream: bool) -> Answer:
    counts = {"prompt_eval_count": said.usage[0], "eval_count": said.usage[3]}
    head = {"model": "served", "created_at": "2026-01-01T00:00:00Z"}
    last = {"done": True, "done_reason": FINISH["ollama"][said.finish], **counts}
    if not stream:
        message = {"role": "assistant", "content": said.text, "thinking": said.reasoning or None}
        return Answer.of({**head, "message": message, **last})
    messages = [{"role": "assistant", "content": "", "thinking": piece} for piece in pieces(said.reasoning)]
    messages += [{"role": "assistant", "content": piece} for piece in pieces(said.text)]
    parts = [{**head, "message": message, "done": False} for message in messages]
    parts.append({**head, "message": {"role": "assistant", "content": ""}, **last})
    return Answer.events([json.dumps(part) + "\n" for part in parts], "application/x-ndjson", **said.options)


def responses(said: Said, stream: bool) -> Answer:
    """OpenAI's second protocol; each paragraph of the reasoning is a part of its summary."""
    read, cached, _, written, thought = said.usage
    summary = [{"type": "summary_text", "text": part} for part in said.reasoning.split("\n\n") if part]
    kind = {"type": "refusal", "refusal": said.text} if said.finish == "filter" else None
    text = kind or {"type": "output_text", "text": said.text, "annotations": []}
    whole = {
        "id": "resp_1",
        "object": "response",
        "model": "served",
        "status": "incomplete" if said.finish == "length" else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.finish == "length" else None,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": summary},
            {"type": "message", "id": "msg_1", "role": "assistant", "content": [text]},
        ],
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": read + written,
        },
    }
    if not stream:
        return Answer.of(whole)
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {**whole, "output": [], "usage": None}}]
    for number, part in enumerate(summary):
        events.append({"type": "response.reasoning_summary_part.added", "summary_index": number, "part": {}})
        for piece in pieces(part["text"]):
            event = {"type": "response.reasoning_summary_text.delta", "summary_index": number, "delta": piece}
            events.append(event)
    name = "refusal" if kind else "output_text"
    events += [{"type": f"response.{name}.delta", "delta": piece} for piece in pieces(said.text)]
    events.append({"type": f"response.{whole['status']}", "response": whole})
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return Answer.events(lines, **said.options)


def failure(protocol: str, status: int, message: str, code: str = "", **headers: str) -> Answer:
    """An error in the shape of `protocol`."""
    match protocol:
        case "ollama":
            body: dict[str, Any] = {"error": message}
        case "anthropic":
            body = {"type": "error", "error": {"type": code or "api_error", "message": message}}
        case "gemini":
            body = {"error": {"code": status, "message": message, "status": code or "ERROR"}}
        case _:
            body = {"error": {"message": message, "type": "error", "code": code or None}}
    return Answer.of(body, status, **headers)


def pieces(text: str) -> list[str]:
    """`text` in pieces of three characters, so that tags and words are torn apart; a long one in about 500."""
    size = max(3, len(text) // 500)
    return [text[start : start + size] for start in range(0, len(text), size)]


SPELLINGS: dict[str, Callable[[Said, bool], Answer]] = {
    "openai": openai,
    "responses": responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
}


class Speaker:
    """Answers in `protocol` with one item after the other; the last one repeats. An item is a reply or an answer."""

    def __init__(self, protocol: str, items: Sequence[Said | Answer] = (Said(),)) -> None:
        self._spell = SPELLINGS[protocol]
        self._items = list(items)

    def __call__(self, received: Received) -> Answer:
        item = self._items.pop(0) if len(self._items) > 1 else self._items[0]
        return item if isinstance(item, Answer) else self._spell(item, wants_stream(received))
