"""Compares two rows of a report problem by problem, and says in plain words what came of it.

Only problems that both rows could be judged on are compared. With one sample each the test is McNemar's (exact); with
more, the signs of the differences per problem are flipped at random, which is the same test for shares. The interval of
the difference is a paired bootstrap over problems. A verdict is given at p < 0.05, after Holm's correction where
several comparisons are made.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, computed_field

from openstrawberry.evaluation.rows import Outcome, Row
from openstrawberry.stats import Interval, holm, mcnemar, paired_bootstrap, sign_flip
from openstrawberry.wording import counted

LEVEL = 0.05
What = Literal["right", "clean"]
Verdict = Literal["better", "worse", "no difference seen", "nothing to compare"]


class Pair(NamedTuple):
    """One problem in two rows: the share of samples that were right (or clean) in each."""

    problem: str
    first: float
    second: float
    single: bool

    @property
    def difference(self) -> float:
        """What the second gained over the first."""
        return self.second - self.first


class Comparison(BaseModel):
    """The second row against the first. `difference` is second minus first, a fraction; `p` is two-sided.

    `left_out` are problems of either row that are not compared: missing from the other one, or not to be judged.
    `adjusted` is `p` after Holm's correction over the `together` comparisons that were made at once.
    """

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    what: What = "right"
    problems: int
    left_out: int
    difference: Interval | None = None
    p: float = 1.0
    adjusted: float = 1.0
    together: int = 1

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """In plain words."""
        if self.difference is None:
            return "nothing to compare"
        if self.adjusted >= LEVEL:
            return "no difference seen"
        return "better" if self.difference.mean > 0 else "worse"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def sentence(self) -> str:
        """Such as "better: +12.5 points, 95% interval 6.0 to 19.0 (p = 0.0004, 200 problems)"."""
        if self.difference is None:
            return "nothing to compare: the two have no problem in common that both could be judged on"
        mean, low, high = (100 * value for value in (self.difference.mean, self.difference.low, self.difference.high))
        holm_said = f" after Holm's correction for {self.together}" if self.together > 1 else ""
        return (
            f"{self.verdict}: {mean:+.1f} points, 95% interval {low:.1f} to {high:.1f} "
            f"({p_text(self.adjusted)}{holm_said}, {counted(self.problems, 'problem')})"
        )


def compare(
    first: Row, second: Row, *, what: What = "right", keep: Callable[[Outcome], bool] | None = None, seed: int = 0
) -> Comparison:
    """Whether `second` is better than `first` on the problems they share.

    Args:
        what: compare how often answers are right, or how often traces are clean.
        keep: only problems for which this says so, such as those of one size.
        seed: of the bootstrap and of the flipped signs.
    """
    pairs = paired(first, second, what=what, keep=keep)
    named = {outcome.problem for row in (first, second) for outcome in row.outcomes if keep is None or keep(outcome)}
    found = Comparison(
        first=first.name, second=second.name, what=what, problems=len(pairs), left_out=len(named) - len(pairs)
    )
    if not pairs:
        return found
    differences = [pair.difference for pair in pairs]
    if all(pair.single for pair in pairs):
        p = mcnemar([pair.first == 1 for pair in pairs], [pair.second == 1 for pair in pairs])
    else:
        p = sign_flip(differences, seed=seed)
    return found.model_copy(update={"difference": paired_bootstrap(differences, seed=seed), "p": p, "adjusted": p})


def paired(
    first: Row, second: Row, *, what: What = "right", keep: Callable[[Outcome], bool] | None = None
) -> list[Pair]:
    """The problems that both rows could be judged on, in the order of `first`."""
    others = {outcome.problem: outcome for outcome in second.outcomes}
    pairs = []
    for one in first.outcomes:
        other = others.get(one.problem)
        if other is None or not one.tried or not other.tried or (keep is not None and not keep(one)):
            continue
        if what == "clean" and (one.clean < 0 or other.clean < 0):
            continue
        before, after = ((out.clean if what == "clean" else out.right) / out.tried for out in (one, other))
        pairs.append(Pair(one.problem, before, after, single=one.tried == other.tried == 1))
    return pairs


def together(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with p values that allow for their number (Holm)."""
    made = [place for place, one in enumerate(comparisons) if one.difference is not None]
    adjusted = dict(zip(made, holm([comparisons[place].p for place in made]), strict=True))
    return [
        one.model_copy(update={"adjusted": adjusted[place], "together": len(made)}) if place in adjusted else one
        for place, one in enumerate(comparisons)
    ]


def against(rows: Sequence[Row], reference: int = 0, *, seed: int = 0) -> list[Comparison]:
    """Every other row against the reference, corrected together."""
    return together([compare(rows[reference], row, seed=seed) for i, row in enumerate(rows) if i != reference])


def all_pairs(rows: Sequence[Row], *, seed: int = 0) -> list[Comparison]:
    """Every row against every row before it, corrected together."""
    return together([compare(a, b, seed=seed) for place, b in enumerate(rows) for a in rows[:place]])


def p_text(p: float) -> str:
    """`p = 0.0004`, `p = 0.031`, `p < 0.0001`."""
    if p < 0.0001:
        return "p < 0.0001"
    return f"p = {p:.4f}" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
