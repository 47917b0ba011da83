"""How a model did on the rungs: per problem, so that two models can be compared on the same ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openstrawberry.problems.problem import Problem
from openstrawberry.selection.difficulty import outcome
from openstrawberry.selection.steps import is_clean
from openstrawberry.stats import wilson
from openstrawberry.store.reading import read_traces

if TYPE_CHECKING:
    from openstrawberry.bootstrap.ladder import Rung


@dataclass(frozen=True)
class Result:
    """One trace: whether its answer was right, whether all its steps were (None: the task does not know), its turns."""

    right: bool
    clean: bool | None
    steps: int

    @property
    def good(self) -> bool:
        """Right, and clean as far as one can tell."""
        return self.right and self.clean is not False


@dataclass(frozen=True)
class Score:
    """The results of one rung, by problem id, one sample each."""

    results: Mapping[str, Result]

    def share(self, clean: bool = False) -> float:
        """The pass rate; with `clean`, of traces that were right in every step."""
        return self.count(clean) / len(self.results) if self.results else 0.0

    def count(self, clean: bool = False) -> int:
        """How many passed."""
        return sum(result.good if clean else result.right for result in self.results.values())

    def interval(self, clean: bool = False) -> tuple[float, float]:
        """95% Wilson interval of the share."""
        return wilson(self.count(clean), len(self.results))

    def steps(self) -> float:
        """Mean turns of the traces that were right in every step; NaN without any."""
        turns = [result.steps for result in self.results.values() if result.good]
        return sum(turns) / len(turns) if turns else float("nan")


Scores = Mapping["Rung", Score]


def read_scores(run: Path, problems: Iterable[tuple["Rung", Problem]]) -> dict["Rung", Score]:
    """The scores of a finished run; traces that broke for technical reasons are left out."""
    rung_of = {problem.id: rung for rung, problem in problems}
    found: dict[Rung, dict[str, Result]] = {rung: {} for rung in rung_of.values()}
    for trace in read_traces(run):
        rung = rung_of.get(trace.problem.id)
        void = outcome(trace.verdict.status, trace.stop) == "void"
        if rung is not None and trace.sample == 0 and not void:
            found[rung][trace.problem.id] = Result(trace.solved, is_clean(trace), trace.turns)
    return {rung: Score(results) for rung, results in found.items()}
