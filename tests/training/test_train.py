"""From a file to a model folder that runs, the same after a kill; and what is refused before anything starts."""

import json
import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("trl", reason="needs the extra `train`")

import torch
from transformers import AutoTokenizer, TrainerControl, TrainerState

from openstrawberry.errors import SetupError
from openstrawberry.models.providers.berry import BerryModel
from openstrawberry.training import memory
from openstrawberry.training.card import read, trained_on
from openstrawberry.training.progress import Notice, Probed, Step
from openstrawberry.training.recipe import Recipe
from openstrawberry.training.train import Training
from openstrawberry.training.watch import Watch
from openstrawberry.training.weights import place_of
from tests.training.folders import LIKE_QWEN3, QWEN3, with_template

# trl still asks transformers by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")


def turn(role, content):
    return {"role": role, "content": content}


def pair(number):
    ask = [turn("user", f"What is {number} + 6?\nStart with the first small step.")]
    good = [turn("assistant", f"Left {number}+6, carry 0, got nothing"), turn("user", "Next step?"),
            turn("assistant", f"{number}+6+0={number + 6}. Left 0+0, carry 0, got {number + 6}")]  # fmt: skip
    bad = [turn("assistant", f"Left {number}+5, carry 0, got nothing")]
    return {"prompt": ask, "chosen": good, "rejected": bad, "offset": 0.1, "problem": f"p{number}"}


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair(number)) + "\n" for number in range(1, 9)))
    return path


@pytest.fixture
def conversations(tmp_path):
    path = tmp_path / "conversations.jsonl"
    rows = [{"messages": pair(n)["prompt"] + pair(n)["chosen"], "problem": f"p{n}"} for n in range(1, 9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


QUICK = {"steps": 4, "batch_size": 2, "save_every": 2, "learning_rate": 1e-4}


def test_training_leaves_a_folder_that_runs_on_both_runtimes_and_says_where_it_came_from(tmp_path, pairs):
    told = []
    trained = Training(Recipe(**QUICK), "berry", pairs, told.append).run(tmp_path / "out")
    steps = [each for each in told if isinstance(each, Step)]
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert all(math.isfinite(step.chosen) and step.chosen < 0 for step in steps)
    assert trained.spec == f"berry:{tmp_path / 'out'}"
    BerryModel(tmp_path / "out")  # has its step graph
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    base = AutoModelForCausalLM.from_pretrained(place_of("berry"))
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), base.parameters(), strict=True))
    facts = read(tmp_path / "out")
    assert (facts["base"], facts["spec"], facts["rows"]) == ("berry", trained.spec, 8)
    assert trained_on(tmp_path / "out") == {f"p{number}" for number in range(1, 9)}
    assert "trained on its own reasoning" in (tmp_path / "out" / "README.md").read_text()
    assert not list(tmp_path.glob("*.work"))


@pytest.mark.parametrize("method", ["dpo", "sft"])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(tmp_path, pairs, conversations, method):
    file = pairs if method == "dpo" else conversations
    recipe = Recipe(method=method, **QUICK)

    def kill(told):
        if isinstance(told, Step) and told.step == 3:
            raise KeyboardInterrupt

    whole = Training(recipe, "berry", file, lambda _: None).run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        Training(recipe, "berry", file, kill).run(tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
    again = []
    Training(recipe, "berry", file, again.append).run(tmp_path / "cut")
    assert [each.step for each in again if isinstance(each, Step)] == [3, 4]  # not from the beginning
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole.folder, tmp_path / "cut")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("method", ["dpo", "sft"])
def test_a_template_that_rewrites_earlier_turns_gives_way_to_its_variant_for_training(
    tmp_path, pairs, conversations, method
):
    told, file = [], pairs if method == "dpo" else conversations
    training = Training(Recipe(method=method, **QUICK), with_template(tmp_path / "q", QWEN3), file, told.append)
    assert any("trl's variant" in each.text for each in told if isinstance(each, Notice))
    learnt = "".join(text for text, marked in training.previews(1)[0].pieces if marked)
    replies = [each["content"] for each in pair(1)["chosen"] if each["role"] == "assistant"]
    assert learnt == "".join(f"<think>\n\n</think>\n\n{reply}<|im_end|>" for reply in replies)
    folder = training.run(tmp_path / "out").folder
    saved = AutoTokenizer.from_pretrained(folder)
    assert saved.apply_chat_template(pair(1)["chosen"], tokenize=False).count("</think>") == 2


def test_a_template_that_rewrites_and_has_no_such_variant_is_refused(tmp_path, pairs):
    model = with_template(tmp_path / "like-qwen3", LIKE_QWEN3)
    with pytest.raises(SetupError, match="--rendering flat"):
        Training(Recipe(**QUICK), model, pairs, lambda _: None)


def test_another_recipe_does_not_go_on_with_the_checkpoints_of_the_first(tmp_path, pairs):
    def kill(told):
        if isinstance(told, Step) and told.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Training(Recipe(**QUICK), "berry", pairs, kill).run(tmp_path / "out")
    told = []
    Training(Recipe(**{**QUICK, "beta": 0.5}), "berry", pairs, told.append).run(tmp_path / "out")
    assert [each.step for each in told if isinstance(each, Step)] == [1, 2, 3, 4]


@pytest.mark.parametrize("probe", [None, "builtin:add?size=1&n=1"])
def test_lora_is_merged_into_a_standard_folder(tmp_path, conversations, probe):
    recipe = Recipe(method="sft", lora=4, probe=probe, **QUICK)
    trained = Training(recipe, "berry", conversations, lambda _: None).run(tmp_path / "out")
    BerryModel(trained.folder)
    assert not (trained.folder / "adapter_model.safetensors").exists()


def test_kto_takes_pairs_as_they_are(tmp_path, pairs):
    training = Training(Recipe(loss="kto", **QUICK), "berry", pairs, lambda _: None)
    labels = [row["label"] for row in training.rows]
    assert sum(labels) == 8
    assert labels != sorted(labels, reverse=True)  # mixed, since trl takes them in order
    training.run(tmp_path / "out")


def test_training_ends_early_where_the_probe_no_longer_rises(tmp_path, conversations):
    told = []
    recipe = Recipe(method="sft", steps=8, batch_size=2, learning_rate=1e-9, probe="builtin:add?size=1-2&n=6",
                    probe_every=1, patience=2)  # fmt: skip
    trained = Training(recipe, "berry", conversations, told.append).run(tmp_path / "out")
    probes = [each for each in told if isinstance(each, Probed)]
    assert [(each.step, each.problems) for each in probes] == [(1, 6), (2, 6), (3, 6)]
    assert probes[0].right >= 4  # berry played them
    assert trained.steps == 3
    assert any(isinstance(each, Notice) and "no longer rises" in each.text for each in told)


def test_the_best_weights_by_the_probe_are_the_ones_kept(tmp_path):
    class Weights:
        def __init__(self):
            self.step = 0

        def save_pretrained(self, folder):
            folder.mkdir(exist_ok=True)
            (folder / "weights").write_text(str(self.step))

    rights = iter([3, 5, 2, 5, 4])
    watch = Watch(lambda _: None, tmp_path / "log", lambda _: (next(rights), 6), 1, 9, tmp_path / "best")
    model = Weights()
    for step in range(1, 6):
        model.step = step
        watch.on_step_end(None, TrainerState(global_step=step, max_steps=5), TrainerControl(), model=model)
    assert (tmp_path / "best" / "weights").read_text() == "2"  # the first of the best


def test_traces_that_are_cut_are_said_loudly_with_numbers(pairs):
    told = []
    Training(Recipe(max_length=20, **QUICK), "berry", pairs, told.append)
    assert any("8 of 16 traces are longer than 20 tokens" in each.text for each in told if isinstance(each, Notice))


def test_previews_show_what_is_learnt(pairs):
    chosen, rejected = Training(Recipe(**QUICK), "berry", pairs, lambda _: None).previews(1)
    assert [chosen[:2], rejected[:2]] == [(1, "chosen"), (1, "rejected")]
    first = chosen.pieces
    assert next(text for text, learnt in first if learnt) == "Left 1+6, carry 0, got nothing<|end|>"
    assert "Next step?" in "".join(text for text, learnt in first if not learnt)


@pytest.mark.parametrize("spec", ["openai:gpt-5", "hf:", "groq:llama"])
def test_remote_models_are_refused_with_the_way_there_is(spec):
    with pytest.raises(SetupError, match="select --format openai"):
        place_of(spec)


def test_a_folder_that_is_no_model_is_refused(tmp_path, pairs):
    with pytest.raises(SetupError, match="check the folder or the name"):
        Training(Recipe(), f"hf:{tmp_path}", pairs, lambda _: None)


def test_an_existing_folder_is_never_overwritten(tmp_path, pairs):
    (tmp_path / "out").mkdir()
    with pytest.raises(SetupError, match="exists: choose another folder"):
        Training(Recipe(**QUICK), "berry", pairs, lambda _: None).run(tmp_path / "out")


def test_too_little_memory_is_said_before_the_start():
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(num_hidden_layers=32))  # 7 billion parameters
    full = memory.load_of(model, 2, 2048, 0, checkpointing=True, eager=False)
    lora = memory.load_of(model, 2, 2048, 40_000_000, checkpointing=True, eager=False)
    assert 100 < full.bytes / memory.GIB < 160  # 16 bytes a parameter, and the activations
    assert lora.bytes < full.bytes / 2
    with pytest.raises(SetupError, match=r"about 1\d\d\.\d GiB and 24\.0 GiB are free on this cuda: try --lora 16"):
        memory.require(full, 24 * memory.GIB, "cuda")
    memory.require(lora, 64 * memory.GIB, "cpu")
