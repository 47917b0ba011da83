"""What the exporter and the runtime must agree on: file names, and the sizes in a checkpoint's `config.json`."""

import json
from dataclasses import dataclass
from pathlib import Path

GRAPH = "model.onnx"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Shape:
    """The sizes that the step graph is built from and run with."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    groups: int
    head: int
    window: int
    theta: float
    epsilon: float

    @classmethod
    def read(cls, folder: Path) -> "Shape":
        config = json.loads((folder / "config.json").read_text())
        rope = config.get("rope_parameters") or {}
        return cls(
            vocabulary=config["vocab_size"],
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            groups=config["num_key_value_heads"],
            head=config["head_dim"],
            window=config["sliding_window"],
            theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            epsilon=config["rms_norm_eps"],
        )
