"""How far two verifiers agree over a run: `strawberry verify --audit`. Nothing is written, and no verdict changes.

The share of equal verdicts and Cohen's kappa (Cohen 1960), which takes off what chance alone would give, are told over
the traces on which both decided, right or wrong. `unknown` and `timeout` are no opinion, and a trace without an answer
leaves nothing to agree on; both stand in the table. As everywhere the problem is the unit of the intervals.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from openstrawberry.errors import ProviderError, UsageError
from openstrawberry.stats import Interval, bootstrap_mean, kappa
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Checked, Trace
from openstrawberry.verify import JudgeCalls, Warn, opened

KEPT = "kept"  # the verdicts that stand in the run
DECIDED = ("correct", "incorrect")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A trace that one verifier calls right and the other wrong."""

    trace: str
    problem: str
    question: str
    known: str
    answer: str
    first: str
    second: str
    details: tuple[str, str]


@dataclass
class Audit:
    """What two verifiers say of the same traces; `first` and `second` are their names.

    `table` counts traces by both statuses, `share` and `kappa` are over those on which both decided: None where there
    are none, or where chance alone explains it all. `failed`: traces that the judge could not be asked about.
    """

    first: str
    second: str
    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: int = 0
    share: Interval | None = None
    kappa: Interval | None = None
    disagreements: list[Disagreement] = field(default_factory=list)
    failed: int = 0
    error: str = ""

    @property
    def decided(self) -> int:
        """Traces on which both decided."""
        return sum(count for pair, count in self.table.items() if set(pair) <= set(DECIDED))


async def audit(
    run: Path,
    first: str | None,
    second: str | None,
    judge: JudgeCalls | None = None,
    limit: int | None = None,
    warn: Warn | None = None,
) -> Audit:
    """Compares the verifier `first` (None: the one that each problem names) with `second` (None: the kept verdicts).

    Args:
        limit: only the first so many traces.

    Raises:
        SetupError: no such run.
        UsageError: no such verifier, or the two are the same.
        ProviderError: see `verify.recheck`.
    """
    if first == second and first is not None:
        raise UsageError(f"An audit compares two verifiers, and both are {first}: name another with --against.")
    found = Audit(first or "the problems' own", second or KEPT)
    names = [first or "", *([second] if second else [])]
    clusters: list[str] = []
    pairs: list[tuple[str, str]] = []
    async with opened(run, names, judge, warn) as checking:
        async for trace, said in checking.verdicts(islice(read_traces(run), limit)):
            one, other = said[0], said[1] if second else trace.verdict
            if isinstance(one, ProviderError) or isinstance(other, ProviderError):
                errors = [str(each) for each in (one, other) if isinstance(each, ProviderError)]
                found.failed, found.error = found.failed + 1, found.error or errors[0]
                continue
            found.table[one.status, other.status] += 1
            if {one.status, other.status} <= set(DECIDED):
                clusters.append(trace.problem.id)
                pairs.append((one.status, other.status))
                if one.status != other.status:
                    found.disagreements.append(_told(trace, one, other))
    found.problems = len(set(clusters))
    if pairs:
        found.share = bootstrap_mean([float(a == b) for a, b in pairs], clusters, bounds=(0.0, 1.0))
        found.kappa = kappa(pairs, clusters)
    return found


def _told(trace: Trace, one: Checked, other: Checked) -> Disagreement:
    return Disagreement(
        trace=trace.id,
        problem=trace.problem.id,
        question=trace.problem.question,
        known=trace.problem.answer,
        answer=trace.answer,
        first=one.status,
        second=other.status,
        details=(one.detail, other.detail),
    )
