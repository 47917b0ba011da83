"""Parameters that a model turned out not to take.

Newer models reject `temperature`, older servers reject what they have never heard of, and a deployment's name does not
say which model is behind it. A parameter that we can do without is dropped once it is refused by name, with a warning.
A JSON schema is first asked for in a weaker form, where there is one: whoever reads the reply repairs what he gets.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from openstrawberry.errors import ProviderError

LOG = logging.getLogger(__name__)
# What can be done without, and how it is called when it is refused.
OPTIONAL = {
    "temperature": r"\btemperature\b",
    "top_p": r"\btop_p\b",
    "stop": r"\bstop\b",
    "seed": r"\bseed\b",
    "random_seed": r"\brandom_seed\b",
    "stream_options": r"\bstream_options\b",
    "prompt_cache_key": r"\bprompt_cache_key\b",
    "reasoning": r"\breasoning\b",
    "reasoning_effort": r"\breasoning_effort\b",
    "think": r"\bthink(ing)?\b",
    "thinking": r"\bthinking\b",
    "reasoning_format": r"\breasoning_format\b",
    "response_format": r"\bresponse.format\b|json.schema|json.(object|mode)",
    "output_config": r"\boutput.(config|format)\b",
    "response_json_schema": r"response_?(json_?)?schema",
    "response_mime_type": r"response_?mime_?type|json mode",
    "format": r"\bformat\b",
}
RENAMED = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
ANY_JSON = {"type": "json_object"}
_REFUSED = re.compile(
    r"unsupported|not support|unknown|unrecognized|unexpected|not permitted|not allowed|deprecated"
    r"|extra (inputs|fields)|invalid parameter|invalid.{0,16}schema|not enabled|must contain the word",
    re.IGNORECASE,
)


class Refusals:
    """What one model has refused so far."""

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._names: set[str] = set()
        self._weaker = False

    def without(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """`fields` less what has no name, no value or has been refused; the limit on tokens is renamed, not dropped."""
        kept = {name: value for name, value in fields.items() if name and value is not None}
        for name in self._names & kept.keys():
            value = kept.pop(name)
            if name in RENAMED:
                kept[RENAMED[name]] = value
        if self._weaker and "response_format" in kept:
            kept["response_format"] = ANY_JSON
        return kept

    def learns(self, error: ProviderError, sent: Mapping[str, Any]) -> bool:
        """Whether `error` refuses a field of `sent` that we can do without, so that asking again makes sense."""
        told = str(error)
        if error.kind != "bad_request" or not _REFUSED.search(told):
            return False
        found = {name: at for name in sent if (at := _place(name, told)) >= 0}
        if not found:
            return False
        first = min(found, key=found.__getitem__)
        if set(RENAMED) <= self._names | {first}:
            return False
        if first == "response_format" and not self._weaker:
            LOG.warning("%s does not take this JSON schema: going on with any JSON.", self._spec)
            self._weaker = True
            return True
        if first == "response_format" and _has_schema(sent[first]):
            return True  # it was on its way when another request learnt the same
        if first not in self._names:
            LOG.warning("%s does not take %s: going on without it.", self._spec, first)
        self._names.add(first)
        return True


def _has_schema(form: object) -> bool:
    return isinstance(form, Mapping) and "json_schema" in form


def _place(name: str, told: str) -> int:
    """Where `told` names the field, -1 if it does not."""
    pattern = OPTIONAL.get(name) or (rf"\b{name}\b" if name in RENAMED else None)
    found = re.search(pattern, told, re.IGNORECASE) if pattern else None
    return found.start() if found else -1
