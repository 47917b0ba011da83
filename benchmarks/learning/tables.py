"""The tables of the study: shares per arm, and differences between arms with intervals over all seeds' problems.

Problems are the unit: one held-out problem that several seeds answered counts once, with the mean of its differences.
How much trainings differ among themselves is in it only as far as the seeds show it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from openstrawberry.bootstrap.ladder import Rung
from openstrawberry.bootstrap.scores import Result, Score
from openstrawberry.stats import paired_bootstrap


@dataclass
class Found:
    """What one arm of one seed gave: its held-out scores, and the seconds that its training took."""

    scores: Mapping[Rung, Score]
    seconds: float = 0.0


Compared = tuple[str, str, Sequence[Found], Sequence[Found], Sequence[Rung]]
"""The names of two arms, what they gave seed by seed, and the sizes they were trained for."""


def table(found: Mapping[str, Sequence[Found]], band: list[Rung], easy: list[Rung], told: Mapping[str, str]) -> str:
    """Markdown, a row per arm: the share right per size and pooled, right in every step, at the easy sizes; seconds."""
    lines = [_row(["arm", *map(str, band), "pooled", "in every step", "easy sizes", "training, s", "what"])]
    lines.append("|" + "---|" * (len(band) + 6))
    for name, runs in found.items():
        shares = [*(_share(runs, [rung]) for rung in band), _share(runs, band), _share(runs, band, clean=True)]
        seconds = sum(run.seconds for run in runs) / len(runs)
        cells = [f"{share:.1%}" for share in [*shares, _share(runs, easy)]]
        lines.append(_row([name, *cells, f"{seconds:.0f}", told[name]]))
    return "\n".join(lines)


def compared(pairs: Sequence[Compared], easy: Sequence[Rung]) -> str:
    """Markdown, a row per pair of arms: what the second has over the first, in points and steps, with 95% intervals."""
    names = ["right, points", "in every step, points", "easy sizes, points", "steps when both were right in every step"]
    lines = [_row(["against", "arm", *names]), "|" + "---|" * 6]
    for first, second, before, after, band in pairs:
        cells = [
            _points(_differences(before, after, band, lambda result: float(result.right))),
            _points(_differences(before, after, band, lambda result: float(result.good))),
            _points(_differences(before, after, easy, lambda result: float(result.right))),
            _steps(_differences(before, after, [*band, *easy], lambda result: float(result.steps), both_good=True)),
        ]
        lines.append(_row([first, second, *cells]))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _share(runs: Sequence[Found], rungs: Sequence[Rung], clean: bool = False) -> float:
    right = sum(run.scores[rung].count(clean) for run in runs for rung in rungs)
    return right / sum(len(run.scores[rung].results) for run in runs for rung in rungs)


def _differences(
    before: Sequence[Found],
    after: Sequence[Found],
    rungs: Sequence[Rung],
    value: Callable[[Result], float],
    both_good: bool = False,
) -> list[tuple[str, float]]:
    """Per problem and seed: (problem, value after less value before)."""
    return [
        (key, value(new) - value(old))
        for first, second in zip(before, after, strict=True)
        for rung in rungs
        for key, old, new in _both(first.scores[rung], second.scores[rung])
        if not both_good or (old.good and new.good)
    ]


def _both(before: Score, after: Score) -> list[tuple[str, Result, Result]]:
    return [(key, old, after.results[key]) for key, old in before.results.items() if key in after.results]


def _points(found: list[tuple[str, float]]) -> str:
    interval = paired_bootstrap([value for _, value in found], [key for key, _ in found])
    return f"{100 * interval.mean:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def _steps(found: list[tuple[str, float]]) -> str:
    if not found:
        return ""
    interval = paired_bootstrap([value for _, value in found], [key for key, _ in found], bounds=None)
    return f"{interval.mean:+.2f} ({interval.low:+.2f} to {interval.high:+.2f}), {len(found)} pairs"
