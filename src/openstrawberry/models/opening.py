"""Opens what a user wrote after `--model`: one model, or several that share the load, each under each of its keys."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.models.gate import Gate
from openstrawberry.models.model import specs_in
from openstrawberry.models.provider import Opening
from openstrawberry.models.registry import open_with, openings
from openstrawberry.models.stack import Member
from openstrawberry.models.workers import Workers
from openstrawberry.settings import Settings


def open_members(
    text: str, settings: Settings, gate: Callable[[str], Gate], *, workers: int = 1, **options: Any
) -> tuple[str, list[Member]]:
    """The spec of the whole, with default names filled in, and its members. `gate` makes the gate of a provider.

    `workers`: processes that send the requests of each member, where one is not enough.

    Raises:
        SetupError: as `openings`; a model is named twice; or several processes are asked for where there is no network.
    """
    if not specs_in(text):
        raise SetupError("No model is named: write --model provider:NAME, such as ollama:mistral, or --model berry.")
    members: list[Member] = []
    specs: list[str] = []
    for part in specs_in(text):
        found = openings(part, settings, **options)
        if found[0].spec in specs:
            raise SetupError(f"{found[0].spec} stands twice in --model {text}: name each model once.")
        specs.append(found[0].spec)
        members += [_member(opening, gate(opening.provider.name), workers) for opening in found]
    return ",".join(specs), members


def _member(opening: Opening, gate: Gate, workers: int) -> Member:
    opening = replace(opening, options=replace(opening.options, heard=gate.heard))
    model = open_with(opening)
    if workers == 1:
        return Member(model, gate)
    if not opening.provider.key_variable:
        raise SetupError(f"--workers is for providers behind a network: leave it out with {opening.provider.name}.")
    return Member(Workers(model, opening, workers), gate)
