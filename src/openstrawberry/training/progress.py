"""What a training tells while it goes on, and when it has ended."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Share = tuple[float, float, float]
"""A share, and the ends of its 95% interval."""


@dataclass(frozen=True)
class Step:
    """Progress. `chosen` and `rejected`: mean log-probability of a trace in nats; NaN where the loss has none."""

    step: int
    steps: int
    loss: float
    chosen: float
    rejected: float
    seconds: float
    eta_s: float


@dataclass(frozen=True)
class Probed:
    """A held-out pass rate on the way: `right` of `problems`."""

    step: int
    right: int
    problems: int


@dataclass(frozen=True)
class Notice:
    """A sentence that the reader must not miss."""

    text: str


@dataclass(frozen=True)
class Grade:
    """What was measured on held-out steps, with 95% intervals.

    `auc`: how often a good step scores above a bad one; None where one kind is missing. `commonest`: the accuracy of
    always giving the more frequent label.
    """

    steps: int
    problems: int
    accuracy: Share
    commonest: float
    auc: Share | None

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers by name, as they go into the model card."""
        known = {"accuracy": self.accuracy, **({"auc": self.auc} if self.auc else {})}
        shares = {
            f"{name}{end}": value
            for name, share in known.items()
            for end, value in zip(("", "_low", "_high"), share, strict=True)
        }
        counts = {"heldout_problems": float(self.problems), "heldout_steps": float(self.steps)}
        return {name: round(value, 4) for name, value in (shares | {"commonest": self.commonest} | counts).items()}


@dataclass(frozen=True)
class Trained:
    """What came out: where it lies, the spec that runs it, and what was measured."""

    folder: Path
    spec: str
    base: str
    steps: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def next(self) -> str:
        """The command that shows what it is good for."""
        if self.spec.startswith("prm:"):
            return f"strawberry generate --strategy vote --set weight=prm --prm {self.spec}"
        return f"strawberry eval --model {self.spec} --model {self.base}"


Progress = Step | Probed | Grade | Notice
Tell = Callable[[Progress], None]
Play = Callable[[Any], tuple[int, int]]
"""Plays the held-out problems with a live model: (right, problems)."""
