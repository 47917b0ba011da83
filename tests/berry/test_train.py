"""The recipe runs from nothing to a model that the light runtime can load, and is the same each time."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra `berry`")
pytest.importorskip("transformers", reason="needs the extra `berry`")

from random import Random

import torch

from openstrawberry.berry import data, tokenizer, train
from openstrawberry.berry.train import Encoder, Recipe, Sample, batch, rows

TINY = Recipe(steps=2, restate_steps=1, tokens_per_step=1024, warmup=1)


def encoder(gap: int = 0) -> Encoder:
    return Encoder(tokenizer.build(), gap, 1.0)


def test_only_the_models_own_turns_are_targets():
    conversation = [data.Turn("user", "Hi"), data.Turn("assistant", "ab", learn=True), data.Turn("assistant", "c")]
    sample = encoder()(conversation, Random(0))
    assert sample.learn == [False] * 3 + [False, True, True, True] + [False] * 3


def test_positions_jump_between_turns_and_never_go_back():
    sample = encoder(gap=12)(data.step_game(Random(1)), Random(2))
    steps = [b - a for a, b in zip(sample.positions, sample.positions[1:], strict=False)]
    assert min(steps) == 1 < max(steps) <= 13


def test_packed_conversations_do_not_see_each_other_nor_beyond_the_window():
    row = [Sample([1] * 20, [True] * 20, list(range(20))), Sample([2] * 230, [True] * 230, list(range(230)))]
    seen = batch([row], 256, "cpu")["attention_mask"][0, 0] == 0
    assert not seen[20, 19]
    assert not seen[19, 20]
    assert seen[20 + 229, 20 + 229 - (train.WINDOW - 1)]
    assert not seen[20 + 229, 20 + 229 - train.WINDOW]


def test_rows_are_packed_densely():
    stream = rows(data.conversation, encoder(), Random(0), 256)
    packed = [next(stream) for _ in range(60)]
    lengths = [sum(len(sample.ids) for sample in row) for row in packed]
    filled = sum(lengths) / sum(256 if length <= 256 else 512 for length in lengths)
    assert filled > 0.85


def test_two_trainings_with_one_seed_are_equal_and_the_result_runs(tmp_path: Path):
    pytest.importorskip("onnx", reason="needs the extra `berry`")
    from openstrawberry.berry.export import export_onnx
    from openstrawberry.berry.runtime import Network

    losses = []
    for name in ("a", "b"):
        log = tmp_path / f"{name}.jsonl"
        folder = train.train(TINY, tmp_path / name, log)
        losses.append([entry["loss"] for line in log.read_text().splitlines() if "loss" in (entry := json.loads(line))])
    assert losses[0] == losses[1]
    assert losses[0][-1] < 8
    Network(export_onnx(folder).parent, slots=2)
    assert torch.isfinite(torch.tensor(losses[0])).all()
