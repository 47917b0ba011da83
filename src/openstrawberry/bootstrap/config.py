"""What a loop is asked to do. Every field can stand in the YAML file of `strawberry bootstrap --config`."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from openstrawberry.training.recipe import Recipe

_FREE = {"rounds", "hours", "budget_usd", "budget_tokens", "prices", "out"}  # may change between two commands


class Frozen(BaseModel):
    """Settings that cannot change, and refuse keys they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Family(Frozen):
    """One ladder of problems that get harder with their size.

    `train` and `heldout` are problem sources with `{size}`, `{n}` and `{seed}` in them (a file has `{size}` only, such
    as `level-{size}.jsonl`). `sizes` is a range such as `1-20` or a list of names, easiest first; `easy` says which of
    them the student can do already (None: found out by measuring from below).
    """

    name: str
    train: str
    heldout: str
    sizes: str | list[str]
    easy: str | list[str] | None = None

    @field_validator("train", "heldout")
    @classmethod
    def _seeded(cls, value: str) -> str:
        if value.startswith(("builtin:", "gym:")) and not ("{seed}" in value and "{n}" in value):
            raise ValueError("put {n} and {seed} into it, so that every round can draw problems of its own")
        return value

    @property
    def ladder(self) -> list[str]:
        """The sizes in order."""
        return _sizes(self.sizes)

    @property
    def known(self) -> list[str] | None:
        """The easy sizes, where they are given."""
        return None if self.easy is None else _sizes(self.easy)

    @field_validator("sizes", "easy")
    @classmethod
    def _readable(cls, value: str | list[str] | None) -> str | list[str] | None:
        if value is not None and not _sizes(value):
            raise ValueError("write it as a range such as 1-20, or as a list")
        return value


class Sampling(Frozen):
    """How traces are made. `problems` and `samples` are per size and round."""

    strategy: str = "strawberry"
    set: dict[str, Any] = Field(default_factory=lambda: {"max_turns": 80})
    prompts: Path | None = None
    prompt_set: str | None = None
    temperature: float | None = Field(default=0.7, ge=0, le=5)
    max_tokens: int = Field(default=160, ge=1)
    problems: int = Field(default=160, ge=2)
    samples: int = Field(default=4, ge=2)
    concurrency: int = Field(default=64, ge=1)


class Choosing(Frozen):
    """What becomes training data. `clean`: every step must follow the known procedure (where a task has one)."""

    skew: float = Field(default=0.5, ge=0)
    clean: bool = True
    per_problem: int = Field(default=2, ge=1)
    fewest_pairs: int = Field(default=32, ge=1)
    earlier: float = Field(default=0.2, ge=0, lt=1)
    easy: float = Field(default=0.15, ge=0, lt=1)
    easy_problems: int = Field(default=25, ge=1)


class Exam(Frozen):
    """How a round is judged, on held-out problems that are the same in every round.

    `problems` a size near the frontier, `easy_problems` a size far below; `margin`: the loss that is tolerated at the
    easy sizes pooled; `passing`: the share from which a size counts as done; `reach`: sizes above the frontier that are
    measured, and tried in the next round; `level`: of significance.
    """

    problems: int = Field(default=200, ge=10)
    easy_problems: int = Field(default=50, ge=1)
    passing: float = Field(default=0.80, gt=0, le=1)
    margin: float = Field(default=0.02, gt=0, lt=1)
    reach: int = Field(default=2, ge=1)
    low: float = Field(default=0.03, ge=0, lt=1)
    level: float = Field(default=0.05, gt=0, lt=1)


def _builtin(name: str, sizes: str, easy: str) -> Family:
    source = f"builtin:{name}?size={{size}}&n={{n}}&seed={{seed}}&split="
    return Family(name=name, train=source + "train", heldout=source + "held-out", sizes=sizes, easy=easy)


def usual_recipes() -> list[list[Recipe]]:
    """Preferences first, then supervised; and a gentler second try."""
    supervised = Recipe(method="sft", learning_rate=5e-4, epochs=3)
    return [[Recipe(), supervised], [supervised.model_copy(update={"learning_rate": 2e-4, "epochs": 2})]]


class Loop(Frozen):
    """A whole loop; the defaults are the embedded model's.

    `recipes` are tried in turn within a round until one is accepted; each is a list of trainings done one after the
    other. `start`: what a round's training starts from, the last accepted model or the first (as STaR does, Zelikman et
    al. 2022, arXiv 2203.14465). `teacher`: who makes the traces, the student itself unless named. `hours`, `budget_usd`
    and `budget_tokens` hold over all commands of the loop; `prices` is a file of your own prices.
    """

    student: str = "berry"
    teacher: str | None = None
    rounds: int = Field(default=3, ge=1, le=1000)
    ladder: list[Family] = Field(
        default_factory=lambda: [_builtin("add", "1-40", "1-5"), _builtin("count", "3-24", "3-10")]
    )
    sampling: Sampling = Sampling()
    choosing: Choosing = Choosing()
    exam: Exam = Exam()
    recipes: list[list[Recipe]] = Field(default_factory=usual_recipes)
    start: Literal["last", "base"] = "last"
    seed: int = Field(default=0, ge=0, le=2**31)
    hours: float | None = Field(default=None, gt=0)
    budget_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    budget_tokens: int | None = Field(default=None, ge=1, le=2**62)
    prices: Path | None = None
    out: Path = Path("loops/berry")

    @field_validator("recipes")
    @classmethod
    def _some(cls, value: list[list[Recipe]]) -> list[list[Recipe]]:
        if not value or not all(value):
            raise ValueError("name at least one training per recipe")
        return value

    def identity(self) -> dict[str, Any]:
        """What a continuation must share: all but how far to go and where it lies."""
        found: dict[str, Any] = self.model_dump(mode="json", exclude=_FREE)
        return found


def _sizes(text: str | list[str]) -> list[str]:
    if isinstance(text, list):
        return [str(each) for each in text]
    low, dash, high = text.partition("-")
    if low.isdigit() and (high.isdigit() or not dash):
        return [str(size) for size in range(int(low), int(high or low) + 1)]
    return []
