"""The loop: sample, select, train, measure, accept or reject, climb, again.

    round 0    measure the student on the held-out problems of every size near its frontier; keep some easy traces
    round n    probe the sizes just above the frontier, and go on sampling those in the band
               turn the traces into preference pairs and conversations
               train by the first recipe, measure, and accept the model only if a paired test says so (`decide.py`)
               otherwise train by the next recipe; when none is left, stop

Nothing is kept but files: every stage has its place below the loop's folder and skips what is there, so running the
same command again goes on wherever it was killed. Problems once sampled never come back in a later round.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from openstrawberry.bootstrap.config import Loop
from openstrawberry.bootstrap.decide import against_the_first, decide, rejected
from openstrawberry.bootstrap.events import Hear, LoopEvent, Reported, RoundEnded
from openstrawberry.bootstrap.ladder import Ladder, Rung
from openstrawberry.bootstrap.lineage import Attempt, Lineage, RoundRecord
from openstrawberry.bootstrap.purse import Purse, UsedUp
from openstrawberry.bootstrap.report import write_report
from openstrawberry.bootstrap.scores import Score, Scores, read_scores
from openstrawberry.bootstrap.stages import Asked, Stages, check_maker
from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.files import write_whole
from openstrawberry.store.lock import lock
from openstrawberry.training.loading import require_packages
from openstrawberry.training.recipe import Recipe
from openstrawberry.training.weights import place_of
from openstrawberry.wording import cause, counted


@dataclass
class Standing:
    """Where a loop stands: the accepted model, its scores, and what was made on the way."""

    model: str
    scores: dict[Rung, Score]
    first: Scores
    used: set[str] = field(default_factory=set)
    conversations: list[Path] = field(default_factory=list)


class Bootstrap:
    """One loop, ready to start. `used_up`: which of its limits has ended it, None while none has.

    Raises:
        SetupError: a package is missing, the student cannot be trained here, the teacher cannot be asked, or the folder
            holds another loop.
    """

    def __init__(self, loop: Loop, settings: Settings, hear: Hear) -> None:
        require_packages()
        place_of(loop.student)
        check_maker(loop, settings)
        self.loop = loop
        self.ladder = Ladder(loop)
        self._settings = settings
        self._listener = hear
        self.used_up: UsedUp | None = None
        self._claim()
        self._lock = lock(loop.out)
        self._purse = Purse(loop)

    def close(self) -> None:
        """Lets go of the loop's folder."""
        self._purse.tick()
        self._purse.note()
        self._lock.close()

    def run(self) -> Lineage:
        """Climbs until the rounds, a limit or the ladder are used up, or no recipe is accepted.

        Raises:
            UsedUp: a limit was reached before the first round.
        """
        standing = self._start()
        lineage = Lineage(self.loop, standing.model, standing.scores)
        self._report(lineage)
        try:
            lineage.ended = self._climb(standing, lineage)
        except UsedUp as limit:
            self.used_up, lineage.ended = limit, limit.why
        self._report(lineage)
        return lineage

    def _climb(self, standing: Standing, lineage: Lineage) -> str:
        """Round after round; why it ends."""
        for number in range(1, self.loop.rounds + 1):
            if ended := self._round(number, standing, lineage):
                return ended
            self._report(lineage)
        return f"all {self.loop.rounds} rounds are done"

    # Round 0.

    def _start(self) -> Standing:
        stages = self._stages(0)
        self.ladder.measured = self._find_easy(stages)
        easy = self.ladder.easy()
        top = {family: max((r.place for r in easy if r.family == family), default=-1) for family in self.ladder.rungs}
        rungs = [*easy, *self.ladder.above(top)]
        scores = self._measure(stages, self.loop.student, rungs, set(rungs) - set(easy), self._folder(0))
        if not self.loop.teacher and not any(score.count() for score in scores.values()):
            raise SetupError(
                f"{self.loop.student} solves nothing on this ladder, so there is nothing to learn from: begin with "
                "easier sizes, or name a --teacher."
            )
        return Standing(self.loop.student, scores, first=scores)

    def _find_easy(self, stages: Stages) -> list[Rung]:
        """Measures each family whose easy sizes nobody has said, from below until a size is not passed."""
        found = []
        for family in self.ladder.unsaid:
            for rung in self.ladder.rungs[family]:
                asked = self._heldout([rung], near=set())
                folder = self._folder(0) / f"easy-{family}-{rung.place}"
                if stages.measure(self.loop.student, asked, folder)[rung].share() < self.loop.exam.passing:
                    break
                found.append(rung)
        return found

    # A round.

    def _round(self, number: int, standing: Standing, lineage: Lineage) -> str:
        """One round; the sentence why the loop ends here, or nothing."""
        stages, folder = self._stages(number), self._folder(number)
        band, runs = self._sample(stages, number, standing)
        if not band:
            return "no size above the frontier is solved often enough to learn from"
        unknown = [rung for rung in band if rung not in standing.scores]
        if unknown:  # sizes that came within reach: what the model does there before it learns
            before = stages.measure(standing.model, self._heldout(unknown, set(unknown)), folder / "heldout-before")
            standing.scores.update(before)  # the lineage holds the same scores
        record = RoundRecord(number, standing.model, tuple(str(rung) for rung in band))
        lineage.rounds.append(record)
        new = folder / "conversations.jsonl"
        made = stages.conversations(runs, new)
        if not made:
            return "not one trace of this round is right in every step"
        record.pairs, record.conversations = stages.pairs(runs, folder / "pairs.jsonl"), made
        for index in range(len(self.loop.recipes)):
            attempt = self._attempt(stages, index, standing, band, record)
            record.attempts.append(attempt)
            self._hear(RoundEnded(number, index + 1, attempt.decision.accepted, attempt.decision.reason))
            if attempt.decision.accepted:
                standing.model, standing.scores = attempt.model, attempt.scores
                standing.conversations.append(new)
                return ""
        return f"no recipe of round {number} was accepted"

    def _sample(self, stages: Stages, number: int, standing: Standing) -> tuple[list[Rung], list[Path]]:
        """Probes the sizes above the frontier, then samples those in the band: (band, run directories)."""
        sampling, exam = self.loop.sampling, self.loop.exam
        seed = self.loop.seed + 1000 * number
        frontier = self.ladder.frontier(standing.scores, self.loop.choosing.clean)
        asked: list[tuple[Rung, Problem]] = []
        for rung in self.ladder.above(frontier):
            problems = self.ladder.train(rung, sampling.problems, seed, standing.used)
            asked += [(rung, problem) for problem in problems]
        standing.used |= {problem.id for _, problem in asked}
        if not asked:
            return [], []
        out = self._folder(number) / "samples"
        maker = self.loop.teacher or standing.model
        stages.play("probe", maker, asked, 1, seed, out)
        probed = read_scores(out, asked)
        band = [rung for rung, score in probed.items() if score.share(self.loop.choosing.clean) >= exam.low]
        if band:
            stages.play("sample", maker, [each for each in asked if each[0] in band], sampling.samples, seed, out)
        return band, [out]

    def _attempt(
        self, stages: Stages, index: int, standing: Standing, band: list[Rung], record: RoundRecord
    ) -> Attempt:
        """Trains by one recipe, measures, and judges."""
        folder = self._folder(record.number)
        model = standing.model if self.loop.start == "last" else self.loop.student
        mix = self._mix(folder, standing)
        trained: list[Recipe] = []
        for step, recipe in enumerate(self.loop.recipes[index], start=1):
            if recipe.method == "dpo" and record.pairs < self.loop.choosing.fewest_pairs:
                continue
            file = folder / ("pairs.jsonl" if recipe.method == "dpo" else "conversations.jsonl")
            seed = self.loop.seed + record.number + recipe.seed
            trained.append(recipe.model_copy(update={"mix": (*recipe.mix, *mix), "seed": seed}))
            model = stages.train(trained[-1], model, file, folder / f"recipe-{index + 1}" / f"{step}-{recipe.method}")
        if not trained:
            reason = f"only {counted(record.pairs, 'pair')} came of it, fewer than {self.loop.choosing.fewest_pairs}"
            return Attempt(index + 1, (), model, {}, rejected(reason, self.loop.exam))
        scores = self._measure(stages, model, *self._exam(standing), folder / f"recipe-{index + 1}")
        easy = [
            rung for rung in self.ladder.below(self.ladder.frontier(standing.scores, clean=False)) if rung not in band
        ]
        # Several recipes are several chances to be accepted by luck.
        exam = self.loop.exam.model_copy(update={"level": self.loop.exam.level / len(self.loop.recipes)})
        decision = decide(standing.scores, scores, band, easy, exam)
        if decision.accepted:  # small losses must not add up over many rounds
            decision = against_the_first(decision, standing.first, scores, self.ladder.easy(), exam)
        return Attempt(index + 1, tuple(trained), model, scores, decision)

    def _mix(self, folder: Path, standing: Standing) -> tuple[str, ...]:
        """What is replayed beside the new rows: traces of earlier rounds, and easy ones."""
        choosing, found = self.loop.choosing, []
        if choosing.easy and (easy := self._easy_traces()).is_file():
            found.append(f"{easy}:{choosing.easy}")
        if choosing.earlier and standing.conversations:
            earlier = folder / "earlier.jsonl"
            write_whole(earlier, "".join(path.read_text(encoding="utf-8") for path in standing.conversations))
            found.append(f"{earlier}:{choosing.earlier}")
        return tuple(found)

    def _easy_traces(self) -> Path:
        """Conversations of the first student on easy training problems, made once."""
        folder = self._folder(0)
        file = folder / "easy.jsonl"
        if not file.is_file():
            stages = self._stages(0)
            asked: list[tuple[Rung, Problem]] = []
            for rung in self._easy_rungs():
                problems = self.ladder.train(rung, self.loop.choosing.easy_problems, self.loop.seed, set())
                asked += [(rung, problem) for problem in problems]
            stages.play("replay", self.loop.student, asked, 1, self.loop.seed, folder / "easy")
            stages.conversations([folder / "easy"], file)
        return file

    def _easy_rungs(self) -> list[Rung]:
        return self.ladder.easy() or [self.ladder.rungs[family][0] for family in self.ladder.rungs]

    # Held-out problems.

    def _exam(self, standing: Standing) -> tuple[list[Rung], set[Rung]]:
        """What a candidate is measured on: (every rung up to `reach` above the frontier, those of them that are
        measured on all problems: what may be learnt in this round)."""
        frontier = self.ladder.frontier(standing.scores, self.loop.choosing.clean)
        near = set(self.ladder.above(frontier))
        passed = self.ladder.below(self.ladder.frontier(standing.scores, clean=False))
        return sorted({*self.ladder.below(frontier), *passed, *near}), near

    def _measure(
        self, stages: Stages, model: str, rungs: list[Rung], near: set[Rung], folder: Path
    ) -> dict[Rung, Score]:
        """Scores on these rungs, and upwards from the highest until one is not passed."""
        scores = stages.measure(model, self._heldout(rungs, near), folder / "heldout")
        while higher := [
            self.ladder.rungs[family][at + 1]
            for family, at in self.ladder.frontier(scores, clean=False).items()
            if at + 1 < len(self.ladder.rungs[family]) and self.ladder.rungs[family][at + 1] not in scores
        ]:
            place = folder / f"heldout-{'-'.join(rung.family + rung.size for rung in higher)}"
            scores |= stages.measure(model, self._heldout(higher, set(higher)), place)
        return scores

    def _heldout(self, rungs: list[Rung], near: set[Rung]) -> Asked:
        exam = self.loop.exam
        asked = []
        for rung in sorted(rungs, key=lambda rung: (-rung.place, rung.family)):  # long traces first: no long tail
            count = exam.problems if rung in near else exam.easy_problems
            asked += [(rung, problem) for problem in self.ladder.heldout(rung)[:count]]
        return asked

    # Files.

    def _folder(self, number: int) -> Path:
        return self.loop.out / f"round-{number:02d}"

    def _stages(self, number: int) -> Stages:
        return Stages(self.loop, self._settings, self._hear, number, self.ladder.heldout_sources(), self._purse)

    def _claim(self) -> None:
        """Makes the loop's folder, or goes on with the one that has the same settings.

        A setting that a loop from before does not know has its default.
        """
        file = self.loop.out / "loop.json"
        wanted = self.loop.identity()
        try:
            there = Loop.model_validate_json(file.read_text(encoding="utf-8")).identity()
        except FileNotFoundError:
            write_whole(file, json.dumps(wanted, indent=2) + "\n")
            return
        except (OSError, ValueError) as error:
            raise SetupError(f"{file} cannot be read ({cause(error)}): choose another folder with --out.") from error
        changed = [key for key in wanted if there.get(key) != wanted[key]]
        if changed:
            raise SetupError(
                f"{self.loop.out} holds a loop with other settings ({', '.join(changed)}): undo the change, or choose "
                "another folder with --out."
            )

    def _hear(self, event: LoopEvent) -> None:
        self._purse.tick()
        self._listener(event)

    def _report(self, lineage: Lineage) -> None:
        write_report(lineage, self.ladder, self.loop.out)
        self._hear(Reported(self.loop.out))
