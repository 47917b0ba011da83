"""What is compared, in numbers: the page and the report draw the same figures from them.

Only traces with a verdict count, and one that was solved with the answer as a hint is not right (see `Tally`).
"""

from collections.abc import Callable, Iterable, Mapping

from openstrawberry.evaluation.plots import Point
from openstrawberry.stats import wilson
from openstrawberry.store.browsing import Tally

Groups = Mapping[str, Tally]


def together(tallies: Iterable[Tally]) -> list[Tally]:
    """Tallies of several runs, those of equal groups added up; without groups of which nothing is known."""
    found: dict[tuple[object, ...], Tally] = {}
    for tally in tallies:
        if tally.judged:
            found[tally.group] = _sum(found[tally.group], tally) if tally.group in found else tally
    return list(found.values())


def share(tally: Tally) -> tuple[float, float, float]:
    """The share right with its 95% interval (Wilson)."""
    return tally.right / tally.judged, *wilson(tally.right, tally.judged)


def by_name(tallies: Iterable[Tally]) -> Groups:
    """Tallies by the name of their group, the best first."""
    best = sorted(tallies, key=lambda tally: -tally.right / tally.judged)
    return {" · ".join(map(str, tally.group)): tally for tally in best}


def takes(groups: Groups) -> dict[str, dict[str, list[Point]]]:
    """The share right of each group at what a trace of it takes, in tokens, and in dollars where they are known."""
    sums: dict[str, Callable[[Tally], float]] = {
        "tokens written per trace": lambda tally: tally.output,
        "dollars per trace": lambda tally: tally.cost,
    }
    found = {what: {name: _at(tally, sum_(tally)) for name, tally in groups.items()} for what, sum_ in sums.items()}
    return {what: series for what, series in found.items() if any(series.values())}


def by_difficulty(tallies: Iterable[Tally], names: Iterable[str]) -> dict[str, dict[str, list[Point]]]:
    """Shares right by difficulty, for each family of problems, of (model, strategy, family, difficulty).

    `names` are those of `by_name`, in their order, so that a name has one colour everywhere. Difficulties of different
    families cannot be compared, and a family with one difficulty has nothing to show.
    """
    found: dict[str, dict[str, list[Point]]] = {}
    order = list(names)
    known = [tally for tally in tallies if tally.group[-1] is not None and tally.group[-1] >= 0]
    for tally in sorted(known, key=lambda tally: float(tally.group[-1])):
        *who, family, difficulty = tally.group
        series = found.setdefault(family or "problems", {name: [] for name in order})
        series[" · ".join(map(str, who))].append(Point(float(difficulty), *share(tally)))
    several = (
        family for family in sorted(found) if len({at.x for points in found[family].values() for at in points}) > 1
    )
    return {family: found[family] for family in several}


def _at(tally: Tally, whole: float) -> list[Point]:
    """The share at its part of a sum; nothing where the sum is unknown, or nothing was taken."""
    return [Point(whole / tally.traces, *share(tally))] if whole > 0 else []


def _sum(one: Tally, other: Tally) -> Tally:
    def added(mine: float, theirs: float) -> float:
        return mine + theirs if mine >= 0 and theirs >= 0 else -1

    return Tally(
        one.group,
        one.right + other.right,
        one.judged + other.judged,
        one.traces + other.traces,
        int(added(one.output, other.output)),
        int(added(one.input, other.input)),
        added(one.cost, other.cost),
    )
