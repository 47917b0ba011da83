"""The rounds of a loop (`strawberry bootstrap`) as the page compares them, read from its `lineage.json`.

Figures: the share of held-out problems right and the steps of a trace, by size, for the student as it came and for the
model of every accepted round. The table has a line for every attempt: what was trained on what, and what came of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openstrawberry.errors import SetupError
from openstrawberry.evaluation.plots import Point
from openstrawberry.training.recipe import Recipe
from openstrawberry.wording import cause, counted

HEADER = ("round", "trained from", "on traces of", "sizes", "data", "recipe", "verdict", "why")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Scored(_Record):
    """How a model did on held-out problems of one size; `steps`: mean turns of its right traces, None without any."""

    family: str
    size: str
    share: float
    low: float
    high: float
    steps: float | None = None

    @property
    def right(self) -> tuple[float, float, float]:
        """The share right, and its 95% interval."""
        return self.share, self.low, self.high

    @property
    def length(self) -> tuple[float, float, float] | None:
        """The steps, as a value with an interval that nobody knows."""
        return None if self.steps is None else (self.steps, self.steps, self.steps)

    @property
    def told(self) -> str:
        """Both, in a few words."""
        return f"{self.share:.0%}" + ("" if self.steps is None else f", {self.steps:g} steps")


class Attempt(_Record):
    """One model that was trained in a round."""

    trained: tuple[dict[str, Any], ...] = ()
    accepted: bool
    reason: str = ""
    scores: tuple[Scored, ...] = ()


class Rows(_Record):
    """A file that was trained on."""

    rows: int


class Round(_Record):
    """One round: from which model it began, whose traces of which sizes it used, and what was trained."""

    number: int = Field(alias="round")
    begun_from: str = Field(alias="from")
    teacher: str = ""
    sizes: tuple[str, ...] = ()
    pairs: Rows
    conversations: Rows
    attempts: tuple[Attempt, ...] = ()


class Student(_Record):
    """The model as it came."""

    model: str = ""
    scores: tuple[Scored, ...] = ()


class Loop(_Record):
    """A whole loop."""

    student: Student
    rounds: tuple[Round, ...]

    @property
    def kept(self) -> dict[str, tuple[Scored, ...]]:
        """The student as it came and the model of every accepted round, each with its scores."""
        found = {"before": self.student.scores}
        for each in self.rounds:
            found |= {f"round {each.number}": attempt.scores for attempt in each.attempts if attempt.accepted}
        return found

    @property
    def families(self) -> list[str]:
        """Among which problems sizes can be compared."""
        return sorted({score.family for scores in self.kept.values() for score in scores})

    def series(
        self, family: str, value: Callable[[Scored], tuple[float, float, float] | None]
    ) -> dict[str, list[Point]]:
        """Values by size, for each model that was kept; sizes that are no numbers stand in their order."""
        return {
            name: [
                Point(_x(score.size, place), *found)
                for place, score in enumerate(score for score in scores if score.family == family)
                if (found := value(score))
            ]
            for name, scores in self.kept.items()
        }

    @property
    def sizes(self) -> list[tuple[str, ...]]:
        """A line for every size: what each model that was kept did there."""
        cells = {name: {(s.family, s.size): s.told for s in scores} for name, scores in self.kept.items()}
        sizes = dict.fromkeys(size for found in cells.values() for size in found)
        return [(" ".join(size), *(found.get(size, "") for found in cells.values())) for size in sizes]

    @property
    def table(self) -> list[tuple[str, ...]]:
        """A line for every attempt, as `HEADER` says."""
        return [_line(each, attempt) for each in self.rounds for attempt in each.attempts]


def loops(home: Path) -> list[Path]:
    """The loops below `home`, the newest first."""
    files = [*home.glob("lineage.json"), *home.glob("*/lineage.json"), *home.glob("*/*/lineage.json")]
    return [file.parent for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)]


def read_loop(path: Path) -> Loop:
    """The loop at `path`.

    Raises:
        SetupError: its `lineage.json` is missing or damaged.
    """
    try:
        return Loop.model_validate_json((path / "lineage.json").read_bytes())
    except OSError as error:
        raise SetupError(
            f"{path} holds no loop that can be read ({cause(error)}): name one made by bootstrap."
        ) from error
    except ValidationError as error:
        raise SetupError(f"{path / 'lineage.json'} is damaged: run the loop again.") from error


def _line(each: Round, attempt: Attempt) -> tuple[str, ...]:
    data = f"{counted(each.pairs.rows, 'pair')}, {counted(each.conversations.rows, 'trace')}"
    return (
        str(each.number),
        each.begun_from,
        each.teacher or each.begun_from,
        ", ".join(each.sizes),
        data,
        " then ".join(map(_recipe, attempt.trained)),
        "accepted" if attempt.accepted else "rejected",
        attempt.reason,
    )


def _recipe(settings: dict[str, Any]) -> str:
    try:
        return Recipe.model_validate(settings).describe()
    except ValidationError:  # of another version
        return str(settings.get("method", ""))


def _x(size: str, place: int) -> float:
    digits = size.replace(".", "", 1)
    return float(size) if digits.isascii() and digits.isdigit() else float(place)
