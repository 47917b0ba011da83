"""What an evolution is asked to do: every flag of `strawberry evolve` is a field here, and a key of `--config` YAML."""

import re
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from openstrawberry.config import CommonConfig, RunConfig
from openstrawberry.evolve.generators import STEPS
from openstrawberry.evolve.operators import OPERATORS, Operator
from openstrawberry.registry import unknown

# What may change between an evolution and its continuation: how far and how fast it goes, not what comes of a problem.
# Models and prompts may not, but are named without address and by their digest (`cast.py`).
_FREE = {"problems", "question_column", "answer_column", "skip_bad_rows", "limit", "rounds", "out", "concurrency",
         "requests_per_minute", "tokens_per_minute", "timeout", "attempts", "keep_alive", "cache_ttl", "prices",
         "budget_usd", "budget_tokens", "model", "solver_model", "target_model", "prompts"}  # fmt: skip


class Evolving(CommonConfig):
    """Settings of one evolution.

    `model` writes the new problems; it also solves them and is the target whose difficulty is measured, unless
    `solver_model` and `target_model` name others. None means: the model's or the strategy's own default.
    """

    model: str = "berry"
    solver_model: str | None = None
    target_model: str | None = None
    rounds: int = Field(default=2, ge=1, le=1000)
    operators: list[Operator] = Field(default_factory=lambda: list(OPERATORS), min_length=1)
    written: bool = False
    """Let the model write also what a generator could make."""
    solvers: int = Field(default=5, ge=2, le=1000)
    agree: float = Field(default=0.8, gt=0.5, le=1)
    solver_strategy: str = "cot"
    samples: int = Field(default=8, ge=0, le=10_000)
    """Tries of the target per problem at most; 0 keeps problems of any difficulty."""
    strategy: str | None = None
    """How the target tries; unset: the step game where it is berry, else a chain of thought."""
    near: float = Field(default=0.9, gt=0, le=1)
    out: Path | None = None
    temperature: float | None = Field(default=None, gt=0, le=5)
    """Never 0: solvers that draw the same would agree with themselves."""
    set: dict[str, Any] = Field(default_factory=dict)

    @field_validator("operators", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """Names, also as one text with commas, each once and in the usual order."""
        asked = value.split(",") if isinstance(value, str) else value
        if not isinstance(asked, list | tuple):
            return value
        names = [name.strip() for each in asked for name in str(each).split(",") if name.strip()]
        for name in names:
            if name not in OPERATORS:
                raise ValueError(unknown("operator", name, OPERATORS))
        return [name for name in OPERATORS if name in names]

    @field_validator("samples")
    @classmethod
    def _more_than_one(cls, value: int) -> int:
        if value == 1:
            raise ValueError(
                "one try is never both right and wrong: ask for 2 or more, or for 0, which keeps any difficulty"
            )
        return value

    @property
    def generators(self) -> list[Operator]:
        """The operators that a generator carries out, where it may."""
        return [] if self.written else [operator for operator in self.operators if operator in STEPS]

    @property
    def solver(self) -> str:
        """The spec of the model that solves new problems."""
        return self.solver_model or self.model

    @property
    def target(self) -> str:
        """The spec of the model whose difficulty counts."""
        return self.target_model or self.model

    @property
    def file(self) -> Path:
        """Where the new problems go: as asked for, else `evolved/`, named by the source and the model."""
        if self.out is not None:
            return self.out
        parts = (self.problems.rpartition("/")[2], RunConfig(model=self.model).short_model)
        name = "-".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts)
        return Path("evolved", f"{name[:100]}.jsonl")

    @property
    def work(self) -> Path:
        """The run directory beside the output: every reply, every trace, and what was eliminated."""
        return self.file.with_suffix(".work")

    def writing(self) -> RunConfig:
        """What the writer is told. Options of strategies are the target's."""
        return self._run(self.model, "cot", {})

    def solving(self) -> RunConfig:
        """What each solver is told."""
        return self._run(self.solver, self.solver_strategy, {})

    def trying(self) -> RunConfig:
        """What the target is told."""
        small = RunConfig(model=self.target).small
        return self._run(self.target, self.strategy or ("strawberry" if small else "cot"), self.set)

    def identity(self) -> dict[str, Any]:
        """What a continuation must share: all that decides what comes of a problem."""
        found: dict[str, Any] = self.model_dump(mode="json", exclude=_FREE)
        return found

    def _run(self, model: str, strategy: str, options: dict[str, Any]) -> RunConfig:
        left_out = {"out", "samples", "model", "strategy", "set"}
        shared = self.model_dump(include=set(RunConfig.model_fields) - left_out)
        return RunConfig(**shared, model=model, strategy=strategy, set=options)
