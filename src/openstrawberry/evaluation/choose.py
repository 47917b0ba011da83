"""What a bare `strawberry eval` compares: the newest trained model with its base, or else the methods of berry."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstrawberry.evaluation.methods import short_model
from openstrawberry.training.card import CARD, read

METHODS = ("zero-shot", "few-shot", "cot", "strawberry")
STEPS = "strawberry"


@dataclass(frozen=True)
class Choice:
    """Models and methods, and a sentence that says why these; empty where the command said it all."""

    models: list[str]
    methods: list[str]
    why: str = ""
    all_pairs: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of an `Evaluation` that were chosen."""
        chosen = {"models": self.models, "methods": self.methods}
        return {**chosen, "all_pairs": True} if self.all_pairs else chosen


def choose(models: list[str], methods: list[str], below: Path = Path("models")) -> Choice:
    """Fills in what the command does not say. The first row is what the others are compared with."""
    if models:
        return Choice(models, methods or [STEPS])
    trained = newest_trained(below)
    if trained is None:
        chosen = methods or list(METHODS)
        why = f"No trained model in {below}/, so this is berry with {', '.join(chosen)}."
        return Choice(["berry"], chosen, why, all_pairs=not methods)
    why = (
        f"The newest trained model in {below}/, {short_model(trained[1])}, beside its base, {short_model(trained[0])}."
    )
    return Choice(list(trained), methods or [STEPS], why)


def newest_trained(below: Path) -> tuple[str, str] | None:
    """(spec of the base, spec of the model) of the newest folder below `below` that training wrote."""
    found = []
    for file in below.rglob(CARD):
        card = read(file.parent)
        created, base, spec = (str(card.get(key, "")) for key in ("created", "base", "spec"))
        if created and base and spec:
            found.append((created, base, spec))
    return max(found)[1:] if found else None
