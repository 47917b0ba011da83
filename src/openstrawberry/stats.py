"""Intervals and tests for shares and for paired differences: everything that stands behind a verdict.

What always holds: a problem is the unit. Several samples of one problem are averaged first, because they are not
independent, so an interval never gets narrower by asking the same problem again. Nothing here claims certainty from few
data: where all values are equal the intervals still have a width. Randomness comes from the `seed` argument alone.

numpy is imported inside the functions that draw, so that the command line starts fast.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb, fsum, inf, sqrt
from typing import Any

Z95 = 1.959963984540054  # the normal quantile of a two-sided 95% interval
RESAMPLES = 10_000
_ENUMERATED = 12  # up to so many signs all 2^n ways to flip them are counted, beyond that they are drawn


@dataclass(frozen=True)
class Interval:
    """A mean and the interval around it, all in the unit of the values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class NonInferiority:
    """Whether something is not worse by more than `margin`: its one-sided lower bound `low` lies above -margin."""

    holds: bool
    mean: float
    low: float
    margin: float


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson score interval of a binomial share (Wilson 1927), as fractions. (0.0, 1.0) when there were no trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of `k` samples is right, from `n` samples of which `c` were (unbiased).

    Source: Chen et al. 2021, arXiv 2107.03374.

    Raises:
        ValueError: fewer samples than `k`, or more right ones than samples.
    """
    if not (1 <= k <= n and 0 <= c <= n):
        raise ValueError(f"pass@{k} needs at least {k} samples; there are {n}, {c} of them right")
    return 1.0 - comb(n - c, k) / comb(n, k)


def bootstrap_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    bounds: tuple[float, float] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a mean (Efron 1979).

    Args:
        values: one number each; in any order, the result does not depend on it.
        clusters: the problem that each value belongs to; values of one cluster are averaged and drawn together.
        bounds: the least and greatest value possible, where there are such. One pseudo-value at each of them joins the
            pool that is drawn from (not the mean that is reported). It is the bootstrap form of the adjusted interval
            of Bonett and Price (2012): values that are all equal get an honest width, and small samples keep their
            nominal coverage.
        level: two-sided confidence.

    Returns:
        The mean with its interval. One value without bounds says nothing about the spread: -inf to inf.

    Raises:
        ValueError: there are no values.
    """
    units = _units(values, clusters)
    low, high = _quantiles(units, bounds, ((1 - level) / 2, (1 + level) / 2), resamples, seed)
    mean = fsum(units) / len(units)
    return Interval(mean, min(low, mean), max(high, mean))


def paired_bootstrap(
    differences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The interval of a mean difference between two rows on the same problems, see `bootstrap_mean`.

    `differences` are those of shares unless `bounds` says otherwise (None for steps, seconds and the like).
    """
    return bootstrap_mean(differences, clusters, bounds=bounds, level=level, resamples=resamples, seed=seed)


def noninferior(
    differences: Sequence[float],
    margin: float,
    clusters: Sequence[Hashable] | None = None,
    *,
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NonInferiority:
    """Whether the new is not worse than the old by more than `margin`.

    Args:
        differences: new minus old per problem, as fractions.
        margin: what one is ready to lose, such as 0.02 for two points.
        level: one-sided confidence; 0.95 means a 5% risk of passing something that is worse by just the margin.

    Few problems cannot show it: some 100 without any difference are needed for a margin of 2 points. Simulated at 100
    to 1,000 problems, what is worse by just the margin passes in 4 to 7% of cases, and in up to 13% where the new never
    gains (tests/test_stats.py).

    Raises:
        ValueError: there are no differences.
    """
    units = _units(differences, clusters)
    (low,) = _quantiles(units, bounds, (1 - level,), resamples, seed)
    mean = fsum(units) / len(units)
    low = min(low, mean)
    return NonInferiority(low > -margin, mean, low, margin)


def mcnemar(first: Iterable[bool], second: Iterable[bool]) -> float:
    """Two-sided exact p value of McNemar's test (McNemar 1947): are two ways to answer equally often right?

    `first` and `second` say for the same problems in the same order whether each was right. Only problems on which the
    two differ count; without any, p is 1.

    Raises:
        ValueError: the two are not equally long.
    """
    pairs = [(bool(a), bool(b)) for a, b in zip(first, second, strict=True)]
    gained, lost = pairs.count((False, True)), pairs.count((True, False))
    fewer, n = min(gained, lost), gained + lost
    return min(1.0, 2 * sum(comb(n, i) for i in range(fewer + 1)) / (1 << n))


def sign_flip(differences: Sequence[float], *, resamples: int = 20_000, seed: int = 0) -> float:
    """Two-sided p value of the paired randomisation test (Fisher 1935): could the signs as well be others?

    For differences of -1, 0 and 1 it tests what `mcnemar` tests. Up to 12 differences that are not 0 are enumerated,
    more are drawn; a drawn p is never 0.
    """
    sizes = [abs(value) for value in differences if value]
    seen = abs(fsum(differences)) - 1e-9
    if not sizes:
        return 1.0
    if len(sizes) <= _ENUMERATED:
        ways = [
            abs(fsum(size * sign for size, sign in zip(sizes, signs, strict=True))) >= seen
            for signs in product((1.0, -1.0), repeat=len(sizes))
        ]
        return ways.count(True) / len(ways)

    import numpy as np

    unique, counts = np.unique(np.round(sizes, 12), return_counts=True)
    ups = np.random.default_rng(seed).binomial(counts, 0.5, size=(resamples, len(counts)))
    drawn = np.abs((2 * ups - counts) @ unique)
    return (int(np.count_nonzero(drawn >= seen)) + 1) / (resamples + 1)


def kappa(
    pairs: Sequence[tuple[str, str]],
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Cohen's kappa of two raters (Cohen 1960), with a percentile bootstrap interval.

    Agreement beyond chance: 1 where they always agree, 0 where they do as often as independent raters who use each
    label as often would.

    Args:
        pairs: the labels that both gave, for one item each.
        clusters: the problem that each item belongs to; each problem weighs the same, and is drawn as a whole.

    Returns:
        None without items, and where both give all of them one label: then chance explains everything. The pool that is
        drawn from has two pseudo-problems beside the real ones, one of perfect agreement and one of chance, both with
        the labels as frequent as they are: so the interval has a width also where all agree, as in `bootstrap_mean`.
    """
    import numpy as np

    labels = sorted({label for pair in pairs for label in pair})
    tables: dict[Hashable, Any] = {}
    for (one, other), cluster in zip(pairs, clusters or range(len(pairs)), strict=True):
        table = tables.setdefault(cluster, np.zeros((len(labels), len(labels))))
        table[labels.index(one), labels.index(other)] += 1
    if len(labels) < 2:
        return None
    real = np.stack([table / table.sum() for table in tables.values()])
    mean = real.mean(axis=0)
    rows, columns = mean.sum(axis=1), mean.sum(axis=0)
    pseudo = np.stack([np.diag((rows + columns) / 2), np.outer(rows, columns)])
    unique, counts = np.unique(np.concatenate([real, pseudo]).round(12), axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    values = _kappas(np.tensordot(drawn, unique, axes=1) / counts.sum())
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    point = float(_kappas(mean[None])[0])
    return Interval(point, min(float(low), point), max(float(high), point))


def _kappas(tables: Any) -> Any:
    """Kappa of each table of shares; 1 where there is only one label and so nothing to disagree on."""
    import numpy as np

    agreed = np.trace(tables, axis1=1, axis2=2)
    chance = (tables.sum(axis=2) * tables.sum(axis=1)).sum(axis=1)
    room = 1 - chance
    return np.where(room > 1e-12, (agreed - chance) / np.where(room > 1e-12, room, 1), 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for being several (Holm 1979), in the order given; each is compared with one level."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _units(values: Sequence[float], clusters: Sequence[Hashable] | None) -> list[float]:
    if not values:
        raise ValueError("there are no values")
    if clusters is None:
        return [float(value) for value in values]
    groups: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    return [fsum(group) / len(group) for group in groups.values()]


def _quantiles(
    units: Sequence[float],
    bounds: tuple[float, float] | None,
    shares: tuple[float, ...],
    resamples: int,
    seed: int,
) -> list[float]:
    """The quantiles of the bootstrapped mean. Equal values are drawn together: shares take a handful of values only."""
    if bounds is None and len(units) == 1:
        return [-inf if share < 0.5 else inf for share in shares]

    import numpy as np

    pool = [*units, *(bounds or ())]
    unique, counts = np.unique(np.asarray(pool, dtype=float), return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(pool), counts / len(pool), size=resamples)
    return [float(value) for value in np.quantile(drawn @ unique / len(pool), shares)]
