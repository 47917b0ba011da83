"""The record of a loop: which model came from which traces, pairs and recipe, and how it scored."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstrawberry.bootstrap.config import Loop
from openstrawberry.bootstrap.decide import Decision
from openstrawberry.bootstrap.ladder import Rung
from openstrawberry.bootstrap.scores import Score, Scores
from openstrawberry.store.files import write_whole
from openstrawberry.training.recipe import Recipe


@dataclass
class Attempt:
    """One recipe of a round: the trainings done, the model they gave, its scores, the decision. Counts from 1."""

    recipe: int
    trained: tuple[Recipe, ...]
    model: str
    scores: dict[Rung, Score]
    decision: Decision


@dataclass
class RoundRecord:
    """One round: where it began, the sizes that were sampled, what they gave, and every attempt."""

    number: int
    begun_from: str
    band: tuple[str, ...]
    pairs: int = 0
    conversations: int = 0
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def accepted(self) -> Attempt | None:
        """The attempt that was accepted."""
        return next((attempt for attempt in self.attempts if attempt.decision.accepted), None)


@dataclass
class Lineage:
    """A whole loop. `first`: the scores of the student as it came. `ended`: why it stopped, empty while it goes on."""

    loop: Loop
    student: str
    first: Scores
    rounds: list[RoundRecord] = field(default_factory=list)
    ended: str = ""

    @property
    def accepted(self) -> list[tuple[int, str, Scores]]:
        """(round, model, scores) of the student as it came (round 0) and of every accepted round."""
        found: list[tuple[int, str, Scores]] = [(0, self.student, self.first)]
        for record in self.rounds:
            if record.accepted:
                found.append((record.number, record.accepted.model, record.accepted.scores))
        return found

    @property
    def model(self) -> str:
        """The spec of the last accepted model."""
        return self.accepted[-1][1]

    def write(self, folder: Path) -> None:
        """`lineage.json`."""
        document = {
            "schema": 1,
            "loop": self.loop.model_dump(mode="json"),
            "ended": self.ended,
            "model": self.model,
            "student": {"model": self.student, "scores": _scores(self.first)},
            "rounds": [_round(record, self.loop) for record in self.rounds],
        }
        write_whole(folder / "lineage.json", json.dumps(document, indent=2) + "\n")


def _round(record: RoundRecord, loop: Loop) -> dict[str, Any]:
    folder = f"round-{record.number:02d}"
    return {
        "round": record.number,
        "from": record.begun_from,
        "seed": loop.seed + 1000 * record.number,
        "teacher": loop.teacher or record.begun_from,
        "sizes": list(record.band),
        "traces": f"{folder}/samples",
        "pairs": {"file": f"{folder}/pairs.jsonl", "rows": record.pairs},
        "conversations": {"file": f"{folder}/conversations.jsonl", "rows": record.conversations},
        "attempts": [_attempt(attempt) for attempt in record.attempts],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    decision = attempt.decision
    return {
        "trained": [recipe.model_dump(mode="json") for recipe in attempt.trained],
        "model": attempt.model,
        "accepted": decision.accepted,
        "reason": decision.reason,
        "gain": {"mean": decision.gain.mean, "low": decision.gain.low, "high": decision.gain.high, "p": decision.p},
        "easy": {"mean": decision.easy.mean, "low": decision.easy.low, "margin": decision.easy.margin},
        "fallen": list(decision.fallen),
        "scores": _scores(attempt.scores),
    }


def _scores(scores: Scores) -> list[dict[str, Any]]:
    return [_score(rung, scores[rung]) for rung in sorted(scores)]


def _score(rung: Rung, score: Score) -> dict[str, Any]:
    low, high = score.interval()
    clean_low, clean_high = score.interval(clean=True)
    return {
        "family": rung.family,
        "size": rung.size,
        "problems": len(score.results),
        "right": score.count(),
        "share": score.share(),
        "low": low,
        "high": high,
        "clean": score.count(clean=True),
        "clean_low": clean_low,
        "clean_high": clean_high,
        "steps": None if score.steps() != score.steps() else round(score.steps(), 2),
    }
