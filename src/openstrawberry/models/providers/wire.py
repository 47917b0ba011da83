"""Request bodies as bytes, and the few things that all protocols spell alike.

A text is turned into JSON once, however often the conversation that holds it is sent: a turn then costs a join of
ready-made pieces, not an encoding of everything said so far.
"""

import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from openstrawberry.chat import TOP_LOGPROBS, FinishReason, Message

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_LEAST = -100.0  # stands for all that is less likely: a file of JSON holds no infinity
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "completed": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "continuation": "length",
    "content_filter": "filter",
    "content_filtered": "filter",
    "refusal": "filter",
    "safety": "filter",
    "recitation": "filter",
    "blocklist": "filter",
    "prohibited_content": "filter",
    "spii": "filter",
}


@lru_cache(maxsize=8192)
def encoded(text: str) -> bytes:
    """`text` as a JSON string."""
    return _ENCODE(text).encode()


def encoded_object(value: Mapping[str, Any]) -> bytes:
    """`value` as a JSON object."""
    return _ENCODE(value).encode()


def cache_mark(ttl: str) -> dict[str, str]:
    """What Anthropic's protocol wants at the end of a prefix that is to be cached; `ttl` is `5m` or `1h`."""
    return {"type": "ephemeral", **({"ttl": ttl} if ttl != "5m" else {})}


def body(fields: Mapping[str, Any], messages: Iterable[bytes], name: str = "messages") -> bytes:
    """A JSON object of `fields`, which must not be empty, and `messages` under their `name`."""
    return encoded_object(fields)[:-1] + b',"%b":[' % name.encode() + b",".join(messages) + b"]}"


def finish(reason: object) -> FinishReason:
    """A provider's finish reason in our four words; what it does not say, or says in other words, is unknown."""
    return _FINISH.get(reason.lower(), "unknown") if isinstance(reason, str) else "unknown"


def count(value: object) -> int | None:
    """A token count, or None where the provider gave none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def total(*parts: object) -> int | None:
    """The sum of the counts that are there, None if the first is not."""
    counts = [count(part) for part in parts]
    return None if counts[0] is None else sum(part or 0 for part in counts)


def among(chosen: float, likeliest: Iterable[float]) -> float:
    """The logarithm of a token's probability among the likeliest at its place, from theirs; see `Reply.logprobs`."""
    chosen, *others = (min(each, 0.0) if each > _LEAST else _LEAST for each in (chosen, *likeliest))
    top = sorted(others, reverse=True)[:TOP_LOGPROBS]
    return round(chosen - math.log(sum(map(math.exp, top if chosen in top else [*top, chosen]))), 4)


def split_system(messages: tuple[Message, ...]) -> tuple[list[str], tuple[Message, ...]]:
    """The system texts that open a conversation, and the rest.

    For protocols where the system prompt stands apart. A later system message stays where it is, so that a conversation
    that grows never changes what stands before.
    """
    opening = 0
    while opening < len(messages) and messages[opening].role == "system":
        opening += 1
    return [message.content for message in messages[:opening]], messages[opening:]


def turn_of(message: Message) -> str:
    """`user` or `assistant`, for protocols that have no system message in mid-conversation."""
    return "assistant" if message.role == "assistant" else "user"
