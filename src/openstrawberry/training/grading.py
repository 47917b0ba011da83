"""How good a process reward model is on steps of problems that it has not learnt from.

A step counts as good where its target is at least one half. Problems are the unit, since the steps of one problem are
not independent: shares are averaged within problems first, and it is the problems that are drawn again.
"""

import hashlib
from collections.abc import Sequence

from openstrawberry.stats import bootstrap_mean
from openstrawberry.training.data import Row
from openstrawberry.training.progress import Grade, Share

RESAMPLES = 2_000


def split(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to learn from and rows to measure on, no problem on both sides; nothing is held out of a single problem."""
    problems = sorted({problem_of(row) for row in rows}, key=lambda each: _hash(f"{seed}/{each}"))
    count = min(max(round(share * len(problems)), 1), len(problems) - 1) if share else 0
    held = set(problems[:count])
    return [row for row in rows if problem_of(row) not in held], [row for row in rows if problem_of(row) in held]


def problem_of(row: Row) -> str:
    """What tells its problem from others: the id, or where a row has none, what was asked."""
    return str(row.get("problem") or _hash(repr(row["prompt"])))


def grade(scores: Sequence[float], targets: Sequence[float], problems: Sequence[str], seed: int = 0) -> Grade:
    """Measures scores (0 to 1) against targets (0 to 1), step by step.

    Raises:
        ValueError: there are no steps.
    """
    good = [target >= 0.5 for target in targets]
    right = [float((score >= 0.5) == label) for score, label in zip(scores, good, strict=True)]
    found = bootstrap_mean(right, problems, bounds=(0.0, 1.0), seed=seed)
    always = sum(good) >= len(good) / 2
    common = bootstrap_mean([float(label == always) for label in good], problems, seed=seed).mean
    area = auc(scores, good, problems, seed) if 0 < sum(good) < len(good) else None
    return Grade(len(good), len(set(problems)), (found.mean, found.low, found.high), common, area)


def auc(scores: Sequence[float], good: Sequence[bool], problems: Sequence[str], seed: int = 0) -> Share:
    """The area under the ROC curve (Hanley and McNeil 1982), and its 95% interval when problems are drawn again.

    Both kinds of steps must be there; a draw that lacks one is left out.
    """
    import numpy as np

    _, place = np.unique(np.asarray(scores), return_inverse=True)
    _, owner = np.unique(np.asarray(problems), return_inverse=True)
    kinds = np.asarray(good, dtype=bool)
    levels, units = int(place.max()) + 1, int(owner.max()) + 1

    def area(weights: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
        wins = np.bincount(place[kinds], weights[kinds], levels)
        losses = np.bincount(place[~kinds], weights[~kinds], levels)
        below = np.cumsum(losses) - losses / 2  # a tie is half a win
        pairs = wins.sum() * losses.sum()
        return float((wins * below).sum() / pairs) if pairs else float("nan")

    drawn = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=RESAMPLES)
    areas = [each for each in (area(counts[owner].astype(float)) for counts in drawn) if each == each]
    low, high = np.quantile(areas, (0.025, 0.975)) if areas else (0.0, 1.0)
    return area(np.ones(len(scores))), float(low), float(high)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
