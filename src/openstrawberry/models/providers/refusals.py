"""Parameters that a model turned out not to take.

Newer models reject `temperature`, older servers reject what they have never heard of, and a deployment's name does not
say which model is behind it. A parameter that we can do without is dropped once it is refused by name, with a warning.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from openstrawberry.errors import ProviderError

LOG = logging.getLogger(__name__)
OPTIONAL = frozenset(
    {
        "temperature",
        "top_p",
        "stop",
        "seed",
        "random_seed",
        "stream_options",
        "prompt_cache_key",
        "reasoning_effort",
        "reasoning_format",
        "response_format",
        "output_config",
    }
)
RENAMED = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
_REFUSED = re.compile(
    r"unsupported|not support|unknown|unrecognized|unexpected|not permitted|not allowed|deprecated"
    r"|extra (inputs|fields)|invalid parameter",
    re.IGNORECASE,
)


class Refusals:
    """What one model has refused so far."""

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._names: set[str] = set()

    def without(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """`fields` less what has no name, no value or has been refused; the limit on tokens is renamed, not dropped."""
        kept = {name: value for name, value in fields.items() if name and value is not None}
        for name in self._names & kept.keys():
            value = kept.pop(name)
            if name in RENAMED:
                kept[RENAMED[name]] = value
        return kept

    def learns(self, error: ProviderError, sent: Mapping[str, Any]) -> bool:
        """Whether `error` refuses a field of `sent` that we can do without, so that asking again makes sense."""
        told = str(error)
        if error.kind != "bad_request" or not _REFUSED.search(told):
            return False
        found = {name: told.find(name) for name in sent if name in OPTIONAL or name in RENAMED}
        named = [name for name, at in found.items() if at >= 0 and re.search(rf"\b{name}\b", told)]
        if not named or set(RENAMED) <= self._names | set(named[:1]):
            return False
        first = min(named, key=found.__getitem__)
        if first not in self._names:
            LOG.warning("%s does not take %s: going on without it.", self._spec, first)
        self._names.add(first)
        return True
