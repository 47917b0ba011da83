"""How much memory a training will take, before it starts.

An estimate, not a promise: weights, gradients and the two moments of Adam are exact, activations follow the usual count
per token and layer (Korthikanti et al. 2022, arXiv 2205.05198) with attention matrices where they are kept.
"""

from dataclasses import dataclass
from typing import Any

from openstrawberry.errors import SetupError

GIB = 2**30


@dataclass(frozen=True)
class Load:
    """What decides the need: `sequences` and `tokens` of one device batch, `trained` and `parameters` by count."""

    parameters: int
    trained: int
    weight_bytes: int
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    sequences: int
    tokens: int
    checkpointing: bool
    eager: bool

    @property
    def bytes(self) -> int:
        """The estimate in bytes."""
        state = self.parameters * self.weight_bytes + self.trained * 12
        state += 0 if self.trained == self.parameters else self.trained * 4
        area = self.sequences * self.tokens
        per_layer = area * (14 * self.hidden + 4 * self.feed_forward) * 4
        if self.eager:
            per_layer += 3 * self.heads * self.sequences * self.tokens**2 * 4
        kept = per_layer if self.checkpointing else per_layer * self.layers
        kept += area * self.hidden * 4 * self.layers if self.checkpointing else 0
        return int(1.2 * (state + kept)) + GIB // 2


def load_of(model: Any, sequences: int, tokens: int, trained: int, checkpointing: bool, eager: bool) -> Load:
    """The load of a transformers model (on any device, `meta` too)."""
    config = model.config.get_text_config()
    parameters = sum(p.numel() for p in model.parameters())
    return Load(
        parameters=parameters,
        trained=trained or parameters,
        weight_bytes=next(model.parameters()).element_size(),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        feed_forward=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        heads=config.num_attention_heads,
        sequences=sequences,
        tokens=tokens,
        checkpointing=checkpointing,
        eager=eager,
    )


def available(device: str) -> int:
    """Bytes free on the device."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    import psutil

    return int(psutil.virtual_memory().available)


def require(load: Load, free: int, device: str) -> None:
    """Refuses a training that would not fit.

    Raises:
        SetupError: with both numbers, and what makes it smaller.
    """
    if load.bytes > free:
        advice = ["--per-device-batch 1", "--max-length with a smaller number"]
        advice = (["--lora 16"] if load.trained == load.parameters else []) + advice
        raise SetupError(
            f"Training would take about {load.bytes / GIB:.1f} GiB and {free / GIB:.1f} GiB are free on this {device}: "
            f"try {', '.join(advice[:-1])} or {advice[-1]}."
        )
