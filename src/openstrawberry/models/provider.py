"""What one row of the provider table says, and what a provider is opened with.

Nothing here imports an SDK: the table can be listed, and a spec can be refused, without paying for one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Provider:
    """One row: how `name:...` is opened, and which environment variables belong to it.

    `opener`: `module:attribute`, imported on first use and called with an `Opening`. `keys`, `base_urls` and `names`
    are environment variables, looked up in this order; `variables` are further ones that only its opener understands.
    `needs_name`: whether a spec must name a model. `unreachable`: what to do when nothing answers. `cache`: how prompts
    are cached: `prefix` (by themselves, where a request begins like an earlier one), `key` (the same, found by a key
    that we send), `marks` (where we say so), `kept` (in memory, between turns), or empty where nobody promises it.
    `batch`: whether there is a batch API at half the price.
    """

    name: str
    opener: str
    keys: tuple[str, ...] = ()
    key_optional: bool = False
    base_url: str = ""
    base_urls: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    needs_name: bool = True
    aliases: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    unreachable: str = ""
    cache: str = ""
    batch: bool = False

    @property
    def key_variable(self) -> str:
        """The variable to name when a key is wrong or missing; empty for models in process."""
        return self.keys[0] if self.keys else ""

    @property
    def url_variables(self) -> tuple[str, ...]:
        own = f"{self.name.upper()}_BASE_URL"
        return self.base_urls if own in self.base_urls else (*self.base_urls, own)

    @property
    def name_variables(self) -> tuple[str, ...]:
        own = f"{self.name.upper()}_MODEL_NAME"
        return self.names if own in self.names else (*self.names, own)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Settings of one model that belong to the connection, not to a request.

    `timeout`: seconds without a byte from the provider; `connect_timeout`: seconds to reach it. `headers` and
    `extra` (top-level fields of the request body, options of Ollama's) are sent as they are. `cache_ttl` (`5m` or `1h`)
    is Anthropic's, also behind OpenRouter. `num_ctx` and `keep_alive` are Ollama's. `device` and `dtype` are for models
    in process. `heard` is called with the headers of every response, before its body is read; names are in lower case.
    """

    base_url: str = ""
    timeout: float = 600.0
    connect_timeout: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    cache_ttl: str = "5m"
    num_ctx: int | None = None
    keep_alive: str = "30m"
    device: str = ""
    dtype: str = "auto"
    heard: Callable[[Mapping[str, str]], None] | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """Everything that a provider module needs to make a `Model`. The key never shows in a repr.

    `variables` holds the few further settings that single providers know, by variable name.
    """

    provider: Provider
    spec: str
    name: str
    key: str = field(repr=False)
    key_variable: str
    base_url: str
    url_variable: str
    options: ModelOptions
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


class ListsModels(Protocol):
    """A model whose provider can say which models it has."""

    async def names(self) -> tuple[str, ...]: ...
