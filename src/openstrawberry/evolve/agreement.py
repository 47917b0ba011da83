"""The answer of a new problem: what several solvers, each on its own, agree on.

Whether two answers are the same is asked of the verifier that a problem with that answer would get, so `0.5`, `1/2` and
`50%` are one vote. An answer is known where at least a given share of all solvers gave it; solvers that gave none, or
said that there is none to be found, count among them, as votes for nothing. That is not proof: several draws of one
model can be wrong together, so the votes stay in the problem's metadata.

Source: self-consistency as a label (Wang et al. 2022, arXiv 2203.11171; Huang et al. 2022, arXiv 2210.11610).
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from openstrawberry.problems.guess import guess_verifier
from openstrawberry.problems.options import read_options
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.verifier import Verdict

LONGEST = 200  # characters of an answer that can be compared
_NONE = re.compile(
    r"\b(?:can ?not|can't|impossible to) (?:be )?(?:\w+ )?(?:determine|solve|answer|tell|say|know)"
    r"|\b(?:not enough|insufficient|missing) (?:information|data)\b|\bI (?:do not|don't) know\b"
    r"|^\W*(?:sorry|I'm sorry|I am sorry)\b|^\W*(?:unknown|undetermined|unanswerable|no answer|n/a)\W*$",
    re.IGNORECASE,
)
Verify = Callable[[Problem, str], Awaitable[Verdict]]


@dataclass(frozen=True)
class Agreement:
    """How the solvers voted: the answer with most votes, its votes, and of how many solvers."""

    answer: str
    votes: int
    solvers: int
    answered: int

    def holds(self, share: float) -> bool:
        """Whether at least this share of all solvers, and more than one of them, gave the answer."""
        return self.votes > 1 and self.votes >= share * self.solvers - 1e-9


def unsolved(question: str) -> Problem:
    """The problem as a solver sees it: without an answer, and without a word of where it comes from."""
    return Problem(question=question, answer="", verifier="choice" if read_options(question) else "exact")


def solved(question: str, answer: str) -> Problem:
    """The problem with an answer, and the verifier that suits it."""
    return Problem(question=question, answer=answer, verifier=guess_verifier(question, answer), source="evolve")


async def agreed(question: str, answers: Sequence[str], verify: Verify) -> Agreement:
    """What these answers agree on; an empty one is a solver that gave none. Of a tie, the answer that came first."""
    given = [answer.strip() for answer in answers if _is_answer(question, answer.strip())]
    groups: list[list[str]] = []
    for answer in given:
        for group in groups:
            if answer in group or await _same(question, group[0], answer, verify):
                group.append(answer)
                break
        else:
            groups.append([answer])
    if not groups:
        return Agreement("", 0, len(answers), 0)
    largest = max(groups, key=len)
    return Agreement(_told_best(question, largest), len(largest), len(answers), len(given))


def _is_answer(question: str, answer: str) -> bool:
    """Whether something is answered: five solvers who cannot tell do not agree on an answer."""
    lacking = _NONE.search(answer)
    return 0 < len(answer) <= LONGEST and (lacking is None or lacking[0].casefold() in question.casefold())


def _told_best(question: str, answers: Sequence[str]) -> str:
    """One of equal answers: `24` rather than `24 pens`, as more can be checked against it; then the most frequent."""
    counts = Counter(answers)
    return max(counts, key=lambda answer: (solved(question, answer).verifier != "exact", counts[answer], -len(answer)))


async def _same(question: str, one: str, other: str, verify: Verify) -> bool:
    """Both ways round, since a verifier forgives what is given more than what is known; one way is enough where only
    one of them is text (`24` takes `24 pens`, but not the other way round).
    """
    known, given = solved(question, one), solved(question, other)
    there = (await verify(known, other)).status == "correct"
    if there and known.verifier != given.verifier:
        return True
    back = (await verify(given, one)).status == "correct"
    return (there and back) or (back and known.verifier != given.verifier)
