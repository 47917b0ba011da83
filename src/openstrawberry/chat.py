"""What is said to a model and what comes back.

`Message`, `Usage` and `Reply` are frozen pydantic records: they are written to disk and read back. `Request` is a plain
frozen dataclass: it lives for one call, and building one must not re-validate a conversation that only grew by a turn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _scrub(text: object) -> object:
    """A model may write half a surrogate pair; no UTF-8 file can hold it, so it becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) and not text.isascii() else text


Text = Annotated[str, BeforeValidator(_scrub)]
Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "filter", "unknown"]
TOP_LOGPROBS = 5


class Message(BaseModel):
    """One turn of a conversation. `reasoning` is what a reasoning model thought before it, echoed where required."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: Text
    reasoning: Text = ""


class Usage(BaseModel):
    """Tokens of one call. `None` means that the provider did not say; it is never turned into 0.

    `input` counts all prompt tokens, those read from cache (`cached_input`) and written to it (`cache_write`) included.
    `output` counts all generated tokens, hidden `reasoning` included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None


class Reply(BaseModel):
    """What a model answered to one `Request`.

    `model` names who answered (`provider:name`), `latency_s` the seconds it took, from sending to the last byte,
    `cost_usd` what it cost in dollars (None: unknown), `saved_usd` how much more it would have cost without the prompt
    cache.
    `token_ids` are there only where the model gives them. `logprobs` only where they were asked for: of each token, the
    logarithm of its probability among the `TOP_LOGPROBS` likeliest at its place (and itself).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: Text
    reasoning: Text = ""
    finish_reason: FinishReason = "unknown"
    usage: Usage = Usage()
    model: str = ""
    latency_s: float = 0.0
    cost_usd: float | None = None
    saved_usd: float | None = None
    logprobs: tuple[float, ...] | None = None
    token_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that decides one reply.

    `temperature`, `top_p`: None leaves the provider's default. `max_tokens` bounds the reply and is always sent.
    `reasoning`: effort for models that think ("off", "low", "medium", "high"), None leaves the provider's default.
    `thoughts`: what the model thinks is wanted in the reply, also where a provider shows it only when asked.
    `response_schema`: a JSON schema, used where the provider has structured output. `logprobs`: whether the reply must
    come with log probabilities; a provider that has none raises a SetupError. `cache_key`: equal for all requests
    of one trace whose conversations begin alike, and for the traces that follow it in its slot, so that providers that
    route by it find the cached prefix. `key` is the reply's place in the reply record (see `models/replies.py`); it is
    never sent.
    """

    messages: tuple[Message, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = 4096
    stop: tuple[str, ...] = ()
    seed: int | None = None
    response_schema: Mapping[str, Any] | None = field(default=None, hash=False)
    reasoning: str | None = None
    thoughts: bool = False
    logprobs: bool = False
    cache_key: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply as it streams: visible text, or hidden reasoning.

    `restart` has no text: the reply is asked for once more, and what was heard of it so far is void.
    """

    text: str
    channel: Literal["content", "reasoning", "restart"] = "content"


OnDelta = Callable[[Delta], None]
