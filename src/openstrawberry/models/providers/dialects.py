"""What each provider that speaks OpenAI's chat completions spells its own way: a table, and how effort is asked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from openstrawberry.chat import Request


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one provider spells its own way. An empty name means that it has no such parameter.

    `cache_key` is what requests of one conversation are routed by, `marked` begins the names of models that cache only
    what is marked, as Anthropic's own protocol does. `reasoning` is how effort is asked for, `echo` the field in which
    past reasoning is sent back, `think_tags` whether thoughts may come as plain text, `responses` whether they are told
    in another protocol only (`openai_responses.py`), `logprobs` whether it knows log probabilities.
    """

    max_tokens: str = "max_tokens"
    seed: str = "seed"
    usage_in_stream: bool = True
    cache_key: str = ""
    marked: str = ""
    schema: bool = True
    reasoning: Literal["", "effort", "object", "switch", "template", "groq"] = "effort"
    echo: str = ""
    think_tags: bool = False
    responses: bool = False
    logprobs: bool = True


DIALECTS: Mapping[str, Dialect] = {
    "openai": Dialect(max_tokens="max_completion_tokens", cache_key="prompt_cache_key", responses=True),
    "azure": Dialect(max_tokens="max_completion_tokens", cache_key="prompt_cache_key"),
    "groq": Dialect(max_tokens="max_completion_tokens", reasoning="groq", think_tags=True, logprobs=False),
    "cerebras": Dialect(max_tokens="max_completion_tokens", think_tags=True),
    "mistral": Dialect(seed="random_seed", usage_in_stream=False, cache_key="prompt_cache_key", logprobs=False),
    "together": Dialect(think_tags=True, logprobs=False),
    "openrouter": Dialect(reasoning="object", marked="anthropic/"),
    "deepseek": Dialect(seed="", schema=False, reasoning="switch", echo="reasoning_content"),
    "huggingface": Dialect(think_tags=True),
    "replicate": Dialect(think_tags=True),
    "vllm": Dialect(reasoning="template", think_tags=True),
    "ollama": Dialect(think_tags=True),
    "compat": Dialect(think_tags=True),
}

_THINKING = {"thinking": {"type": "enabled"}}
_SHOWN: Mapping[str, dict[str, Any]] = {  # what makes a model think, and say so, that would not by itself
    "object": {"reasoning": {"enabled": True}},
    "switch": _THINKING,
    "template": {"chat_template_kwargs": {"enable_thinking": True}},
}


def effort_fields(dialect: Dialect, request: Request, name: str, underlying: str) -> dict[str, Any]:
    """How much thinking is asked for, and that it is shown where it is wanted.

    `underlying` is the model's own name where `name` is only a deployment's.
    """
    effort, off = request.reasoning, request.reasoning == "off"
    if effort is None and request.thoughts:
        return _SHOWN.get(dialect.reasoning, {})
    match dialect.reasoning if effort is not None else "":
        case "effort":
            return {"reasoning_effort": _least_effort(underlying) if off else effort}
        case "object":
            return {"reasoning": {"enabled": False} if off else {"effort": effort}}
        case "switch":
            return {"thinking": {"type": "disabled"}} if off else {**_THINKING, "reasoning_effort": effort}
        case "template":
            shared = {"chat_template_kwargs": {"enable_thinking": not off}}
            return shared if off else {**shared, "reasoning_effort": effort}
        case "groq":
            levels = "gpt-oss" in name
            said = ("low" if off else effort) if levels else ("none" if off else "default")
            return {"reasoning_effort": said, "reasoning_format": None if levels or off else "parsed"}
    return {}


def _least_effort(name: str) -> str:
    """OpenAI's word for the least reasoning that `name` knows."""
    if re.search(r"\bo\d", name):
        return "low"
    return "minimal" if re.search(r"gpt-5(?!\.\d)", name) else "none"
