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
from openstrawberry.settings import Settings


def open_members(
    text: str, settings: Settings, gate: Callable[[str], Gate], **options: Any
) -> tuple[str, list[Member]]:
    """The spec of the whole, with default names filled in, and its members. `gate` makes the gate of a provider.

    Raises:
        SetupError: as `openings`; or a model is named twice.
    """
    members: list[Member] = []
    specs: list[str] = []
    for part in specs_in(text):
        found = openings(part, settings, **options)
        if found[0].spec in specs:
            raise SetupError(f"{found[0].spec} stands twice in --model {text}: name each model once.")
        specs.append(found[0].spec)
        members += [_member(opening, gate(opening.provider.name)) for opening in found]
    return ",".join(specs), members


def _member(opening: Opening, gate: Gate) -> Member:
    return Member(open_with(replace(opening, options=replace(opening.options, heard=gate.heard))), gate)
