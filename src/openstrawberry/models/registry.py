"""From a spec, `provider:name`, to a `Model`; the one table of providers.

Nothing but a row's own module imports its SDK, and that happens here, when a spec asks for it. Other packages add rows
through the entry-point group `openstrawberry.providers`: the entry point's name is the provider's, its object is called
with an `Opening` and returns a `Model`.
"""

import dataclasses
import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, cast
from urllib.parse import urlsplit

from openstrawberry.errors import SetupError, UsageError
from openstrawberry.models.model import Model
from openstrawberry.models.provider import ListsModels, ModelOptions, Opening, Provider
from openstrawberry.registry import unknown
from openstrawberry.settings import Settings

GROUP = "openstrawberry.providers"
_HERE = "openstrawberry.models.providers"
_OPENAI = f"{_HERE}.openai_sdk:open_openai"

PROVIDERS: tuple[Provider, ...] = (
    Provider("berry", f"{_HERE}.local:open_berry", key_optional=True, needs_name=False, cache="kept"),
    Provider("openai", _OPENAI, ("OPENAI_API_KEY",), base_url="https://api.openai.com/v1",
             variables=("OPENAI_ORG_ID", "OPENAI_PROJECT_ID"), cache="key", batch=True),
    Provider("azure", f"{_HERE}.openai_sdk:open_azure", ("AZURE_OPENAI_API_KEY",),
             base_urls=("AZURE_OPENAI_ENDPOINT", "AZURE_BASE_URL"),
             names=("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_MODEL_NAME"),
             variables=("OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION", "AZURE_OPENAI_MODEL_NAME"),
             cache="key", batch=True),
    Provider("anthropic", f"{_HERE}.anthropic:open_anthropic", ("ANTHROPIC_API_KEY",),
             base_url="https://api.anthropic.com", cache="marks", batch=True),
    Provider("gemini", f"{_HERE}.gemini:open_gemini", ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
             base_url="https://generativelanguage.googleapis.com", base_urls=("GEMINI_BASE_URL", "GOOGLE_BASE_URL"),
             aliases=("google",), cache="prefix", batch=True),
    Provider("groq", f"{_HERE}.groq:open_groq", ("GROQ_API_KEY",), base_url="https://api.groq.com",
             cache="prefix", batch=True),
    Provider("ollama", f"{_HERE}.ollama:open_ollama", ("OLLAMA_OPENAI_API_KEY", "OLLAMA_API_KEY"), key_optional=True,
             base_url="http://127.0.0.1:11434", base_urls=("OLLAMA_HOST", "OLLAMA_BASE_URL"),
             names=("OLLAMA_OPENAI_MODEL_NAME", "OLLAMA_MODEL_NAME"), variables=("OLLAMA_OPENAI_BASE_URL",),
             unreachable="Start Ollama with `ollama serve`, or point OLLAMA_HOST at it.", cache="kept"),
    Provider("cerebras", _OPENAI, ("CEREBRAS_OPENAI_API_KEY", "CEREBRAS_API_KEY"),
             base_url="https://api.cerebras.ai/v1", cache="prefix"),
    Provider("mistral", _OPENAI, ("MISTRAL_API_KEY",), base_url="https://api.mistral.ai/v1", cache="key", batch=True),
    Provider("together", _OPENAI, ("TOGETHERAI_API_TOKEN", "TOGETHER_API_KEY"),
             base_url="https://api.together.xyz/v1", cache="prefix"),
    Provider("openrouter", _OPENAI, ("OPENROUTER_API_KEY",), base_url="https://openrouter.ai/api/v1", cache="prefix"),
    Provider("deepseek", _OPENAI, ("DEEPSEEK_API_KEY",), base_url="https://api.deepseek.com", cache="prefix"),
    Provider("huggingface", _OPENAI, ("HUGGING_FACE_HUB_TOKEN", "HF_TOKEN"),
             base_url="https://router.huggingface.co/v1"),
    Provider("replicate", _OPENAI, ("REPLICATE_API_TOKEN",), base_url="https://openai-proxy.replicate.com/v1"),
    Provider("vllm", _OPENAI, ("VLLM_API_KEY",), key_optional=True, base_url="http://127.0.0.1:8000/v1",
             unreachable="Start it with `vllm serve NAME`, or point VLLM_BASE_URL at it.", cache="prefix"),
    Provider("compat", _OPENAI, ("COMPAT_API_KEY",), key_optional=True,
             unreachable="Start the server, or check the address after the @ or in COMPAT_BASE_URL."),
    Provider("hf", f"{_HERE}.hf:open_hf", key_optional=True, cache="kept"),
    Provider("scripted", f"{_HERE}.scripted:open_scripted", key_optional=True),
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class ProviderState:
    """What `strawberry doctor` shows of one row; never a key. `address_needed`: the variable of a missing address."""

    name: str
    key_variables: tuple[str, ...]
    key_needed: bool
    key_set: bool
    base_url: str
    models: tuple[str, ...]
    listable: bool
    address_needed: str = ""
    unreachable: str = ""
    cache: str = ""
    batch: bool = False


def open_model(spec: str, settings: Settings, **options: Any) -> Model:
    """The model that `spec` names, under the first of its keys. `options` are fields of `ModelOptions`.

    Raises:
        SetupError: an unknown provider or option, no name, no key, or an address that is none.
    """
    return open_with(openings(spec, settings, **options)[0])


def openings(spec: str, settings: Settings, **options: Any) -> list[Opening]:
    """What opens the model that `spec` names: one `Opening` for each key that its variable holds.

    Raises:
        SetupError: as `open_model`.
    """
    fields = [field.name for field in dataclasses.fields(ModelOptions)]
    for name in options:
        if name not in fields:
            raise SetupError(unknown("model option", name, fields))
    name, _, rest = spec.partition(":")
    provider = find_provider(name)
    return _openings(provider, rest, settings, ModelOptions(**options))


def open_with(opening: Opening) -> Model:
    """The model that `opening` describes."""
    return _opener(opening.provider)(opening)


def full_spec(spec: str, settings: Settings) -> str:
    """`spec` with the provider's own name, and with the model that the environment names where it names none.

    Raises:
        SetupError: an unknown provider, or no model.
    """
    name, _, rest = spec.partition(":")
    provider = find_provider(name)
    model, url = _split_url(rest) if provider.key_variable else (rest, "")
    return _spelt(provider, model or _default_name(provider, settings), url)


def provider_names() -> tuple[str, ...]:
    """Every provider's name, those of other packages last."""
    own = tuple(provider.name for provider in PROVIDERS)
    return own + tuple(point.name for point in entry_points(group=GROUP) if point.name not in own)


def find_provider(name: str) -> Provider:
    """The row called `name`.

    Raises:
        UsageError: there is none; the nearest one is offered.
    """
    for provider in PROVIDERS:
        if name == provider.name or name in provider.aliases:
            return provider
    for point in entry_points(group=GROUP):
        if point.name == name:
            return Provider(name, point.value, (f"{name.upper()}_API_KEY",), key_optional=True, needs_name=False)
    raise UsageError(unknown("provider", name, provider_names()))


def provider_states(settings: Settings) -> tuple[ProviderState, ...]:
    """Every row as the environment fills it."""
    return tuple(_state(find_provider(name), settings) for name in provider_names())


async def list_models(name: str, settings: Settings, **options: Any) -> tuple[str, ...]:
    """The models that provider `name` lists right now, without its prefix; empty where it has no list.

    Raises:
        SetupError: no key, or no address.
        ProviderError: it does not answer, or not with a list.
    """
    provider = find_provider(name)
    if not _listable(provider):
        return ()
    model = open_with(_openings(provider, "-", settings, ModelOptions(**options))[0])
    try:
        return await cast(ListsModels, model).names()
    finally:
        await model.close()


def _state(provider: Provider, settings: Settings) -> ProviderState:
    url = settings.first(*provider.url_variables) or provider.base_url
    names = next(filter(None, (settings.names(name, provider.name) for name in provider.name_variables)), ())
    key_set = bool(settings.first(*provider.keys))
    return ProviderState(
        name=provider.name,
        key_variables=provider.keys,
        key_needed=not provider.key_optional,
        key_set=key_set,
        base_url=_without_user(url),
        models=names,
        listable=_listable(provider),
        address_needed=provider.url_variables[0] if provider.name in ("azure", "compat") else "",
        unreachable=provider.unreachable,
        cache=provider.cache,
        batch=provider.batch,
    )


def _listable(provider: Provider) -> bool:
    return provider in PROVIDERS and provider.name not in ("berry", "azure", "hf", "scripted")


def _opener(provider: Provider) -> Callable[[Opening], Model]:
    module, _, attribute = provider.opener.partition(":")
    return cast(Callable[[Opening], Model], getattr(importlib.import_module(module), attribute))


def _openings(provider: Provider, rest: str, settings: Settings, options: ModelOptions) -> list[Opening]:
    name, url_in_spec = _split_url(rest) if provider.key_variable else (rest, "")
    name = name or _default_name(provider, settings)
    url = url_in_spec or options.base_url or settings.first(*provider.url_variables) or provider.base_url
    key_variable = next((name for name in provider.keys if settings.first(name)), provider.key_variable)
    opening = Opening(
        provider=provider,
        spec=_spelt(provider, name, url_in_spec),
        name=name,
        key="",
        key_variable=key_variable,
        base_url=_checked_url(provider, url),
        url_variable=next((name for name in provider.url_variables if settings.first(name)), provider.url_variables[0]),
        options=options,
        variables={name: settings.first(name) for name in provider.variables if settings.first(name)},
    )
    found = [dataclasses.replace(opening, key=key) for key in settings.keys(key_variable) or ("",)]
    for each in found:
        _check_key(each)
    return found


def _spelt(provider: Provider, name: str, url: str) -> str:
    return ":".join(part for part in (provider.name, name) if part) + (f"@{url}" if url else "")


def _split_url(rest: str) -> tuple[str, str]:
    for scheme in ("@http://", "@https://"):
        name, found, tail = rest.rpartition(scheme)
        if found:
            return name, scheme[1:] + tail
    return rest, ""


def _default_name(provider: Provider, settings: Settings) -> str:
    if not provider.needs_name:
        return ""
    for variable in provider.name_variables:
        if names := settings.names(variable, provider.name):
            return names[0]
    raise SetupError(
        f"Which model of {provider.name}? Write --model {provider.name}:NAME, or set {provider.name_variables[0]} "
        "in the environment or in .env."
    )


def _check_key(opening: Opening) -> None:
    provider, key = opening.provider, opening.key
    if not key and not provider.key_optional:
        names = " or ".join(provider.keys)
        raise SetupError(f"{provider.name} needs a key: set {names} in the environment or in .env.")
    if not (key.isascii() and key.isprintable()):
        raise SetupError(f"{opening.key_variable} holds characters that no key has: paste the key again.")


def _checked_url(provider: Provider, url: str) -> str:
    if not url:
        if provider.name == "compat":
            raise SetupError(
                "compat needs an address: write --model compat:NAME@http://127.0.0.1:8000/v1, or set COMPAT_BASE_URL."
            )
        return ""
    if provider.name == "ollama" and "://" not in url:
        host, _, port = url.partition(":")  # OLLAMA_HOST may be just a host, or a host and a port
        url = f"http://{host or '127.0.0.1'}:{port or 11434}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise SetupError(
            f"The address {url!r} for {provider.name} is not a URL: write it as http://127.0.0.1:8000/v1 "
            f"in {provider.url_variables[0]}."
        )
    if parts.username or parts.password:
        raise SetupError(
            f"The address for {provider.name} has a name or password in it: put the key in "
            f"{provider.key_variable} instead."
        )
    return url


def _without_user(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://***@{tail}" if at else url
