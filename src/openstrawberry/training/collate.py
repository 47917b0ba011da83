"""Batches for trl: its own collators, plus the two things they do not know.

trl takes everything after the prompt for the model's words. In a multi-turn trace it is not, so the completion mask is
zeroed wherever a row's `learn` marks say so. And a pair may carry an *offset* (ODPO, Amini et al. 2024,
arXiv 2402.10571): how much better, in nats of implicit reward, the chosen trace has to be. The loss becomes
`-log sigmoid(beta * (chosen - rejected) - offset)`, which is plain DPO when the reference finds the chosen trace more
likely by `offset / beta`: so that is what the collator tells it, and trl's losses stay as they are.
"""

from dataclasses import dataclass
from typing import Any

from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

NORMALISED = {"sigmoid_norm", "ipo"}
"""Losses that divide a trace's score by its length; there the offset counts per token as well."""


@dataclass
class PairCollator(DataCollatorForPreference):  # type: ignore[misc]
    """Pairs with `chosen_learn`, `rejected_learn` (marks of the completion tokens) and `offset`."""

    beta: float = 0.1
    per_token: bool = False

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """See trl; the rows are [all chosen, then all rejected]."""
        batch: dict[str, Any] = super().torch_call(examples)
        rows = [(row["prompt_ids"], row[f"{side}_learn"]) for side in ("chosen", "rejected") for row in examples]
        _mask(batch["completion_mask"], rows)
        if "ref_chosen_logps" in batch:
            shift = batch["ref_chosen_logps"].new_tensor([row["offset"] / self.beta for row in examples])
            if self.per_token:
                shift = shift * batch["completion_mask"][: len(examples)].sum(dim=1)
            batch["ref_chosen_logps"] = batch["ref_chosen_logps"] + shift
        return batch


@dataclass
class LabelledCollator(DataCollatorForUnpairedPreference):  # type: ignore[misc]
    """Labelled rows (KTO) with `completion_learn`, and `KL_completion_learn` for the mismatched completion."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """See trl."""
        batch: dict[str, Any] = super().torch_call(examples)
        for prefix in ("", "KL_"):
            if f"{prefix}completion_mask" in batch:
                rows = [(row["prompt_ids"], row[f"{prefix}completion_learn"]) for row in examples]
                _mask(batch[f"{prefix}completion_mask"], rows)
        return batch


def _mask(mask: Any, rows: list[tuple[list[int], list[bool]]]) -> None:
    """Zeroes `mask` [rows, tokens] in place where a completion's marks are False."""
    for line, (prompt, learn) in zip(mask, rows, strict=True):
        room = max(len(line) - len(prompt), 0)
        marks = mask.new_tensor([int(mark) for mark in learn[:room]])
        line[len(prompt) : len(prompt) + len(marks)] *= marks
