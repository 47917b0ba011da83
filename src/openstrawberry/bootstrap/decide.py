"""Whether a round's model is accepted: a paired test, never a look at two numbers.

The candidate and the model before it answered the same held-out problems. Accepted is what is *better* where it was
trained (the band, pooled: exact McNemar test) and *not worse* where it was good already: all easy sizes pooled are
shown to have lost less than the margin (non-inferiority), and no single easy size fell significantly (McNemar with
Holm's correction, Holm 1979).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from openstrawberry.bootstrap.config import Exam
from openstrawberry.bootstrap.ladder import Rung
from openstrawberry.bootstrap.scores import Scores
from openstrawberry.stats import Interval, NonInferiority, holm, mcnemar, noninferior, paired_bootstrap


@dataclass(frozen=True)
class Decision:
    """Accepted or not, and every number that decided it. Differences are shares: 0.1 is ten points."""

    accepted: bool
    gain: Interval
    p: float
    easy: NonInferiority
    fallen: tuple[str, ...]
    reason: str


Pairs = list[tuple[bool, bool]]


def decide(before: Scores, after: Scores, band: Iterable[Rung], easy: Iterable[Rung], exam: Exam) -> Decision:
    """Compares two models on the problems that both answered."""
    changed = [pair for rung in band for pair in _pairs(before, after, rung)]
    held = {rung: pairs for rung in easy if (pairs := _pairs(before, after, rung))}
    pooled = [pair for pairs in held.values() for pair in pairs]
    if not changed:
        return rejected("no held-out problem was answered by both", exam)
    gain = paired_bootstrap(_differences(changed))
    p = mcnemar(*zip(*changed, strict=True))
    floor = _kept(pooled, exam)
    fallen = _fallen(held, exam.level)
    better = p < exam.level and gain.mean > 0
    if not better:
        reason = f"the band did not get better ({gain.mean:+.1%}, p = {p:.2g})"
    elif not floor.holds:
        reason = f"the easy sizes may have lost more than {exam.margin:.0%} (at worst {floor.low:+.1%})"
    elif fallen:
        reason = f"{', '.join(fallen)} fell"
    else:
        reason = (
            f"the band got better ({gain.mean:+.1%}, p = {p:.2g}) and the easy sizes held (at worst {floor.low:+.1%})"
        )
    return Decision(better and floor.holds and not fallen, gain, p, floor, fallen, reason)


def rejected(reason: str, exam: Exam) -> Decision:
    """A rejection without any numbers."""
    return Decision(False, Interval(0.0, -1.0, 1.0), 1.0, _kept([], exam), (), reason)


def against_the_first(decision: Decision, first: Scores, after: Scores, easy: Iterable[Rung], exam: Exam) -> Decision:
    """The decision, taken back where the easy sizes may have lost more than the margin since the very first model."""
    floor = kept(first, after, easy, exam)
    if floor.holds:
        return decision
    reason = (
        f"since the first model the easy sizes may have lost more than {exam.margin:.0%} (at worst {floor.low:+.1%})"
    )
    return replace(decision, accepted=False, easy=floor, reason=reason)


def kept(before: Scores, after: Scores, easy: Iterable[Rung], exam: Exam) -> NonInferiority:
    """Whether the easy sizes, pooled, lost less than the margin."""
    return _kept([pair for rung in easy for pair in _pairs(before, after, rung)], exam)


def _pairs(before: Scores, after: Scores, rung: Rung) -> Pairs:
    if rung not in before or rung not in after:
        return []
    old, new = before[rung].results, after[rung].results
    return [(old[key].right, new[key].right) for key in old if key in new]


def _differences(pairs: Pairs) -> list[float]:
    return [float(new) - float(old) for old, new in pairs]


def _kept(pairs: Pairs, exam: Exam) -> NonInferiority:
    if not pairs:  # nothing is easy yet, so nothing can be lost
        return NonInferiority(True, 0.0, 0.0, exam.margin)
    return noninferior(_differences(pairs), exam.margin)


def _fallen(held: dict[Rung, Pairs], level: float) -> tuple[str, ...]:
    rungs = list(held)
    if not rungs:
        return ()
    adjusted = holm([mcnemar(*zip(*held[rung], strict=True)) for rung in rungs])
    return tuple(
        str(rung) for rung, p in zip(rungs, adjusted, strict=True) if p < level and sum(_differences(held[rung])) < 0
    )
