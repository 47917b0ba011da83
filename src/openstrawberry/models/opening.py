"""Opens what a user wrote after `--model`: one model, or several that share the load, each under each of its keys."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from openstrawberry.errors import UsageError
from openstrawberry.models.gate import Gate
from openstrawberry.models.model import specs_in
from openstrawberry.models.provider import Opening
from openstrawberry.models.registry import find_provider, full_spec, open_with, openings
from openstrawberry.models.stack import Member
from openstrawberry.models.workers import Workers
from openstrawberry.settings import Settings


def open_members(
    text: str, settings: Settings, gate: Callable[[str], Gate], *, workers: int = 1, **options: Any
) -> tuple[str, list[Member]]:
    """The spec of the whole, with default names filled in, and its members. `gate` makes the gate of a provider.

    `workers`: processes that send the requests of each member, where one is not enough.

    Raises:
        SetupError: as `openings`.
        UsageError: as `check_models`.
    """
    specs = check_models(text, settings, workers)
    found = [opening for part in specs_in(text) for opening in openings(part, settings, **options)]
    return ",".join(specs), [_member(opening, gate(opening.provider.name), workers) for opening in found]


def check_models(text: str, settings: Settings, workers: int = 1) -> list[str]:
    """The spec of each model that `text` names, with default names filled in. Needs no key, and imports no SDK.

    Raises:
        SetupError: as `full_spec`.
        UsageError: no model is named, or one twice; or several processes are asked for where there is no network.
    """
    specs: list[str] = []
    for part in specs_in(text):
        provider, spec = find_provider(part.partition(":")[0]), full_spec(part, settings)
        if spec in specs:
            raise UsageError(f"{spec} stands twice in --model {text}: name each model once.")
        if workers > 1 and not provider.key_variable:
            raise UsageError(f"--workers is for providers behind a network: leave it out with {provider.name}.")
        specs.append(spec)
    if not specs:
        raise UsageError("No model is named: write --model provider:NAME, such as ollama:mistral, or --model berry.")
    return specs


def _member(opening: Opening, gate: Gate, workers: int) -> Member:
    opening = replace(opening, options=replace(opening.options, heard=gate.heard))
    model = open_with(opening)
    if workers == 1:
        return Member(model, gate)
    return Member(Workers(model, opening, workers), gate)
