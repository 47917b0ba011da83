"""What a training tells while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


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


Progress = Step | Probed | Notice
Tell = Callable[[Progress], None]
Play = Callable[[Any], tuple[int, int]]
"""Plays the held-out problems with a live model: (right, problems)."""
