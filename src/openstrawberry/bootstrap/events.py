"""What a loop tells while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openstrawberry.engine.events import Event
from openstrawberry.training.progress import Progress


@dataclass(frozen=True)
class StageStarted:
    """A stage of a round begins; `traces` how many it will make (0 where it makes none). Round 0 is the base's."""

    round: int
    stage: str
    what: str
    traces: int = 0


@dataclass(frozen=True)
class RoundEnded:
    """A recipe was judged. `note`: the sentence why."""

    round: int
    recipe: int
    accepted: bool
    note: str


@dataclass(frozen=True)
class Reported:
    """The report was written anew."""

    folder: Path


LoopEvent = StageStarted | RoundEnded | Reported | Event | Progress
Hear = Callable[[LoopEvent], None]
