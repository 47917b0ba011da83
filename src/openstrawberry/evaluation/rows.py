"""The records of a report: one row per model and method, its measures, and what became of each problem.

Unknown is None, never 0. Shares are fractions with their 95% interval; `Interval` is (mean, low, high).
"""

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from openstrawberry.stats import Interval


class Outcome(NamedTuple):
    """What became of one problem in one row; a short list in the JSON, so that thousands fit.

    `tried` counts the samples that could be judged, `right` those that were right; `clean` those whose every step was
    right as well (-1: the task does not know its steps) and `clean_steps` how many replies these took together.
    """

    problem: str
    family: str
    size: float
    right: int
    tried: int
    clean: int
    clean_steps: int


class Measures(BaseModel):
    """What a row, or one size of it, came to.

    `problems` and `traces` are those that count; `excluded` are traces that say nothing about the model, by the reason
    (error, timeout, unknown). Rates are means over problems. `steps` are the model's replies on the way to an answer,
    `clean_steps` those of clean traces. `tokens_in`, `tokens_out` and `seconds` are means per trace, `dollars` the sum.
    """

    model_config = ConfigDict(frozen=True)

    problems: int
    traces: int
    excluded: dict[str, int]
    accuracy: Interval | None
    pass_at: dict[int, Interval]
    majority_at: dict[int, Interval]
    no_answer: float | None
    clean: Interval | None
    steps: float | None
    clean_steps: float | None
    tokens_in: float | None
    tokens_out: float | None
    dollars: float | None
    seconds: float | None


class Group(BaseModel):
    """The problems of one family and size."""

    model_config = ConfigDict(frozen=True)

    family: str
    size: float
    measures: Measures

    @property
    def label(self) -> str:
        """Such as `add 6`, or `difficulty 3` where the problems name no family."""
        return f"{self.family or 'difficulty'} {self.size:g}"


class Mistake(BaseModel):
    """A problem that was answered wrongly, to look at."""

    model_config = ConfigDict(frozen=True)

    question: str
    answer: str
    given: str


class Row(BaseModel):
    """One model with one method on all problems."""

    model_config = ConfigDict(frozen=True)

    name: str
    model: str = ""
    method: str = ""
    runs: list[str] = []
    overall: Measures
    groups: list[Group] = []
    mistakes: list[Mistake] = []
    outcomes: list[Outcome] = []
