"""What one problem goes through in one round: written, solved, tried.

    write   a generator of its family makes the next problem, or a model writes one (`mutation.py`)
    solve   the generator computes the answer, or several solvers agree on one (`agreement.py`)
    try     the target draws samples until one is right and one is wrong; always or never right is not kept

What always holds: solvers see the new question and nothing else, and the parent's answer is never looked at. What fails
at one stage does not reach the next, so nothing more is paid for it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from openstrawberry.engine.drive import Setting
from openstrawberry.evolve.agreement import agreed, solved, unsolved
from openstrawberry.evolve.book import Candidate, Evidence
from openstrawberry.evolve.cast import Part
from openstrawberry.evolve.config import Evolving
from openstrawberry.evolve.elimination import Known
from openstrawberry.evolve.generators import can_generate, computed, harder, plain
from openstrawberry.evolve.mutation import ACCEPTED, Mutation
from openstrawberry.evolve.operators import examples, keywords, randomness
from openstrawberry.models.model import without_address
from openstrawberry.problems.problem import Problem
from openstrawberry.selection.difficulty import PassRate, outcome
from openstrawberry.selection.heldout import Heldout
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers

AT_ONCE = 4  # tries of the target before it is looked whether more are wanted
Make = Callable[[Setting, Problem, Sequence[int]], Awaitable[list[Trace]]]


@dataclass(frozen=True, slots=True)
class Line:
    """Where a line stands: the problem it began with (`given`), the one it has come to, and that one's root."""

    given: Problem
    parent: Problem
    root: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a line meets in a round. `shown`: the problems that a fresh start sees; `generated`: by a generator."""

    candidate: Candidate
    shown: list[Problem]
    generated: bool
    random: Random

    def mutation(self, config: Evolving) -> Mutation:
        """What the writer is asked."""
        return Mutation(
            operator=self.candidate.operator,
            examples=tuple(each.question for each in self.shown),
            keywords=tuple(keywords(self.random, self.shown)),
            near=config.near,
        )


def draw(config: Evolving, line: Line, given: Sequence[Problem], round: int) -> Drawn:
    """Draws the operator of a round; the same for the same problem, seed and round."""
    random = randomness(config.seed, line.given, round)
    generated = bool(config.generators) and can_generate(line.parent)
    operator = random.choice(config.generators if generated else config.operators)
    candidate = Candidate(line=line.given.id, round=round, operator=operator, parent=line.parent.id, root=line.root)
    if operator != "fresh":
        return Drawn(candidate, [], generated, random)
    shown = examples(random, line.given, given)
    seen = tuple(each.id for each in shown)
    return Drawn(candidate.but(parent="", root="", examples=seen), shown, generated, random)


class Stages:
    """Carries out the stages.

    Args:
        settings: of the parts that are asked.
        given: all problems that lines began with.
        known: all problems there are so far; new ones are added.
        make: makes samples of a problem, side by side.
    """

    def __init__(
        self,
        config: Evolving,
        settings: Mapping[Part, Setting],
        verifiers: Verifiers,
        given: Sequence[Problem],
        known: Known,
        make: Make,
    ) -> None:
        self._config = config
        self._settings = settings
        self._verify = verifiers.verify
        self._given = given
        self._known = known
        self._make = make
        self._heldout = Heldout()

    async def next(self, line: Line, round: int) -> Candidate:
        """What comes of a line in one round."""
        drawn = draw(self._config, line, self._given, round)
        mine = drawn.candidate
        if drawn.generated:
            like = next(filter(can_generate, drawn.shown), line.parent)
            problem = harder(like, mine.operator, drawn.random)
            mine = mine.but(writer="generator", problem=problem, reason="" if problem else "nothing harder")
        else:
            mine = await self._written(mine, line.parent, drawn.mutation(self._config))
        for stage in (self._new, self._solved, self._tried):
            if mine.problem is not None and mine.kept:
                mine = await stage(mine, mine.problem)
        return mine

    async def _written(self, mine: Candidate, parent: Problem, mutation: Mutation) -> Candidate:
        """With the problem that the writer makes of `parent`; its answer only where a generator computes it."""
        setting = replace(self._settings["writer"], strategy=mutation)
        (trace,) = await self._make(setting, unsolved(parent.question), [mine.round])
        question, how = trace.answer, trace.verdict.method
        mine = mine.but(writer=trace.model, problem=(computed(question) or unsolved(question)) if question else None)
        return mine.but(evidence=Evidence(judge=how)) if how in ACCEPTED else mine.but(reason=how)

    async def _new(self, mine: Candidate, problem: Problem) -> Candidate:
        """Eliminated where it is a copy of any other problem, or may not be learnt from."""
        reason = self._known.add(plain(problem)) or self._heldout.seen(problem.id, problem.question)
        return mine.but(reason=reason)

    async def _solved(self, mine: Candidate, problem: Problem) -> Candidate:
        """With the answer that the generator computed, or that the solvers agree on."""
        if problem.answer:
            root = mine.root or problem.id
            return mine.but(root=root, evidence=mine.evidence.model_copy(update={"answered": "computed"}))
        setting = self._settings["solver"]
        traces = await self._make(setting, problem, range(self._config.solvers))
        found = await agreed(problem.question, [trace.answer for trace in traces], self._verify)
        told = {"answered": "agreement", "solver": traces[0].model, "solver_strategy": setting.strategy.name}
        counted = {"solvers": found.solvers, "votes": found.votes}
        mine = mine.but(evidence=mine.evidence.model_copy(update={**told, **counted}))
        if not found.holds(self._config.agree):
            few = found.answered < self._config.agree * found.solvers
            return mine.but(reason="no answer" if few else "no agreement")
        problem = solved(problem.question, found.answer)
        return mine.but(problem=problem, root=mine.root or problem.id)

    async def _tried(self, mine: Candidate, problem: Problem) -> Candidate:
        """Kept where the target is right sometimes; where no samples are asked for, always."""
        if not self._config.samples:
            return mine
        setting, rate = self._settings["target"], PassRate(problem.id)
        while rate.drawn < self._config.samples and not (rate.right and rate.wrong):
            more = range(rate.drawn, min(rate.drawn + AT_ONCE, self._config.samples))
            for trace in await self._make(setting, problem, more):
                rate = rate.plus(outcome(trace.verdict.status, trace.stop))
        told = {"target": without_address(setting.model("solver").spec), "target_strategy": setting.strategy.name}
        counted = {"right": rate.right, "wrong": rate.wrong, "other": rate.other}
        return mine.but(evidence=mine.evidence.model_copy(update={**told, **counted}), reason=_extreme(rate))


def _extreme(rate: PassRate) -> str:
    """Why a problem of this pass rate is not kept; empty where it is solved sometimes."""
    if not rate.judged:
        return "no verdict"
    return "never right" if not rate.right else "always right" if rate.right == rate.judged else ""
