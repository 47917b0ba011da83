"""The stages of a round: make traces, choose, train, measure. Each writes to a place of its own below the loop's folder
and leaves alone what is there already, so that a killed loop goes on by running the same stages again.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from openstrawberry.bootstrap.config import Loop
from openstrawberry.bootstrap.events import Hear, StageStarted
from openstrawberry.bootstrap.ladder import Rung, told
from openstrawberry.bootstrap.purse import Purse
from openstrawberry.bootstrap.scores import Score, read_scores
from openstrawberry.calls import check_calls
from openstrawberry.config import RunConfig
from openstrawberry.errors import SetupError
from openstrawberry.generate import Run
from openstrawberry.models.model import specs_in
from openstrawberry.models.registry import openings
from openstrawberry.problems.problem import Problem
from openstrawberry.selection.options import Selecting
from openstrawberry.selection.report import NothingLeft
from openstrawberry.selection.select import select
from openstrawberry.settings import Settings
from openstrawberry.training.recipe import Recipe
from openstrawberry.training.train import Training
from openstrawberry.wording import counted

TOLERATED = 0.02
"""Share of a stage's traces that may fail for good, such as by a content filter, before the loop stops to say so."""

Asked = Sequence[tuple[Rung, Problem]]


class Stages:
    """Carries out single stages of a loop.

    Args:
        hear: is told what happens.
        number: of the round, 0 for what comes before the first.
        heldout: problem sources that must stay unseen.
        purse: what the loop may use, and has used.
    """

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        hear: Hear,
        number: int,
        heldout: tuple[str, ...],
        purse: Purse | None = None,
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._hear = hear
        self._number = number
        self._heldout = heldout
        self._purse = purse or Purse(loop)

    def play(self, stage: str, model: str, asked: Asked, samples: int, seed: int, out: Path) -> Path:
        """Traces of these problems in the run directory `out`; nothing is made twice."""
        sampling = self._loop.sampling
        what = told(rung for rung, _ in asked)
        self._hear(StageStarted(self._number, stage, what, len(asked) * samples))
        config = RunConfig(
            model=model,
            strategy=sampling.strategy,
            set=sampling.set,
            prompts=sampling.prompts,
            prompt_set=sampling.prompt_set or RunConfig(model=self._loop.student).prompts_used,
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            concurrency=sampling.concurrency,
            samples=samples,
            seed=seed,
            problems=f"loop {stage}",
            out=out,
            prices=self._loop.prices,
            budget_usd=self._loop.budget_usd,
            budget_tokens=self._loop.budget_tokens,
        )
        problems, elsewhere = [problem for _, problem in asked], self._purse.elsewhere(out)
        asyncio.run(self._run(Run(config, self._settings, self._hear, problems=problems, elsewhere=elsewhere)))
        return out

    async def _run(self, run: Run) -> None:
        try:
            if run.owes:
                self._purse.check_time()
            summary = await run.run()
            self._purse.check_budget(run.budget, summary.stopped)
            if summary.stopped:
                raise SetupError(summary.stopped)
            if summary.failed > TOLERATED * summary.traces:
                raise SetupError(
                    f"{summary.failed:,} of {counted(summary.traces, 'trace')} of this stage failed "
                    f"({summary.first_error}): run the same command to try again."
                )
        finally:
            await run.close()

    def measure(self, model: str, asked: Asked, out: Path) -> dict[Rung, Score]:
        """The scores of a model on held-out problems, one trace each."""
        self.play("measure", model, asked, 1, self._loop.seed, out)
        return read_scores(out, asked)

    def pairs(self, runs: Sequence[Path], out: Path) -> int:
        """Preference pairs from runs, written to `out`; how many there are (0 where no problem has both outcomes)."""
        return self._select(runs, self._selecting("trl"), out)

    def conversations(self, runs: Sequence[Path], out: Path) -> int:
        """Right (and clean) traces from runs, as supervised rows."""
        return self._select(runs, self._selecting("sft"), out)

    def train(self, recipe: Recipe, model: str, file: Path, out: Path) -> str:
        """Trains and returns the spec of what came out; does nothing where it is there already."""
        self._hear(StageStarted(self._number, "train", f"{recipe.method} from {model}"))
        if out.is_dir():
            return str(json.loads((out / "strawberry.json").read_text(encoding="utf-8"))["spec"])
        self._purse.check_time()
        return Training(recipe, model, file, self._hear).run(out).spec

    def _selecting(self, format: str) -> Selecting:
        choosing = self._loop.choosing
        return Selecting(
            format="trl" if format == "trl" else "sft",
            skew=choosing.skew,
            clean=None if choosing.clean else False,
            per_problem=choosing.per_problem,
            low=0.0,
            high=1.0,
            near=1.0,
            balance=0.0,
            seed=self._loop.seed,
            evaluation=self._heldout,
            drop_evaluated=True,
        )

    def _select(self, runs: Sequence[Path], selecting: Selecting, out: Path) -> int:
        self._hear(StageStarted(self._number, "select", out.stem))
        try:
            found = select(runs, selecting)
        except NothingLeft:
            return 0
        found.write(out)
        return len(found)


def check_maker(loop: Loop, settings: Settings) -> None:
    """Finds what is wrong with whoever makes the traces before the student is measured.

    Raises:
        SetupError: there is no such model, or its key or a price that a budget needs is missing.
    """
    maker = loop.teacher or loop.student
    check_calls(RunConfig(model=maker, budget_usd=loop.budget_usd, prices=loop.prices), settings)
    for spec in specs_in(maker):
        openings(spec, settings)
