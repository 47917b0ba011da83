"""Looks at every provider: is there a key, does it answer, which models does it list. Spends no tokens."""

import asyncio
from dataclasses import dataclass

from openstrawberry.errors import StrawberryError
from openstrawberry.models.registry import ProviderState, list_models, provider_states
from openstrawberry.settings import Settings

PATIENCE = 5.0  # seconds that a provider has to list its models


@dataclass(frozen=True)
class Finding:
    """One provider's row. `state`: `ready`, `no key`, `not running`, or `trouble`; `detail` says more."""

    provider: ProviderState
    state: str
    models: tuple[str, ...] = ()
    detail: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Asks all providers at once."""
    return list(await asyncio.gather(*(_examine(state, settings) for state in provider_states(settings))))


async def _examine(provider: ProviderState, settings: Settings) -> Finding:
    if provider.key_needed and not provider.key_set:
        return Finding(provider, "no key", detail=f"set {' or '.join(provider.key_variables)}")
    if not provider.listable or not provider.base_url:
        return Finding(provider, "ready", provider.models)
    try:
        async with asyncio.timeout(PATIENCE):
            listed = await list_models(provider.name, settings, timeout=PATIENCE, connect_timeout=PATIENCE)
    except TimeoutError:
        return Finding(provider, "trouble", provider.models, f"no answer from {provider.base_url} in {PATIENCE:g} s")
    except StrawberryError as error:
        local = not provider.key_needed
        return Finding(provider, "not running" if local else "trouble", provider.models, str(error))
    return Finding(provider, "ready", (*provider.models, *(name for name in listed if name not in provider.models)))
