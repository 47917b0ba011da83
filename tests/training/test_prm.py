"""From step labels to a process reward model that scores, the same after a kill; and what is refused."""

import asyncio
import json
import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("trl", reason="needs the extra `train`")

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from openstrawberry.errors import SetupError
from openstrawberry.models.prm import open_reward
from openstrawberry.trace import Tree
from openstrawberry.training.card import read, trained_on
from openstrawberry.training.grading import auc, grade, split
from openstrawberry.training.prm import RewardTraining
from openstrawberry.training.progress import Grade, Notice, Step
from openstrawberry.training.recipe import Recipe
from openstrawberry.training.reward import collate, step_loss
from tests.training.folders import LIKE_QWEN3, QWEN3, with_template

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

GOOD = ["Left {n}+6, carry 0, got nothing", "{n}+6+0={sum}. Left 0+0, carry 0, got {sum}", "Done. Got {sum}"]
BAD = ["Left {n}+6, carry 0, got nothing", "{n}+6+0=1. Left 0+0, carry 0, got 1", "Done. Got 1"]


def row(number, right):
    said = [text.replace("{n}", str(number)).replace("{sum}", str(number + 6)) for text in (GOOD if right else BAD)]
    return {
        "prompt": [{"role": "user", "content": f"What is {number} + 6?\nStart with the first small step."}],
        "completions": said,
        "asked": ["", "Next step?", "Go on with one small step."],
        "labels": [True, right, right],
        "values": [0.5, 1.0 if right else 0.25, float(right)],
        "problem": f"p{number}",
    }


def written(path, rows):
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


@pytest.fixture
def steps(tmp_path):
    return written(tmp_path / "steps.jsonl", [row(n, right) for n in range(1, 11) for right in (True, False)])


QUICK = {"method": "prm", "steps": 4, "batch_size": 4, "save_every": 2}


def trained(recipe, file, out, tell=lambda _: None):
    return RewardTraining(recipe, "berry", file, tell).run(out)


def talk(row, upto=3):
    tree, node = Tree(), None
    for message in row["prompt"]:
        node = tree.add(message["role"], message["content"], node)
    for asked, reply in list(zip(row["asked"], row["completions"], strict=True))[:upto]:
        node = tree.add("user", asked, node) if asked else node
        node = tree.add("assistant", reply, node)
    return node


def test_it_learns_which_steps_are_good_and_says_so_on_problems_it_has_not_seen(tmp_path, steps):
    told = []
    recipe = Recipe(method="prm", labels="hard", steps=80, batch_size=8, learning_rate=2e-3, heldout=0.3)
    result = trained(recipe, steps, tmp_path / "out", told.append)
    held = next(each for each in told if isinstance(each, Grade))
    assert (held.problems, held.steps) == (3, 18)
    assert held.auc[0] > 0.9
    assert result.metrics["auc"] == round(held.auc[0], 4)
    assert result.spec == f"prm:{tmp_path / 'out'}"
    unseen = next(row(n, True) for n in range(1, 11) if f"p{n}" not in trained_on(tmp_path / "out"))
    number = int(unseen["problem"][1:])
    scorer = open_reward(result.spec)

    async def both():
        return await scorer(talk(row(number, True), 2)), await scorer(talk(row(number, False), 2))

    good, bad = asyncio.run(both())
    assert good > 0.5 > bad


def test_the_folder_is_a_standard_one_and_says_that_it_is_a_process_reward_model(tmp_path, steps):
    result = trained(Recipe(**QUICK), steps, tmp_path / "out")
    model = AutoModelForTokenClassification.from_pretrained(result.folder)
    assert model.config.id2label == {0: "bad", 1: "good"}
    assert type(model).__name__ == "MistralForTokenClassification"
    facts = read(result.folder)
    assert (facts["base"], facts["method"], facts["spec"], facts["rows"]) == ("berry", "prm", result.spec, 18)
    assert trained_on(result.folder) < {f"p{n}" for n in range(1, 11)}
    assert len(trained_on(result.folder)) == 9  # the held-out one is not among them
    card = (result.folder / "README.md").read_text()
    assert "pipeline_tag: token-classification" in card
    assert f"--prm {result.spec}" in card
    labels = {each["entity"] for each in pipeline("token-classification", model=str(result.folder))("Done")}
    assert labels <= {"bad", "good"}
    assert not list(tmp_path.glob("*.work"))


@pytest.mark.parametrize("lora", [None, 4])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(tmp_path, steps, lora):
    recipe = Recipe(**QUICK, lora=lora)

    def kill(told):
        if isinstance(told, Step) and told.step == 3:
            raise KeyboardInterrupt

    whole = trained(recipe, steps, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, steps, tmp_path / "cut", kill)
    again = []
    trained(recipe, steps, tmp_path / "cut", again.append)
    assert [each.step for each in again if isinstance(each, Step)] == [3, 4]  # not from the beginning
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole.folder, tmp_path / "cut")]
    assert weights[0] == weights[1]
    assert not (whole.folder / "adapter_model.safetensors").exists()


def test_lora_trains_the_head_too(tmp_path, steps):
    once = trained(Recipe(**QUICK, lora=4), steps, tmp_path / "once")
    none = trained(Recipe(**{**QUICK, "steps": 1}, lora=4, learning_rate=1e-12), steps, tmp_path / "none")
    heads = [AutoModelForTokenClassification.from_pretrained(each.folder).score.weight for each in (once, none)]
    assert not torch.equal(*heads)


def test_the_target_stands_at_the_last_token_of_each_reply_and_nowhere_else(steps):
    training = RewardTraining(Recipe(**QUICK), "berry", steps, lambda _: None)
    for each, source in zip(training.rows[:2], (row(n, True) for n in (1, 2)), strict=False):
        marked = [(at, target) for at, target in enumerate(each["labels"]) if target != -100]
        assert [target for _, target in marked] in ([0.5, 1.0, 1.0], [0.5, 0.25, 0.0])
        ends = [training.tokenizer.decode(each["input_ids"][: at + 1]) for at, _ in marked]
        assert all(text.endswith("<|end|>") for text in ends)
        assert len(source["completions"]) == len(ends)


def test_a_template_that_rewrites_earlier_turns_gives_way_to_its_variant_for_training(tmp_path, steps):
    told, model = [], with_template(tmp_path / "qwen3", QWEN3)
    training = RewardTraining(Recipe(**QUICK), model, steps, told.append)
    assert [each.text for each in told if isinstance(each, Notice)] == [
        f"The chat template of {model} renders earlier turns differently once later ones follow: trl's variant of it "
        "for training is used, and saved with the trained model."
    ]
    ids = training.rows[0]["input_ids"]
    ends = [training.tokenizer.decode(ids[: at + 1]) for at, target in enumerate(training.rows[0]["labels"])
            if target != -100]  # fmt: skip
    assert [text.count("</think>") for text in ends] == [1, 2, 3]
    assert all(text.endswith("<|im_end|>") for text in ends)
    result = training.run(tmp_path / "out")
    assert AutoTokenizer.from_pretrained(result.folder).chat_template == training.tokenizer.chat_template != QWEN3
    assert 0 < asyncio.run(open_reward(result.spec)(talk(row(1, True)))) < 1


def test_a_template_that_rewrites_and_has_no_such_variant_is_refused(tmp_path, steps):
    model = with_template(tmp_path / "like-qwen3", LIKE_QWEN3)
    with pytest.raises(SetupError, match=r"choose a model whose template does not, such as hf:Qwen/Qwen2\.5"):
        RewardTraining(Recipe(**QUICK), model, steps, lambda _: None)


def test_the_loss_is_the_cross_entropy_of_the_share_with_the_probability_of_good():
    class Outputs:
        logits = torch.tensor([[[0.0, 2.0], [1.0, 0.0], [5.0, 5.0]]])

    targets = torch.tensor([[0.25, -100.0, 1.0]])
    first = 1 / (1 + math.exp(-2.0))
    by_hand = (-(0.25 * math.log(first) + 0.75 * math.log(1 - first)) - math.log(0.5)) / 2
    assert step_loss(Outputs, targets).item() == pytest.approx(by_hand, rel=1e-6)
    assert step_loss(Outputs, targets, torch.tensor(4)).item() == pytest.approx(by_hand / 2, rel=1e-6)
    hard = torch.tensor([[1.0, -100.0, 0.0]])
    usual = torch.nn.functional.cross_entropy(Outputs.logits[0, [0, 2]], torch.tensor([1, 0]))
    assert step_loss(Outputs, hard).item() == pytest.approx(usual.item(), rel=1e-6)


def test_padding_is_neither_read_nor_learnt():
    batch = collate([{"input_ids": [5, 6, 7], "labels": [-100.0, -100.0, 0.5]}, {"input_ids": [8], "labels": [1.0]}], 0)
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100.0, -100.0, 0.5], [1.0, -100.0, -100.0]]


def test_no_problem_stands_on_both_sides_of_the_split():
    rows = [row(n, right) for n in range(1, 11) for right in (True, False)]
    learnt, held = split(rows, 0.3, seed=0)
    sides = [{each["problem"] for each in side} for side in (learnt, held)]
    assert [len(side) for side in sides] == [7, 3]
    assert not sides[0] & sides[1]
    assert split(rows, 0.3, seed=0) == (learnt, held)
    assert split(rows, 0.3, seed=1)[1] != held
    assert split(rows[:2], 0.3, seed=0)[1] == []  # one problem: nothing to hold out


def test_the_area_counts_pairs_and_half_of_the_ties():
    scores, good = [0.9, 0.8, 0.8, 0.1], [True, True, False, False]
    assert auc(scores, good, ["a", "b", "c", "d"])[0] == pytest.approx(3.5 / 4)
    assert auc([1 - each for each in scores], good, ["a", "b", "c", "d"])[0] == pytest.approx(0.5 / 4)


def test_asking_one_problem_again_does_not_narrow_the_interval():
    few = grade([0.9, 0.2, 0.7], [1.0, 0.0, 0.0], ["a", "b", "c"])
    many = grade([0.9, 0.2, 0.7] * 50, [1.0, 0.0, 0.0] * 50, ["a", "b", "c"] * 50)
    assert many.accuracy == pytest.approx(few.accuracy)
    assert many.auc == pytest.approx(few.auc)
    assert few.accuracy[0] == pytest.approx(2 / 3)
    assert few.commonest == pytest.approx(2 / 3)


def test_steps_of_one_kind_only_have_no_area():
    assert grade([0.9, 0.8], [1.0, 1.0], ["a", "b"]).auc is None


def test_one_problem_is_told_and_nothing_is_measured(tmp_path):
    told = []
    file = written(tmp_path / "one.jsonl", [row(3, True), row(3, False)])
    result = trained(Recipe(**QUICK), file, tmp_path / "out", told.append)
    assert any("none is held out" in each.text for each in told if isinstance(each, Notice))
    assert "accuracy" not in result.metrics


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"asked": ["", "Next?"]}, "no lists of one length"),
        ({"completions": [], "asked": [], "labels": [], "values": []}, "no `completions`"),
        ({"values": [0.1, 2.0, 0.3]}, "no numbers from 0 to 1"),
        ({"values": [0.1, float("nan"), 0.3]}, "no numbers from 0 to 1"),
        ({"labels": [1, 0, 1]}, "neither true nor false"),
        ({"asked": ["First?", "a", "b"]}, 'does not begin with ""'),
        ({"prompt": [{"role": "assistant", "content": "Hm."}]}, "ends in a turn of the assistant"),
        ({"completions": ["a", 2, "c"]}, "no texts"),
    ],
)
def test_a_row_of_another_shape_is_one_sentence_with_its_line(tmp_path, change, fault):
    file = written(tmp_path / "bad.jsonl", [row(1, True), {**row(2, True), **change}])
    with pytest.raises(SetupError, match=fault) as found:
        RewardTraining(Recipe(**QUICK), "berry", file, lambda _: None)
    assert "Line 2" in str(found.value)
    assert "select RUN --format prm" in str(found.value)


def test_settings_without_a_meaning_here_are_refused(steps):
    with pytest.raises(SetupError, match="--probe has no meaning here: leave it out"):
        RewardTraining(Recipe(**QUICK, probe="builtin:add?size=1&n=1"), "berry", steps, lambda _: None)
