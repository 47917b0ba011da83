"""What the machine can do, and how to get it: device, number format, attention."""

from dataclasses import dataclass
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.training.recipe import SMALL, Recipe


@dataclass(frozen=True)
class Hardware:
    """`device` is cpu or cuda; `bf16` whether to compute in bfloat16."""

    device: str
    bf16: bool

    def dtype(self, lora: bool) -> str:
        """How weights are held: float32 where they are trained, bfloat16 where a GPU only reads them."""
        return "bfloat16" if self.device == "cuda" and lora and self.bf16 else "float32"

    def attention(self, parameters: int) -> str:
        """Eager attention has the faster backward pass for small models on a CPU; elsewhere the fused kernel."""
        return "eager" if self.device == "cpu" and parameters < SMALL else "sdpa"

    def arguments(self, parameters: int) -> dict[str, Any]:
        """Of `transformers.TrainingArguments`."""
        return {
            "use_cpu": self.device == "cpu",
            "bf16": self.bf16,
            "activation_checkpointing": parameters >= SMALL,
            "dataloader_pin_memory": self.device == "cuda",
        }


def find(recipe: Recipe) -> Hardware:
    """The device asked for, or the best there is.

    Raises:
        SetupError: a GPU was asked for and there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if recipe.device == "cuda" and not there:
        raise SetupError("There is no GPU that torch can use: leave --device out, or install torch for your GPU.")
    if there and recipe.device != "cpu":
        return Hardware("cuda", torch.cuda.is_bf16_supported())
    return Hardware("cpu", _fast_bf16())


def _fast_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; emulated, it would be slower than float32."""
    import torch

    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16"))
