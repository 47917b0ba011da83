"""Trains berry from nothing: a 2.4M-parameter Mistral on the conversations of `data.py`, in two short stages.

Stage 1 teaches everything at easy sizes. Stage 2 mixes in `data.restate`, so that larger questions can at least be
copied: without it the sizes just above the easy ones are a cliff, with it they are a slope.

Departures from common practice, all for speed on two cores: Muon (Jordan et al. 2024) for the matrices and AdamW for
the rest; conversations packed into rows behind a block-diagonal mask; eager attention, whose backward pass is faster on
CPU than that of the fused kernel; bfloat16 autocast. Between turns the positions skip up to 12 places in half of the
conversations, so that the model copies by content and not by a fixed distance.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import MistralConfig, MistralForCausalLM

from openstrawberry.berry import data, tokenizer

WINDOW = 192
"""Tokens a token can see, itself included. Three turns of a 20-digit addition and a refusal between them fit in."""


@dataclass(frozen=True)
class Recipe:
    """Every number of the training."""

    seed: int = 1
    steps: int = 2100
    restate_steps: int = 700
    tokens_per_step: int = 4096
    row: int = 256
    muon_lr: float = 0.02
    adam_lr: float = 3e-3
    warmup: int = 40
    decay_from: float = 0.4
    restate_share: float = 0.2
    restate_lr: float = 0.6
    weight: float = 4.0
    clip: float = 1.0
    gap: int = 12
    gap_share: float = 0.5


def architecture(vocabulary: int) -> MistralConfig:
    return MistralConfig(
        vocab_size=vocabulary,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
        sliding_window=WINDOW,
        max_position_embeddings=1_000_000,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        attn_implementation="eager",
        bos_token_id=None,
        pad_token_id=0,
        eos_token_id=5,
    )


@dataclass
class Sample:
    """One tokenised conversation; `learn` marks the tokens that are targets."""

    ids: list[int]
    learn: list[bool]
    positions: list[int]


class Encoder:
    """Turns conversations into samples, exactly as the chat template renders them."""

    def __init__(self, words: Any, gap: int, gap_share: float) -> None:
        self.words = words
        self.gap = gap
        self.gap_share = gap_share
        self.marker = {role: words.token_to_id(f"<|{role}|>") for role in ("system", "user", "assistant")}
        self.end = words.token_to_id(tokenizer.END)

    def __call__(self, conversation: data.Conversation, rng: Random) -> Sample:
        sample = Sample([], [], [])
        gap = self.gap if rng.random() < self.gap_share else 0
        position = 0
        for turn in conversation:
            body = self.words.encode(turn.content, add_special_tokens=False).ids
            ids = [self.marker[turn.role], *body] + ([self.end] if turn.role == "assistant" else [])
            position += rng.randint(0, gap) if turn.role == "user" else 0
            sample.ids += ids
            sample.learn += [False] + [turn.learn] * (len(ids) - 1)
            sample.positions += range(position, position + len(ids))
            position += len(ids)
        return sample


Row = list[Sample]


def rows(draw: Callable[[Random], data.Conversation], encode: Encoder, rng: Random, length: int) -> Iterator[Row]:
    """Packs samples into rows of `length` tokens, or of twice that for long ones; what is longer still is cut."""
    open_rows: dict[int, list[Row]] = {length: [], 2 * length: []}
    while True:
        sample = encode(draw(rng), rng)
        size = length if len(sample.ids) <= length else 2 * length
        if len(sample.ids) > size:
            sample = Sample(sample.ids[:size], sample.learn[:size], sample.positions[:size])
        waiting = open_rows[size]
        for row in waiting:
            if sum(len(s.ids) for s in row) + len(sample.ids) <= size:
                row.append(sample)
                break
        else:
            waiting.append([sample])
        if len(waiting) > 12:
            fullest = max(waiting, key=lambda row: sum(len(s.ids) for s in row))
            waiting.remove(fullest)
            yield fullest


def batch(packed: list[Row], size: int, device: str) -> dict[str, torch.Tensor]:
    """Tensors of one shape: ids, positions, labels [B, size], and the additive mask [B, 1, size, size]."""
    ids = torch.zeros(len(packed), size, dtype=torch.long)
    positions = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    document = torch.full_like(ids, -1)
    for i, row in enumerate(packed):
        start = 0
        for number, sample in enumerate(row):
            stop = start + len(sample.ids)
            ids[i, start:stop] = torch.tensor(sample.ids)
            positions[i, start:stop] = torch.tensor(sample.positions)
            document[i, start:stop] = number
            learn = torch.tensor(sample.learn)
            labels[i, start:stop] = torch.where(learn, ids[i, start:stop], -100)
            start = stop
    distance = torch.arange(size)[:, None] - torch.arange(size)[None, :]
    seen = (document[:, :, None] == document[:, None, :]) & (distance >= 0) & (distance < WINDOW)
    mask = torch.zeros(seen.shape).masked_fill_(~seen, torch.finfo(torch.float32).min)[:, None]
    found = {"input_ids": ids, "position_ids": positions, "labels": labels, "attention_mask": mask}
    return {name: tensor.to(device) for name, tensor in found.items()}


def optimisers(model: torch.nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=recipe.muon_lr, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, steps: int, recipe: Recipe) -> float:
    """Warm-up, constant, then linearly to zero."""
    start = recipe.decay_from * steps
    return min(1.0, (step + 1) / recipe.warmup, (steps - step) / (steps - start))


class Trainer:
    """Holds the model and runs stages on it."""

    def __init__(self, recipe: Recipe, log: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.log = log
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        words = tokenizer.build()
        self.encode = Encoder(words, recipe.gap, recipe.gap_share)
        self.weights = torch.ones(words.get_vocab_size(), device=self.device)
        self.deciding = [words.token_to_id(token) for token in tokenizer.DECIDING]
        self.model: Any = MistralForCausalLM(architecture(words.get_vocab_size())).to(self.device)

    def stage(
        self,
        name: str,
        steps: int,
        draw: Callable[[Random], data.Conversation],
        scale: float = 1.0,
        weight: float = 1.0,
    ) -> None:
        """Train on what `draw` gives; `scale` is of the learning rates, `weight` that of the deciding tokens."""
        recipe = self.recipe
        self.weights[self.deciding] = weight
        stream = rows(draw, self.encode, Random(f"{recipe.seed}/{name}"), recipe.row)
        optimisers_ = optimisers(self.model, recipe)
        base = [group["lr"] for o in optimisers_ for group in o.param_groups]
        began, seen = time.monotonic(), 0
        for step in range(steps):
            factor = scale * schedule(step, steps, recipe)
            for lr, group in zip(base, (g for o in optimisers_ for g in o.param_groups), strict=True):
                group["lr"] = lr * factor
            loss, tokens = self._step(stream, optimisers_)
            seen += tokens
            if step % 20 == 0 or step == steps - 1:
                seconds = round(time.monotonic() - began, 1)
                self._note(stage=name, step=step, loss=round(loss, 4), tokens=seen, seconds=seconds)

    def _step(self, stream: Iterator[Row], optimisers_: list[torch.optim.Optimizer]) -> tuple[float, int]:
        recipe = self.recipe
        chosen: dict[int, list[Row]] = {recipe.row: [], 2 * recipe.row: []}
        while sum(size * len(found) for size, found in chosen.items()) < recipe.tokens_per_step:
            row = next(stream)
            chosen[recipe.row if sum(len(s.ids) for s in row) <= recipe.row else 2 * recipe.row].append(row)
        batches = [batch(found, size, self.device) for size, found in chosen.items() if found]
        targets = sum(int((b["labels"][:, 1:] != -100).sum()) for b in batches)
        total = 0.0
        for b in batches:
            labels = b.pop("labels")
            with torch.autocast(self.device, dtype=torch.bfloat16):
                logits = self.model(**b, use_cache=False).logits
            wanted = labels[:, 1:] != -100
            said, target = logits[:, :-1][wanted].float(), labels[:, 1:][wanted]
            loss = torch.nn.functional.cross_entropy(said, target, weight=self.weights, reduction="sum") / targets
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        for optimiser in optimisers_:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return total, sum(int(b["input_ids"].numel()) for b in batches)

    def _note(self, **entry: object) -> None:
        print(" ".join(f"{key} {value}" for key, value in entry.items()), flush=True)
        with self.log.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        tokenizer.save(folder)


def second_stage(share: float) -> Callable[[Random], data.Conversation]:
    """The mixture of stage 2: everything as before, and a share of larger problems to begin."""
    return lambda rng: data.restate(rng) if rng.random() < share else data.conversation(rng)


def train(recipe: Recipe, folder: Path, log: Path) -> Path:
    """Both stages; the model is saved after each, so that neither is lost. Returns the folder of the last."""
    trainer = Trainer(recipe, log)
    trainer._note(stage="recipe", **asdict(recipe))
    trainer.stage("easy", recipe.steps, data.conversation)
    trainer.save(folder / "easy")
    trainer.stage("restate", recipe.restate_steps, second_stage(recipe.restate_share), recipe.restate_lr, recipe.weight)
    trainer.save(folder / "final")
    return folder / "final"
