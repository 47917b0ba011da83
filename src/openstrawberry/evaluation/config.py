"""What an evaluation is asked to do: every flag of `strawberry eval` is a field here, and a key of `--config` YAML."""

import shlex
from pathlib import Path
from typing import Any

from pydantic import Field

from openstrawberry.config import CommonConfig, RunConfig
from openstrawberry.evaluation.methods import Entry
from openstrawberry.store.run import digest_of

DEFAULT_PROBLEMS = "builtin:heldout?n=20"

# What may change between an evaluation and its continuation: it alters what is reported or how, not what is measured.
_FREE = {"out", "home", "concurrency", "requests_per_minute", "tokens_per_minute", "k", "against", "all_pairs",
         "baseline", "timeout", "attempts", "keep_alive", "cache_ttl", "prices", "budget_usd", "budget_tokens",
         "allow_trained_on"}  # fmt: skip
_FLAGS = {"models": "model", "methods": "method"}


class Evaluation(CommonConfig):
    """Settings of one evaluation: every model with every method on the same problems with the same seeds."""

    models: list[str] = Field(default_factory=list)
    methods: list[str] = Field(default_factory=list)
    critic_model: str | None = None
    judge_model: str | None = None
    prm: str | None = None
    """The process reward model of the methods that score steps, as prm:PATH."""
    problems: str = DEFAULT_PROBLEMS
    samples: int = Field(default=1, ge=1, le=10_000)
    k: list[int] | None = None
    """k of pass@k and maj@k; unset: 2, 4, 8 ... up to the number of samples, and that number."""
    against: str | None = None
    """The row that the others are compared with; unset: the first."""
    all_pairs: bool = False
    baseline: Path | None = None
    """An earlier report.json, or the folder it is in."""
    out: Path | None = None
    home: Path = Path("evals")
    final_every: int | None = Field(default=None, ge=0, le=1_000_000)
    verifier: str | None = None
    allow_trained_on: bool = False
    """Measure models also on problems that they were trained on."""

    @property
    def capped(self) -> bool:
        """Whether there is a budget."""
        return self.budget_usd is not None or self.budget_tokens is not None

    @property
    def ks(self) -> list[int]:
        """The k of pass@k and maj@k; 1 is the accuracy itself."""
        if self.k is not None:
            return sorted(set(self.k))
        powers = [2**power for power in range(1, 14) if 2**power < self.samples]
        return [*powers, self.samples] if self.samples > 1 else []

    @property
    def digest(self) -> str:
        """Short hash of all that decides what is measured."""
        unnamed = {role for role in ("critic_model", "judge_model") if getattr(self, role) is None}
        measured: dict[str, Any] = self.model_dump(mode="json", exclude=_FREE | unnamed)
        return digest_of(measured)

    @property
    def command(self) -> str:
        """The whole command that this stands for: every setting that is not the default."""
        words, fields = ["strawberry", "eval"], type(self).model_fields
        for name in dict.fromkeys([*type(self).__annotations__, *fields]):  # its own first
            value, flag = getattr(self, name), f"--{_FLAGS.get(name, name).replace('_', '-')}"
            if value is True:
                words.append(flag)
            elif isinstance(value, list):
                words += [word for each in value for word in (flag, str(each))]
            elif value not in (None, False) and (value != fields[name].default or name == "problems"):
                words += [flag, str(value)]
        return shlex.join(words)

    def run_config(self, entry: Entry, folder: Path) -> RunConfig:
        """What `generate` is asked to do for one row."""
        shared = self.model_dump(include=set(RunConfig.model_fields) - {"out", "home"})
        method = entry.method
        return RunConfig(
            **shared,
            model=entry.model,
            strategy=method.strategy,
            set=method.options,
            out=folder / entry.folder,
            home=folder,
        )
