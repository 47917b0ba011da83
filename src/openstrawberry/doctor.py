"""Looks at every provider: is there a key, does it answer, how fast, which models has it, which limits does it tell.

A provider for which the environment names a model (`OPENAI_MODEL_NAME` and its like) gets one tiny call, all others
are only asked for their list. `call=False` spends nothing at all.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from openstrawberry.chat import Message, Request
from openstrawberry.errors import ProviderError, SetupError, StrawberryError
from openstrawberry.models.headers import DAY, HOUR, MINUTE, limits_told
from openstrawberry.models.model import Model
from openstrawberry.models.registry import ProviderState, list_models, open_model, provider_states
from openstrawberry.settings import Settings
from openstrawberry.verifiers.levels import Level, weakness
from openstrawberry.verifiers.sandbox import Sandbox, Uncontained

PATIENCE = 5.0  # seconds that a provider has to list its models
CALL_PATIENCE = 60.0  # seconds for the tiny call: a local server may have to load the model first
TINY = Request((Message(role="user", content="What is 1 + 1?"),), max_tokens=16)
_NAMES = {"input": "input tokens", "output": "output tokens"}
_PERIODS = {1.0: "second", MINUTE: "minute", HOUR: "hour", DAY: "day", 30 * DAY: "month"}
_ALIVE = re.compile(r"max_tokens or model output limit", re.IGNORECASE)  # a model that thinks wants more than 16


@dataclass(frozen=True)
class Finding:
    """One provider's row.

    `state`: `ready`, `no key`, `no address`, `not installed`, `not running`, or `trouble`; `detail` says more. `asked`
    names the model that got the tiny call, `latency_s` is the time it took, None where none was made or none succeeded.
    `limits` are what is left of each allowance, as the headers of that call told it.
    """

    provider: ProviderState
    state: str
    models: tuple[str, ...] = ()
    detail: str = ""
    asked: str = ""
    latency_s: float | None = None
    limits: Mapping[str, str] = field(default_factory=dict)


async def examine(settings: Settings, call: bool = True) -> list[Finding]:
    """Asks all providers at once, for their lists first and then for one reply each."""
    findings = list(await asyncio.gather(*(_look(state, settings) for state in provider_states(settings))))
    if not call:
        return findings
    # Every model is opened before the first clock starts: while one is imported, all others stand still.
    looked = [_open(found, settings) for found in findings]
    answered = iter(await asyncio.gather(*(_call(each) for each in looked if isinstance(each, _Patient))))
    return [next(answered) if isinstance(each, _Patient) else each for each in looked]


async def examine_sandbox() -> tuple[Level, str]:
    """How code of a model would be contained here (`none`: it is not run), and a sentence on what is missing."""
    sandbox = Sandbox()
    try:
        level = (await sandbox.way()).level
    except Uncontained as error:
        return "none", str(error)
    finally:
        await sandbox.close()
    return level, weakness(level)


async def _look(provider: ProviderState, settings: Settings) -> Finding:
    if provider.key_needed and not provider.key_set:
        return Finding(provider, "no key", detail=f"set {' or '.join(provider.key_variables)}")
    if provider.address_needed and not provider.base_url:
        return Finding(provider, "no address", detail=f"set {provider.address_needed}")
    return await _list(provider, settings)


async def _list(provider: ProviderState, settings: Settings) -> Finding:
    if provider.name == "hf" and not all(find_spec(package) for package in ("torch", "transformers")):
        return Finding(provider, "not installed", detail='run pip install "openstrawberry[hf]"')
    if not provider.listable:
        return Finding(provider, "ready", provider.models)
    try:
        async with asyncio.timeout(PATIENCE):
            listed = await list_models(provider.name, settings, timeout=PATIENCE, connect_timeout=PATIENCE)
    except TimeoutError:
        return Finding(provider, "trouble", provider.models, f"no answer from {provider.base_url} in {PATIENCE:g} s")
    except StrawberryError as error:
        away = not provider.key_needed and isinstance(error, ProviderError) and error.kind == "connection"
        return Finding(provider, "not running" if away else "trouble", provider.models, str(error))
    return Finding(provider, "ready", (*provider.models, *(name for name in listed if name not in provider.models)))


@dataclass(frozen=True)
class _Patient:
    """A model that is ready for its tiny call; `heard` is where the headers of the answer go."""

    listed: Finding
    model: Model
    heard: dict[str, str]


def _open(listed: Finding, settings: Settings) -> "_Patient | Finding":
    """The model that gets the call; the finding itself where there is none, or where it cannot be opened."""
    name = listed.provider.models[0] if listed.provider.models else ""
    reachable = listed.state in ("ready", "trouble") and listed.provider.name != "hf"  # loading weights is no tiny call
    if not reachable or not (name or listed.provider.name == "berry"):
        return listed
    heard: dict[str, str] = {}
    spec = f"{listed.provider.name}:{name}" if name else listed.provider.name
    try:
        model = open_model(spec, settings, timeout=CALL_PATIENCE, connect_timeout=PATIENCE, heard=heard.update)
    except SetupError as error:
        return replace(listed, state="trouble", detail=str(error))
    return _Patient(replace(listed, asked=name), model, heard)


async def _call(patient: _Patient) -> Finding:
    """One tiny call; it says more than the list, which not every server has."""
    began, trouble = time.monotonic(), ""
    try:
        async with asyncio.timeout(CALL_PATIENCE):
            await patient.model.complete(TINY)
    except TimeoutError:
        trouble = f"{patient.model.spec} gave no answer in {CALL_PATIENCE:g} s"
    except ProviderError as error:
        trouble = "" if _ALIVE.search(str(error)) else str(error)
    took = time.monotonic() - began
    await patient.model.close()
    found = replace(patient.listed, limits=left_of(patient.heard, patient.listed.provider.name))
    if trouble:
        return replace(found, state="trouble", detail=trouble)
    return replace(found, state="ready", detail="", latency_s=took)


def left_of(headers: Mapping[str, str], provider: str) -> dict[str, str]:
    """What rate-limit headers (names in lower case) say is left, such as `{"requests a minute": "499 of 500"}`."""
    found = {}
    for told in limits_told(headers, provider):
        if told.limit is not None and told.remaining is not None:
            name = f"{_NAMES.get(told.counts, told.counts)} a {_PERIODS[told.period]}"
            found[name] = f"{told.remaining:,.0f} of {told.limit:,.0f}"
    return found
