"""When enough samples of a problem are drawn: for `generate --until-decided`.

Samples are drawn in waves, the k-th of every undecided problem and then the next, and whether a problem goes into wave
k depends on its samples before k alone. So a run that was killed in the middle of a wave comes to the same decisions
when it goes on, whatever else already lies in its directory.
"""

from collections import defaultdict
from dataclasses import dataclass

from openstrawberry.selection.difficulty import Band, Outcome, PassRate, outcome
from openstrawberry.selection.steps import Guard, is_clean, told_in_steps
from openstrawberry.trace import Trace


@dataclass(frozen=True, slots=True)
class Drawn:
    """One sample: how it ended, whether it is clean (of a right one), and its replies."""

    kind: Outcome
    clean: bool | None
    turns: int


class Decider:
    """Follows a run's samples."""

    def __init__(self, band: Band) -> None:
        self.band = band
        self._drawn: dict[str, dict[int, Drawn]] = defaultdict(dict)
        self._decided: set[str] = set()
        self._told_from: int | None = None  # the first wave in which a right trace was told in the task's own steps

    def add(self, trace: Trace) -> None:
        """Takes note of a trace, in place of an earlier one of the same sample."""
        kind = outcome(trace.verdict.status, trace.stop, trace.hinted)
        clean = is_clean(trace) if kind == "right" else None
        self._drawn[trace.problem.id][trace.sample] = Drawn(kind, clean, trace.turns)
        if kind == "right" and told_in_steps(trace):
            self._told_from = trace.sample if self._told_from is None else min(self._told_from, trace.sample)

    def wants(self, problem: str, wave: int) -> bool:
        """Whether sample number `wave` of a problem is worth drawing, after those before it. To be asked in order.

        What is decided once stays so, even where later samples lie in the directory already.
        """
        if problem in self._decided:
            return False
        before = [drawn for sample, drawn in self._drawn[problem].items() if sample < wave]
        guard = Guard(None, told=self._told_from is not None and self._told_from < wave)
        rate = PassRate(problem)
        for drawn in before:
            rate = rate.plus(drawn.kind)
        chosen = any(drawn.kind == "right" and guard.admits(drawn.clean) for drawn in before)
        if self.band.decided(rate, pair=chosen and rate.wrong > 0):
            self._decided.add(problem)
        return problem not in self._decided

    def saved(self) -> tuple[int, int]:
        """(traces, calls) that were not needed to reach `samples`; a trace counts with its problem's mean replies."""
        traces, calls = 0, 0.0
        for drawn in self._drawn.values():
            left = self.band.samples - sum(sample < self.band.samples for sample in drawn)
            if drawn and left > 0:
                traces += left
                calls += left * sum(each.turns for each in drawn.values()) / len(drawn)
        return traces, round(calls)
