"""The trainers, on rows that are already tokens: trl's, and for a process reward model transformers' own.

The trainers would tokenise conversations themselves and take every turn after the prompt for the model's own. Ours get
the tokens and marks of `rendering.py`, so preparing a dataset is left out; all else (losses, reference
log-probabilities, logging, checkpoints) is theirs.
"""

from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

from openstrawberry.training import reward
from openstrawberry.training.collate import NORMALISED, LabelledCollator, PairCollator
from openstrawberry.training.recipe import Recipe


class Preferences(DPOTrainer):  # type: ignore[misc]
    """DPO and its kin on tokenised pairs."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


class Labelled(KTOTrainer):  # type: ignore[misc]
    """KTO on tokenised rows with a label."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        if not self.calculate_KL:
            return dataset

        def rotate(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
            # The mismatched pairs of KTO's reference point: every prompt with its neighbour's completion.
            for name in ("completion_ids", "completion_learn"):
                rows[f"KL_{name}"] = rows[name][-1:] + rows[name][:-1]
            return rows

        return dataset.map(rotate, batched=True, batch_size=args.per_device_train_batch_size)


def open_trainer(
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, Any]],
    work: Path,
    arguments: dict[str, Any],
    lora: Any = None,
    callbacks: list[Any] | None = None,
) -> Any:
    """The trainer of a recipe, ready to `train`.

    Args:
        rows: for preferences `prompt_ids, chosen_ids, chosen_learn, rejected_ids, rejected_learn, offset`; for KTO
            `prompt_ids, completion_ids, completion_learn, label`; supervised, and for a process reward, `input_ids,
            labels`.
        work: checkpoints go here.
        arguments: of `transformers.TrainingArguments`: device, batches, steps, rate.
        lora: a peft configuration, or None for all weights.
    """
    if recipe.method == "prm":
        return reward.open_trainer(model, tokenizer, rows, work, arguments, lora, callbacks)
    common = {"model": model, "processing_class": tokenizer, "peft_config": lora, "callbacks": callbacks or []}
    dataset = Dataset.from_list(rows)
    settings: dict[str, Any] = {"output_dir": str(work), "remove_unused_columns": False, **arguments}
    pad = tokenizer.pad_token_id
    if recipe.method == "sft":
        config = SFTConfig(**settings, dataset_kwargs={"skip_prepare_dataset": True}, packing=False)
        return SFTTrainer(args=config, train_dataset=dataset, **common)
    if recipe.loss == "kto":
        config = KTOConfig(**settings, beta=recipe.beta, precompute_ref_log_probs=True)
        collator: Any = LabelledCollator(pad_token_id=pad, max_length=settings["max_length"])
        return Labelled(args=config, train_dataset=dataset, data_collator=collator, **common)
    config = DPOConfig(**settings, beta=recipe.beta, precompute_ref_log_probs=True, **_losses(recipe))
    collator = PairCollator(
        pad_token_id=pad, max_length=settings["max_length"], beta=recipe.beta, per_token=recipe.loss in NORMALISED
    )
    return Preferences(args=config, train_dataset=dataset, data_collator=collator, **common)


def _losses(recipe: Recipe) -> dict[str, Any]:
    kinds: list[str] = [recipe.loss]
    weights = [1.0]
    if recipe.sft_weight:
        kinds.append("sft")
        weights.append(recipe.sft_weight)
    smoothing = recipe.label_smoothing if recipe.loss == "robust" else 0.0
    return {"loss_type": kinds, "loss_weights": weights, "label_smoothing": smoothing}
