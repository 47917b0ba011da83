"""The ladder of sizes: which rungs are easy, where the frontier is, what to try next, and the problems of a rung."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from openstrawberry.bootstrap.config import Loop
from openstrawberry.bootstrap.scores import Scores
from openstrawberry.errors import SetupError
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.catalogue import VERIFIERS

HELDOUT_SEED = 20_000
"""Held-out problems are drawn with one seed in every loop, so that loops can be compared."""


@dataclass(frozen=True, order=True)
class Rung:
    """One size of one family; `place` counts from the easiest."""

    family: str
    place: int
    size: str

    def __str__(self) -> str:
        return f"{self.family} {self.size}"


def told(rungs: Iterable[Rung]) -> str:
    """Rungs in a few words: `add 1 to 7, count 12`."""
    by_family: dict[str, list[Rung]] = {}
    for rung in sorted(set(rungs)):
        by_family.setdefault(rung.family, []).append(rung)
    parts = []
    for family, found in by_family.items():
        whole = found[-1].place - found[0].place + 1 == len(found) > 2
        sizes = f"{found[0].size} to {found[-1].size}" if whole else " and ".join(rung.size for rung in found)
        parts.append(f"{family} {sizes}")
    return ", ".join(parts)


class Ladder:
    """All rungs of a loop. `unsaid`: families of which the config does not say which sizes are easy; `measured`: their
    easy rungs, once they are known.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._families = {family.name: family for family in loop.ladder}
        self.rungs = {
            family.name: [Rung(family.name, place, size) for place, size in enumerate(family.ladder)]
            for family in loop.ladder
        }
        self.unsaid = [family.name for family in loop.ladder if family.known is None]
        self.measured: list[Rung] = []

    def easy(self) -> list[Rung]:
        """The rungs that the student can do from the start."""
        known = [rung for rung in self._all() if rung.size in (self._families[rung.family].known or ())]
        return sorted([*known, *self.measured])

    def frontier(self, scores: Scores, clean: bool) -> dict[str, int]:
        """Per family the place of the last rung up to which every rung passes; -1 where not even the first does.

        `clean` counts only traces of which every step was right. Rungs that were not measured count as passed when a
        higher one was.
        """
        found = {}
        for family, rungs in self.rungs.items():
            measured = [rung for rung in rungs if rung in scores]
            at = -1
            for rung in measured:
                if scores[rung].share(clean) < self._loop.exam.passing:
                    break
                at = rung.place
            found[family] = at
        return found

    def above(self, frontier: Mapping[str, int]) -> list[Rung]:
        """The rungs just above the frontier, as many as `reach`."""
        reach = self._loop.exam.reach
        return [rung for family, at in frontier.items() for rung in self.rungs[family][at + 1 : at + 1 + reach]]

    def below(self, frontier: Mapping[str, int]) -> list[Rung]:
        """The rungs up to the frontier."""
        return [rung for family, at in frontier.items() for rung in self.rungs[family][: at + 1]]

    def heldout(self, rung: Rung) -> list[Problem]:
        """The held-out problems of a rung, always the same and in the same order."""
        exam = self._loop.exam
        count = max(exam.problems, exam.easy_problems)
        return list(islice(_load(self._families[rung.family].heldout, rung, count, HELDOUT_SEED), count))

    def heldout_sources(self) -> tuple[str, ...]:
        """Every held-out source, for the selection to keep out of training."""
        count = max(self._loop.exam.problems, self._loop.exam.easy_problems)
        return tuple(_source(self._families[rung.family].heldout, rung, count, HELDOUT_SEED) for rung in self._all())

    def train(self, rung: Rung, count: int, seed: int, without: set[str]) -> list[Problem]:
        """Training problems of a rung, none of them held out nor in `without`.

        Raises:
            SetupError: the source has problems, and all of them are held out.
        """
        held = {problem.id for problem in self.heldout(rung)}
        found = list(
            _load(self._families[rung.family].train, rung, count + len(held) + min(len(without), 4 * count), seed)
        )
        fresh = [problem for problem in found if problem.id not in held]
        if found and not fresh:
            raise SetupError(
                f"All {len(found)} training problems of {rung} are among its held-out ones, and what is measured may "
                "never be learnt: give `train` and `heldout` different problems."
            )
        return [problem for problem in fresh if problem.id not in without][:count]

    def _all(self) -> Iterator[Rung]:
        for rungs in self.rungs.values():
            yield from rungs


def _load(template: str, rung: Rung, count: int, seed: int) -> Iterator[Problem]:
    source = _source(template, rung, count, seed)
    return load_problems(source, limit=count, seed=seed, known_verifiers=VERIFIERS.names())


def _source(template: str, rung: Rung, count: int, seed: int) -> str:
    return template.replace("{size}", rung.size).replace("{n}", str(count)).replace("{seed}", str(seed))
