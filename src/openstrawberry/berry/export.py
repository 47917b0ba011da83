"""Writes the ONNX step graph beside a checkpoint of berry's architecture, without a second copy of its weights.

The graph advances B conversations by one token each. It is built by hand, because only so can its initialisers be
*external data* that point into the byte ranges of `model.safetensors`: one fp32 file serves both formats, and any
checkpoint becomes runnable by writing some 50 KB next to it.

    inputs   ids [B]                 the new token of each slot
             cos, sin [B, D]         rotary tables of its position
             mask [B, W]             0 where the ring holds a visible token, -inf elsewhere
             keys_i [B, H, D, W]     the ring of layer i, transposed so that no step copies it
             values_i [B, H, W, D]
    outputs  logits [B, V]
             new_keys, new_values [L, B, H, D]     for the caller to write into its rings

B and W are free dimensions of the graph. The new token attends to the ring and to itself through one softmax over both,
so the ring is never concatenated or copied. This is Mistral (Jiang et al. 2023): grouped queries, sliding window,
rotary positions in the half-split layout, RMSNorm, SwiGLU, tied embeddings.
"""

import json
import struct
from pathlib import Path
from typing import Any

from openstrawberry.berry.shape import GRAPH, WEIGHTS, Shape


def export_onnx(folder: Path) -> Path:
    """Write `model.onnx` into a checkpoint folder that holds `config.json` and `model.safetensors`; return its path.

    Raises:
        ValueError: the weights are not in one fp32 safetensors file.
    """
    import onnx

    graph = StepGraph(Shape.read(folder), _byte_ranges(folder / WEIGHTS))
    model = graph.build()
    path = folder / GRAPH
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(path))
    return path


def _byte_ranges(path: Path) -> dict[str, tuple[list[int], int, int]]:
    """Name -> (shape, offset, length) of every tensor in a safetensors file."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    wrong = sorted(name for name, entry in header.items() if entry["dtype"] != "F32")
    if wrong:
        raise ValueError(f"{path} holds {wrong[0]} in {header[wrong[0]]['dtype']}: save the model in float32")
    start = 8 + size
    return {
        name: (entry["shape"], start + entry["data_offsets"][0], entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
    }


class StepGraph:
    """Collects nodes and initialisers; one method per part of the network."""

    def __init__(self, shape: Shape, ranges: dict[str, tuple[list[int], int, int]]) -> None:
        from onnx import helper

        self.helper: Any = helper
        self.shape = shape
        self.ranges = ranges
        self.nodes: list[Any] = []
        self.initialisers: dict[str, Any] = {}

    def build(self) -> Any:
        s, F, I = self.shape, 1, 7  # noqa: E741  # onnx's numbers for float32 and int64
        hidden = self.op("Gather", self.weight("model.embed_tokens.weight"), "ids")
        new_keys, new_values = [], []
        for layer in range(s.layers):
            hidden, key, value = self.layer(layer, hidden, f"keys_{layer}", f"values_{layer}")
            new_keys.append(key)
            new_values.append(value)
        hidden = self.norm("model.norm.weight", hidden)
        self.node("Gemm", [hidden, self.weight("model.embed_tokens.weight")], ["logits"], transB=1)
        self.node("Concat", [self.unsqueeze(key, 0) for key in new_keys], ["new_keys"], axis=0)
        self.node("Concat", [self.unsqueeze(value, 0) for value in new_values], ["new_values"], axis=0)
        tensor = self.helper.make_tensor_value_info
        rings = []
        for layer in range(s.layers):
            rings.append(tensor(f"keys_{layer}", F, ["B", s.groups, s.head, "W"]))
            rings.append(tensor(f"values_{layer}", F, ["B", s.groups, "W", s.head]))
        graph = self.helper.make_graph(
            self.nodes,
            "berry_step",
            inputs=[
                tensor("ids", I, ["B"]),
                tensor("cos", F, ["B", s.head]),
                tensor("sin", F, ["B", s.head]),
                tensor("mask", F, ["B", "W"]),
                *rings,
            ],
            outputs=[
                tensor("logits", F, ["B", s.vocabulary]),
                tensor("new_keys", F, [s.layers, "B", s.groups, s.head]),
                tensor("new_values", F, [s.layers, "B", s.groups, s.head]),
            ],
            initializer=list(self.initialisers.values()),
        )
        opset = [self.helper.make_opsetid("", 18)]
        return self.helper.make_model(graph, opset_imports=opset, ir_version=9, producer_name="openstrawberry")

    def layer(self, number: int, hidden: str, keys: str, values: str) -> tuple[str, str, str]:
        prefix = f"model.layers.{number}."
        normed = self.norm(prefix + "input_layernorm.weight", hidden)
        mixed, key, value = self.attention(prefix + "self_attn.", normed, keys, values)
        hidden = self.op("Add", hidden, mixed)
        normed = self.norm(prefix + "post_attention_layernorm.weight", hidden)
        return self.op("Add", hidden, self.feed_forward(prefix + "mlp.", normed)), key, value

    def attention(self, prefix: str, hidden: str, keys: str, values: str) -> tuple[str, str, str]:
        """Returns what the heads found [B, hidden] and the new key and value [B, H, D]."""
        s = self.shape
        share = s.heads // s.groups
        query = self.rotate(self.heads(prefix + "q_proj.weight", hidden, s.heads), s.heads)
        key = self.rotate(self.heads(prefix + "k_proj.weight", hidden, s.groups), s.groups)
        value = self.heads(prefix + "v_proj.weight", hidden, s.groups)
        query = self.op("Mul", query, self.number("scale", s.head**-0.5))
        query = self.reshape(query, [-1, s.groups, share, s.head])  # [B, H, share, D]
        mask = self.unsqueeze("mask", 1, 2)  # [B, 1, 1, W]
        before = self.op("Add", self.op("MatMul", query, keys), mask)  # [B, H, share, W]
        itself = self.op("MatMul", query, self.unsqueeze(key, 3))  # [B, H, share, 1]
        weights = self.op("Softmax", self.op("Concat", before, itself, axis=3), axis=3)
        old, new = self.name("old"), self.name("new")
        self.node("Slice", [weights, *self.ints([0], [-1], [3])], [old])
        self.node("Slice", [weights, *self.ints([-1], [2**62], [3])], [new])
        found = self.op(
            "Add", self.op("MatMul", old, values), self.op("MatMul", new, self.unsqueeze(value, 2))
        )  # [B, H, share, D]
        found = self.reshape(found, [-1, s.heads * s.head])
        return self.linear(prefix + "o_proj.weight", found), key, value

    def heads(self, weight: str, hidden: str, count: int) -> str:
        return self.reshape(self.linear(weight, hidden), [-1, count, self.shape.head])

    def rotate(self, x: str, count: int) -> str:
        """Rotary positions, half-split: x * cos + (-x2, x1) * sin."""
        half = self.shape.head // 2
        first, second = self.name("first"), self.name("second")
        self.node("Split", [x, *self.ints([half, half])], [first, second], axis=2)
        turned = self.op("Concat", self.op("Neg", second), first, axis=2)
        cos, sin = self.unsqueeze("cos", 1), self.unsqueeze("sin", 1)
        return self.op("Add", self.op("Mul", x, cos), self.op("Mul", turned, sin))

    def feed_forward(self, prefix: str, hidden: str) -> str:
        gate = self.linear(prefix + "gate_proj.weight", hidden)
        gate = self.op("Mul", gate, self.op("Sigmoid", gate))
        up = self.linear(prefix + "up_proj.weight", hidden)
        return self.linear(prefix + "down_proj.weight", self.op("Mul", gate, up))

    def norm(self, weight: str, x: str) -> str:
        mean = self.name("mean")
        self.node("ReduceMean", [self.op("Mul", x, x), *self.ints([-1])], [mean], keepdims=1)
        root = self.op("Sqrt", self.op("Add", mean, self.number("epsilon", self.shape.epsilon)))
        return self.op("Mul", self.op("Div", x, root), self.weight(weight))

    def linear(self, weight: str, x: str) -> str:
        return self.op("Gemm", x, self.weight(weight), transB=1)

    def reshape(self, x: str, shape: list[int]) -> str:
        return self.op("Reshape", x, *self.ints(shape))

    def unsqueeze(self, x: str, *axes: int) -> str:
        return self.op("Unsqueeze", x, *self.ints(list(axes)))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        output = self.name(kind.lower())
        self.node(kind, list(inputs), [output], **attributes)
        return output

    def node(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self.nodes.append(self.helper.make_node(kind, inputs, outputs, name=f"{kind}_{len(self.nodes)}", **attributes))

    def name(self, stem: str) -> str:
        self.count = getattr(self, "count", 0) + 1
        return f"{stem}_{self.count}"

    def ints(self, *lists: list[int]) -> list[str]:
        """Names of constant int64 vectors."""
        names = []
        for values in lists:
            name = "ints_" + "_".join(map(str, values))
            self.initialisers.setdefault(name, self.helper.make_tensor(name, 7, [len(values)], values))
            names.append(name)
        return names

    def number(self, name: str, value: float) -> str:
        self.initialisers.setdefault(name, self.helper.make_tensor(name, 1, [], [value]))
        return name

    def weight(self, name: str) -> str:
        """A tensor of the checkpoint, by reference into the safetensors file."""
        if name not in self.initialisers:
            from onnx import TensorProto

            shape, offset, length = self.ranges[name]
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            self.initialisers[name] = tensor
        return name
