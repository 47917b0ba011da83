"""The losses are those of the papers, on the tokens that the model wrote and on no others."""

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("trl", reason="needs the extra `train`")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from openstrawberry.models.providers.berry import MODEL
from openstrawberry.models.rendering import Renderer
from openstrawberry.training.data import Encoder
from openstrawberry.training.recipe import Recipe
from openstrawberry.training.trainers import open_trainer

# trl still asks transformers by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")


def say(role, content):
    return {"role": role, "content": content}


ASK = [say("system", "One small step per turn, nothing more."), say("user", "What is 4 + 6?")]
GOOD = [say("assistant", "Left 4+6, carry 0, got nothing"), say("user", "Next step?"), say("assistant", "Got 10")]
BAD = [say("assistant", "Left 4+5, carry 0"), say("user", "Are you sure?"), say("assistant", "Got 9"),
       say("user", "Next step?"), say("assistant", "Done. Got 9")]  # fmt: skip
PAIRS = [{"prompt": ASK, "chosen": GOOD, "rejected": BAD, "offset": 0.7},
         {"prompt": ASK, "chosen": GOOD[:1], "rejected": BAD[:3], "offset": 0.0}]  # fmt: skip
BETA = 0.3


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL)


def changed(model):
    """The weights a little beside the reference, so that log-ratios are not all 0."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator) * parameter.abs().mean()
    return model


def trainer_and_rows(tmp_path, tokenizer, recipe, make):
    encoder = Encoder(Renderer(tokenizer, "berry"))
    rows = [row for pair in PAIRS for row in make(encoder, pair)]
    model = AutoModelForCausalLM.from_pretrained(MODEL, attn_implementation="eager")
    arguments = {"use_cpu": True, "bf16": False, "per_device_train_batch_size": 4, "report_to": [], "max_length": 512,
                 "activation_checkpointing": False, "dataloader_pin_memory": False, "disable_tqdm": True}  # fmt: skip
    return open_trainer(recipe, model, tokenizer, rows, tmp_path, arguments), rows


def log_probability(model, tokenizer, messages):
    """By hand: the sum over the tokens of the replies, each tokenised by itself, in nats; and how many there are."""
    total, count, ids = 0.0, 0, []
    for message in messages:
        body = tokenizer.encode(message["content"], add_special_tokens=False)
        marker = tokenizer.convert_tokens_to_ids(f"<|{message['role']}|>")
        if message["role"] == "assistant":
            new = [*body, tokenizer.convert_tokens_to_ids("<|end|>")]
            whole = torch.tensor([[*ids, marker, *new]])
            with torch.no_grad():
                logits = model(whole).logits[0].float().log_softmax(-1)
            start = len(ids) + 1
            total += sum(float(logits[start + i - 1, token]) for i, token in enumerate(new))
            count += len(new)
            ids += [marker, *new]
        else:
            ids += [marker, *body]
    return total, count


@pytest.mark.parametrize("loss", ["sigmoid", "sigmoid_norm", "ipo", "robust"])
def test_the_loss_is_the_one_computed_by_hand(tmp_path, tokenizer, loss):
    recipe = Recipe(loss=loss, beta=BETA, sft_weight=0.5)
    trainer, _ = trainer_and_rows(tmp_path, tokenizer, recipe, lambda encoder, pair: [encoder.pair(pair)])
    reference = AutoModelForCausalLM.from_pretrained(MODEL, attn_implementation="eager").eval()
    model = changed(trainer.model).eval()
    found = float(trainer.compute_loss(model, next(iter(trainer.get_train_dataloader()))).detach())

    preference, likelihood, tokens = 0.0, 0.0, 0
    for pair in PAIRS:
        ratios, lengths = {}, {}
        for side in ("chosen", "rejected"):
            talk = pair["prompt"] + pair[side]
            now, count = log_probability(model, tokenizer, talk)
            before, _ = log_probability(reference, tokenizer, talk)
            ratios[side], lengths[side] = now - before, count
            if side == "chosen":
                likelihood, tokens = likelihood - now, tokens + count
        if loss == "sigmoid":
            margin = BETA * (ratios["chosen"] - ratios["rejected"]) - pair["offset"]
            preference += -float(torch.nn.functional.logsigmoid(torch.tensor(margin))) / len(PAIRS)
            continue
        if loss == "robust":  # Chowdhury et al. 2024: the expected loss when a share of the labels is flipped
            margin = torch.tensor(BETA * (ratios["chosen"] - ratios["rejected"]) - pair["offset"])
            right, wrong = (-float(torch.nn.functional.logsigmoid(sign * margin)) for sign in (1, -1))
            share = recipe.label_smoothing
            preference += ((1 - share) * right - share * wrong) / (1 - 2 * share) / len(PAIRS)
            continue
        per_token = ratios["chosen"] / lengths["chosen"] - ratios["rejected"] / lengths["rejected"]
        if loss == "sigmoid_norm":
            margin = BETA * per_token - pair["offset"]
            preference += -float(torch.nn.functional.logsigmoid(torch.tensor(margin))) / len(PAIRS)
        else:
            preference += (per_token - pair["offset"] / BETA - 1 / (2 * BETA)) ** 2 / len(PAIRS)
    assert found == pytest.approx(preference + 0.5 * likelihood / tokens, rel=2e-4)


def test_without_an_offset_the_loss_of_the_untrained_model_is_ln_2(tmp_path, tokenizer):
    recipe = Recipe(beta=BETA, sft_weight=0)
    make = lambda encoder, pair: [encoder.pair({**pair, "offset": 0.0})]  # noqa: E731
    trainer, _ = trainer_and_rows(tmp_path, tokenizer, recipe, make)
    found = float(trainer.compute_loss(trainer.model.eval(), next(iter(trainer.get_train_dataloader()))).detach())
    assert found == pytest.approx(0.6931, abs=1e-3)


def gradient(trainer):
    trainer.model.zero_grad()
    trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


def test_an_ordinary_row_moves_nothing_by_its_preference_and_the_weights_by_its_likelihood(tmp_path, tokenizer):
    talk = {"messages": ASK + GOOD}
    make = lambda encoder, pair: [encoder.itself(talk)]  # noqa: E731
    without, _ = trainer_and_rows(tmp_path, tokenizer, Recipe(sft_weight=0), make)
    beside, _ = trainer_and_rows(tmp_path, tokenizer, Recipe(sft_weight=1), make)
    assert float(gradient(without).norm()) < 1e-4 * float(gradient(beside).norm())


def test_kto_counts_the_tokens_of_replies_alone(tmp_path, tokenizer):
    def make(encoder, pair):
        return [encoder.labelled({"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"})
                for side in ("chosen", "rejected")]  # fmt: skip

    trainer, rows = trainer_and_rows(tmp_path, tokenizer, Recipe(loss="kto"), make)
    batch = trainer.data_collator([dict(row) for row in trainer.train_dataset])
    assert [int(line.sum()) for line in batch["completion_mask"]] == [sum(row["completion_learn"]) for row in rows]
    rotated = [sum(row["KL_completion_learn"]) for row in trainer.train_dataset]
    assert [int(line.sum()) for line in batch["KL_completion_mask"]] == rotated
    assert sorted(rotated) == sorted(sum(row["completion_learn"]) for row in rows)


def test_supervised_loss_is_the_mean_over_the_tokens_of_replies(tmp_path, tokenizer):
    def make(encoder, pair):
        return [encoder.conversation({"messages": pair["prompt"] + pair["chosen"]})]

    trainer, _ = trainer_and_rows(tmp_path, tokenizer, Recipe(method="sft"), make)
    model = changed(trainer.model).eval()
    found = float(trainer.compute_loss(model, next(iter(trainer.get_train_dataloader()))).detach())
    parts = [log_probability(model, tokenizer, pair["prompt"] + pair["chosen"]) for pair in PAIRS]
    assert found == pytest.approx(-sum(total for total, _ in parts) / sum(count for _, count in parts), rel=2e-4)
