"""transformers' own trainer, for a process reward model: token classification with one target a reply.

The target stands at the last token of a reply, -100 everywhere else. It is the share of rollouts that came out right
(soft), or 0 or 1 (hard); the loss is the binary cross-entropy of the probability of "good" with it. A hard target makes
that the usual classification loss, and a soft one asks for the value itself (Math-Shepherd, Wang et al. 2024, arXiv
2312.08935, section 3.3; OmegaPRM, Luo et al. 2024, arXiv 2406.06592, section 3.4).
"""

from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import Trainer, TrainingArguments

NOTHING = -100.0
"""The target of a token that ends no reply."""


def step_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """Mean loss over the replies, in nats. Logits are [rows, tokens, 2], bad and good; `labels` [rows, tokens]."""
    logits = outputs.logits.float()
    margin = logits[..., 1] - logits[..., 0]
    at = labels != NOTHING
    total = binary_cross_entropy_with_logits(margin[at], labels[at].float(), reduction="sum")
    count = at.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
    return total / count.clamp(min=1).to(total.device)


def collate(rows: list[dict[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """Rows of one length, padded at the right: `input_ids`, `attention_mask` and `labels`, all [rows, tokens]."""
    longest = max(len(row["input_ids"]) for row in rows)

    def padded(values: list[Any], filling: float) -> list[Any]:
        return [*values, *[filling] * (longest - len(values))]

    return {
        "input_ids": torch.tensor([padded(row["input_ids"], pad) for row in rows]),
        "attention_mask": torch.tensor([padded([1] * len(row["input_ids"]), 0) for row in rows]),
        "labels": torch.tensor([padded(row["labels"], NOTHING) for row in rows]),
    }


def open_trainer(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, Any]],
    work: Path,
    arguments: dict[str, Any],
    lora: Any = None,
    callbacks: list[Any] | None = None,
) -> Trainer:
    """The trainer of a process reward model, ready to `train`; arguments as `trainers.open_trainer` takes them."""
    settings = {name: value for name, value in arguments.items() if name != "max_length"}  # rows are cut already
    if lora is not None:
        from peft import get_peft_model

        model = get_peft_model(model, lora)
    return Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(work),
            remove_unused_columns=False,
            train_sampling_strategy="group_by_length",  # games differ much in length, and padding costs as much as text
            activation_checkpointing_kwargs={"use_reentrant": False},  # so that adapters get their gradients
            **settings,
        ),
        train_dataset=rows,
        data_collator=lambda batch: collate(batch, tokenizer.pad_token_id),
        processing_class=tokenizer,
        compute_loss_func=step_loss,
        callbacks=callbacks or [],
    )


def score(model: Any, rows: list[dict[str, Any]], pad: int, together: int = 8) -> list[list[tuple[float, float]]]:
    """Per row its (probability of "good", target) pairs, a pair a reply."""
    found = []
    learning = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(rows), together):
            batch = collate(rows[start : start + together], pad)
            labels = batch.pop("labels")
            logits = model(**{name: each.to(model.device) for name, each in batch.items()}).logits.float().cpu()
            good = logits.softmax(-1)[..., 1]
            for line, targets in zip(good, labels, strict=True):
                at = targets != NOTHING
                found.append(list(zip(line[at].tolist(), targets[at].tolist(), strict=True)))
    model.train(learning)
    return found
