"""The step graph computes what transformers computes, from the same bytes."""

import shutil
from pathlib import Path
from random import Random

import numpy as np
import pytest

from openstrawberry.berry import data, tokenizer
from openstrawberry.berry.runtime import Network
from openstrawberry.berry.shape import GRAPH, WEIGHTS
from openstrawberry.models.providers.berry import MODEL, BerryModel

TOLERANCE = 1e-3  # of logits around 10; two orders of adding up 32-bit numbers


def feed(network: Network, ids: np.ndarray, slot: int) -> np.ndarray:
    """Logits [T, V] of one conversation fed token by token."""
    slots = len(network.mask)
    rows = []
    for position, token in enumerate(ids):
        given, positions = np.zeros(slots, np.int64), np.zeros(slots, np.int64)
        given[slot], positions[slot] = token, position
        rows.append(network.step(given, positions, np.array([slot]))[slot])
    return np.array(rows)


def test_all_files_together_stay_under_16_megabytes():
    assert sum(file.stat().st_size for file in MODEL.iterdir()) <= 16 * 2**20


def test_the_graph_holds_no_weights_of_its_own():
    assert (MODEL / GRAPH).stat().st_size < 64 * 1024 < (MODEL / WEIGHTS).stat().st_size


def test_the_graph_agrees_with_transformers_beyond_the_window():
    torch = pytest.importorskip("torch", reason="needs the extra `berry`")
    from transformers import AutoModelForCausalLM

    from openstrawberry.berry.train import Encoder

    network = Network(MODEL, slots=4)
    encode, rng = Encoder(tokenizer.build(), gap=0, gap_share=0.0), Random(0)
    ids: list[int] = []
    while len(ids) < 3 * network.shape.window:
        ids += encode(data.step_game(rng), rng).ids
    with torch.no_grad():
        wanted = AutoModelForCausalLM.from_pretrained(MODEL)(torch.tensor(ids)[None]).logits[0].numpy()
    assert np.abs(feed(network, np.array(ids), slot=2) - wanted).max() < TOLERANCE


def test_exporting_the_shipped_weights_gives_the_shipped_graph(tmp_path: Path):
    pytest.importorskip("onnx", reason="needs the extra `berry`")
    from openstrawberry.berry.export import export_onnx

    for name in ("config.json", WEIGHTS):
        shutil.copy(MODEL / name, tmp_path / name)
    assert export_onnx(tmp_path).read_bytes() == (MODEL / GRAPH).read_bytes()


def test_the_folder_is_a_standard_one_whose_template_renders_what_the_runtime_reads():
    transformers = pytest.importorskip("transformers", reason="needs the extra `berry`")
    import asyncio

    from openstrawberry.chat import Message

    texts = [
        ("system", "Hello"),
        ("user", "How many r's are in berry?"),
        ("assistant", "Find r"),
        ("user", "Next step?"),
    ]
    wrapped = transformers.AutoTokenizer.from_pretrained(MODEL)
    turns = [{"role": role, "content": text} for role, text in texts]
    rendered = wrapped.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
    model = BerryModel()
    read = model.prompt([Message(role=role, content=text) for role, text in texts])  # type: ignore[arg-type]
    asyncio.run(model.close())
    assert tuple(rendered) == read


def test_the_template_marks_what_the_model_wrote():
    transformers = pytest.importorskip("transformers", reason="needs the extra `berry`")
    wrapped = transformers.AutoTokenizer.from_pretrained(MODEL)
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "ab"}]
    found = wrapped.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    assert found["assistant_masks"] == [0, 0, 0, 0, 1, 1, 1]
