"""How hard a problem is for a model: its pass rate, and whether that is in the band worth training on.

A problem that is always solved teaches nothing new, and one that is never solved has no right trace to learn from. What
is left is the *barely solvable* band. The rate comes with its Wilson interval, since a few samples say little.

What a sample counts as (`outcome`):

    right     the verdict is `correct`
    hinted    the verdict is `correct`, but the model had been shown the answer before: it may learn from the trace, and
              has not solved the problem
    wrong     the verdict is `incorrect` and the trace ended by giving an answer
    other     the model had its chance and gave no answer that could be judged: out of turns, truncated, refused, none
    void      says nothing about the model: an error, a spent budget, a check that timed out or does not know

Only `wrong` traces may ever be rejected examples. The pass rate is right / (right + wrong + other): a model that runs
out of turns has not solved the problem, so hinted samples count as other there. Void samples are left out of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from openstrawberry.problems.families import recognise
from openstrawberry.stats import wilson

Outcome = Literal["right", "hinted", "wrong", "other", "void"]
LEARNT: tuple[Outcome, ...] = ("right", "hinted")  # may be chosen
Size = tuple[str, float]
"""(family, difficulty): the family of a built-in problem, "" for any other."""


def outcome(status: str, stop: str, hinted: bool = False) -> Outcome:
    """What a trace with this verdict and this end counts as."""
    if status == "correct":
        return "hinted" if hinted else "right"
    if status == "incorrect" and stop == "final_answer":
        return "wrong"
    if stop in ("error", "budget") or (stop == "final_answer" and status in ("unknown", "timeout")):
        return "void"
    return "other"


def family_of(question: str) -> str:
    """The built-in family that a question belongs to, "" for none."""
    item = recognise(question)
    return item.family if item else ""


def size_of(question: str) -> int:
    """The size of a built-in problem (letters, digits), 0 for any other."""
    item = recognise(question)
    return item.size if item else 0


@dataclass(frozen=True)
class PassRate:
    """How the samples of one problem (or of all problems of one size) ended; `hinted` counts some of `other`."""

    problem: str
    right: int = 0
    wrong: int = 0
    other: int = 0
    void: int = 0
    hinted: int = 0

    def plus(self, kind: Outcome) -> "PassRate":
        """With one sample more."""
        if kind == "hinted":
            return replace(self, other=self.other + 1, hinted=self.hinted + 1)
        return replace(self, **{kind: getattr(self, kind) + 1})

    @property
    def judged(self) -> int:
        """Samples that say something about the model."""
        return self.right + self.wrong + self.other

    @property
    def drawn(self) -> int:
        """All samples."""
        return self.judged + self.void

    @property
    def share(self) -> float:
        """The pass rate as a fraction; 0.0 when nothing was judged."""
        return self.right / self.judged if self.judged else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson interval of the pass rate, as fractions."""
        return wilson(self.right, self.judged)


@dataclass(frozen=True)
class Band:
    """Barely solvable: at least one right and one wrong sample, and a pass rate from `low` to `high`, both included.

    `samples` is how many samples of a problem are drawn at most to find out.
    """

    low: float = 0.05
    high: float = 0.80
    samples: int = 20

    def holds(self, rate: PassRate) -> bool:
        """Whether a problem with this rate is barely solvable."""
        return rate.right > 0 and rate.wrong > 0 and self.low <= rate.share <= self.high

    def decided(self, rate: PassRate, pair: bool) -> bool:
        """Whether more samples of a problem are not worth their price.

        Either a valid pair exists already, or the interval lies wholly outside the band, or `samples` are drawn.
        """
        low, high = rate.interval
        return pair or high < self.low or low > self.high or rate.drawn >= self.samples


@dataclass
class Tally:
    """Pass rates while samples come in, per problem and per size."""

    problems: dict[str, PassRate] = field(default_factory=dict)
    sizes: dict[Size, PassRate] = field(default_factory=dict)
    size_of: dict[str, Size] = field(default_factory=dict)

    def add(self, problem: str, size: Size, kind: Outcome) -> None:
        """Counts one sample."""
        self.size_of[problem] = size
        self.problems[problem] = self.problems.get(problem, PassRate(problem)).plus(kind)
        self.sizes[size] = self.sizes.get(size, PassRate("")).plus(kind)


def tally(samples: Iterable[tuple[str, Size, Outcome]]) -> Tally:
    """The pass rates of (problem id, size, outcome) triples."""
    found = Tally()
    for problem, size, kind in samples:
        found.add(problem, size, kind)
    return found


def barely_solvable(rates: Mapping[str, PassRate], band: Band) -> list[str]:
    """The ids of the problems in the band, in the order of `rates`."""
    return [problem for problem, rate in rates.items() if band.holds(rate)]
