"""How to train: every flag of `train-dpo`, `train-sft` and `train-prm` is a field here."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["dpo", "sft", "prm"]
Loss = Literal["sigmoid", "sigmoid_norm", "ipo", "robust", "kto"]
StepLabels = Literal["soft", "hard"]

SMALL = 100_000_000
"""Parameters below which a model takes, and needs, far larger steps."""


class Recipe(BaseModel):
    """Settings of one training. None means: chosen by what is trained (see `resolved_*`).

    `beta` is the strength of the pull towards the model as it was; `sft_weight` the weight of the ordinary likelihood
    of the chosen trace beside the preference loss (RPO, Pang et al. 2024, arXiv 2404.19733), which keeps the chosen
    traces from becoming unlikely together with the rejected ones. `mix` are files of ordinary conversations with their
    share of all rows. `warmup` is a share of the steps. A process reward model learns the `labels` of steps: `soft`,
    the share of rollouts that came out right, or `hard`, whether any did; a share `heldout` of the problems is kept
    back to measure it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = "dpo"
    loss: Loss = "sigmoid"
    labels: StepLabels = "soft"
    heldout: float = Field(default=0.1, ge=0, le=0.9)
    beta: float = Field(default=0.1, gt=0, le=100)
    sft_weight: float = Field(default=1.0, ge=0, le=100)
    label_smoothing: float = Field(default=0.1, ge=0, lt=0.5)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    epochs: float = Field(default=1.0, gt=0, le=10_000)
    steps: int | None = Field(default=None, ge=1, le=10_000_000)
    batch_size: int = Field(default=16, ge=1, le=65_536)
    per_device_batch: int | None = Field(default=None, ge=1, le=65_536)
    warmup: float = Field(default=0.1, ge=0, le=1)
    max_length: int | None = Field(default=None, ge=8, le=10_000_000)
    lora: int | None = Field(default=None, ge=0, le=4096)
    mix: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0, le=2**31)
    save_every: int = Field(default=50, ge=1, le=10_000_000)
    probe: str | None = None
    probe_every: int = Field(default=25, ge=1, le=10_000_000)
    patience: int = Field(default=3, ge=1, le=10_000)
    export: Literal["none", "onnx"] | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def describe(self) -> str:
        """The recipe in a few words."""
        if self.method == "sft":
            return "supervised"
        if self.method == "prm":
            return f"process reward, {self.labels} labels"
        also = f" + {self.sft_weight:g} x likelihood" if self.sft_weight and self.loss != "kto" else ""
        return f"{'DPO' if self.loss == 'sigmoid' else self.loss}{also}, beta {self.beta:g}"

    def rate(self, parameters: int, lora: bool) -> float:
        """The learning rate: the one asked for, else by method and size.

        Large models: trl's own defaults (1e-6 for preferences, 2e-5 supervised), ten times that for LoRA; 1e-5 for a
        process reward. Models below `SMALL` parameters: 3e-5 and 3e-4, found on the embedded model (docs/learning.md).
        """
        if self.learning_rate is not None:
            return self.learning_rate
        if parameters < SMALL:
            return 3e-5 if self.method == "dpo" else 3e-4
        return {"dpo": 1e-6, "sft": 2e-5, "prm": 1e-5}[self.method] * (10 if lora else 1)


def out_or_new(out: Path | None, home: Path, name: str) -> Path:
    """The folder to write to: the one asked for, else `home/name`, numbered so that nothing is overwritten."""
    if out is not None:
        return out
    number, path = 1, home / name
    while path.exists():
        number += 1
        path = home / f"{name}-{number}"
    return path
