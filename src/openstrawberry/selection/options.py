"""What to select: every flag of `strawberry select` is a field here."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from openstrawberry.errors import UsageError
from openstrawberry.selection.difficulty import Band

Unit = Literal["trace", "step", "correction"]
Pairing = Literal["skewed", "plain"]
Format = Literal["trl", "kto", "sft", "prm", "sharegpt", "openai"]
Rendering = Literal["chat", "flat"]
_FILES: dict[Format, str] = {
    "trl": "pairs", "kto": "labelled", "sft": "conversations", "prm": "steps", "sharegpt": "sharegpt",
    "openai": "preferences",
}  # fmt: skip
PAIRED: frozenset[str] = frozenset({"trl", "openai"})
"""Formats whose rows are preference pairs; the rows of the others hold one trace each."""
WRONG_TOO: frozenset[str] = frozenset({"kto", "prm"})
"""Formats that learn from wrong traces by themselves."""


class Selecting(BaseModel):
    """Settings of one selection.

    `unit`: what is preferred over what (see `pairs.py` and `siblings.py`). `skew`: how much more a pair counts whose
    right trace is the shorter one, in nats of implicit reward per factor e of steps; 0 turns it off. `pairing`: which
    traces pair up; follows the skew unless said. `clean`: only right traces whose every step is right. None asks this
    where the task knows its steps and the runs are told in them, True drops whatever cannot be verified as well, False
    is off. `composed`: replies that a strategy put together (`journey`) may be learnt, each as a whole. `hinted`:
    whether traces are learnt from whose model had been shown the answer (`rationalize`). `per_problem`: rows of one
    problem at most; of each kind where right and wrong traces are rows by themselves. `balance`: no size has more than
    so many times the rows of the median size; 0 is off. `low`, `high`: the band of barely solvable problems;
    `band_only` leaves out the others (None: for pairs yes, for single traces no, for step labels of ordinary samples
    those with one outcome only). `near`: rows whose texts overlap this much (Jaccard, five-word shingles) are one; 1
    leaves out exact copies alone. `evaluation`: problem sources that must stay unseen; `drop_evaluated` leaves their
    problems out instead of refusing. `ngram`: words in a row that a long question may share with one of them at most,
    plus one; 0 is off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Unit = "trace"
    skew: float = Field(default=1.0, ge=0, le=1000)
    pairing: Pairing | None = None
    clean: bool | None = None
    composed: bool = False
    hinted: bool = True
    per_problem: int = Field(default=4, ge=1, le=1_000_000)
    balance: float = Field(default=2.0, ge=0, le=1_000_000)
    low: float = Field(default=0.05, ge=0, le=1)
    high: float = Field(default=0.80, ge=0, le=1)
    band_only: bool | None = None
    near: float = Field(default=0.95, gt=0, le=1)
    evaluation: tuple[str, ...] = ()
    drop_evaluated: bool = False
    ngram: int = Field(default=13, ge=0, le=10_000)
    format: Format = "trl"
    rendering: Rendering = "chat"
    seed: int = Field(default=0, ge=-(2**62), le=2**62)

    @model_validator(mode="after")
    def _fits(self) -> "Selecting":
        if self.low > self.high:
            raise UsageError(f"The band runs from {self.low:g} to {self.high:g}: write --low below --high.")
        if self.rendering == "flat" and self.unit != "trace":
            raise UsageError(
                f"--rendering flat joins a whole trace into one reply, and --unit {self.unit} compares single turns: "
                "use --unit trace, or --rendering chat."
            )
        if not self.paired and self.unit != "trace":
            raise UsageError(
                f"--format {self.format} holds whole traces, so --unit {self.unit} has no meaning there: "
                "leave --unit out, or use --format trl."
            )
        if self.format == "prm" and (self.rendering == "flat" or self.clean):
            option = "--rendering flat" if self.rendering == "flat" else "--clean"
            raise UsageError(
                f"--format prm labels every step of a trace, the bad ones too, so {option} has no meaning there: "
                "leave it out, or use --format sft."
            )
        if self.format == "openai" and self.rendering == "chat" and self.unit == "trace":
            raise UsageError(
                "OpenAI's preference format allows one assistant message on each side, and whole traces have many: "
                "use --rendering flat, or --unit step."
            )
        return self

    @property
    def band(self) -> Band:
        """The band of barely solvable problems."""
        return Band(self.low, self.high)

    @property
    def file_name(self) -> str:
        """What the file is called unless told otherwise."""
        return f"{_FILES[self.format]}.jsonl"

    @property
    def paired(self) -> bool:
        """Whether the rows are preference pairs."""
        return self.format in PAIRED

    @property
    def in_band_only(self) -> bool:
        """Whether problems outside the band are left out."""
        return self.paired if self.band_only is None else self.band_only

    @property
    def skewed(self) -> bool:
        """Whether the shortest right traces are taken first, and paired with the longest wrong ones."""
        return (self.pairing or ("skewed" if self.skew else "plain")) == "skewed"
