"""One training from step labels to a process reward model: the story behind `train-prm`.

It is the training of `train.py`, but for what is trained: a token classifier with the labels "bad" and "good", made of
the model's own weights and a new head, and read at the last token of each reply. A share of the problems is held out,
and how well it tells their good steps from the bad ones is measured at the end.
"""

from pathlib import Path
from typing import Any, ClassVar

from openstrawberry.errors import SetupError
from openstrawberry.models.prm import LABELS
from openstrawberry.training import data, grading
from openstrawberry.training.progress import Notice, Tell
from openstrawberry.training.recipe import Recipe
from openstrawberry.training.train import Training


class RewardTraining(Training):
    """One training of a process reward model; see `Training`. `file` holds steps (`strawberry select --format prm`).

    Raises:
        SetupError: as `Training`; or a setting does not fit this kind of training.
    """

    SETTINGS: ClassVar[dict[str, Any]] = {
        "num_labels": len(LABELS),
        "id2label": LABELS,
        "label2id": {name: number for number, name in LABELS.items()},
    }
    TASK: ClassVar[str] = "TOKEN_CLS"
    HEADS: ClassVar[list[str] | None] = ["score", "classifier"]

    held: list[data.Row]
    """The held-out rows, encoded."""
    _owners: list[str]

    def __init__(self, recipe: Recipe, model: str, file: Path, tell: Tell) -> None:
        for name in ("probe", "mix", "export"):
            if getattr(recipe, name):
                raise SetupError(f"A process reward model only scores, so --{name} has no meaning here: leave it out.")
        super().__init__(recipe, model, file, tell)
        self.held = [{name: values[: self.max_length] for name, values in row.items()} for row in self.held]

    @property
    def light(self) -> bool:
        """Never: the light runtime has no head for scores."""
        return False

    def _auto(self) -> Any:
        from transformers import AutoModelForTokenClassification

        return AutoModelForTokenClassification

    def _shape(self) -> str:
        return "steps"

    def _encode(self, encoder: data.Encoder) -> list[data.Row]:
        learnt, held = grading.split(self.source, self.recipe.heldout, self.recipe.seed)
        self.problems = {grading.problem_of(row) for row in learnt}
        self._owners = [grading.problem_of(row) for row in held]
        self.held = [encoder.steps(row, self.recipe.labels) for row in held]
        rows = [encoder.steps(row, self.recipe.labels) for row in learnt]
        if self.recipe.heldout and not held:
            self._tell(Notice("All rows are of one problem, so none is held out and nothing is measured at the end."))
        return rows

    def _measured(self, trainer: Any) -> dict[str, float]:
        from openstrawberry.training.reward import score

        found = score(trainer.model, self.held, self.tokenizer.pad_token_id)
        steps = [(*pair, owner) for pairs, owner in zip(found, self._owners, strict=True) for pair in pairs]
        if not steps:
            return {}
        scores, targets, owners = zip(*steps, strict=True)
        grade = grading.grade(scores, targets, owners, self.recipe.seed)
        self._tell(grade)
        return grade.metrics

    def _spec(self, out: Path) -> str:
        return f"prm:{out}"
