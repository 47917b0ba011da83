"""Self-consistency: one problem is solved several times, and the answers vote.

Source: Wang et al. 2022 (arXiv 2203.11171); best-of-n and votes weighted by a judge or by a process reward as OpenR
compares them (arXiv 2410.09671), the reward of a solution being that of its worst step unless told otherwise, as in
Math-Shepherd (arXiv 2312.08935). The members may be of any strategy. They run side by side, but never more of them than
the fewest that could settle the vote; which is when the second can no longer catch up (`early=decided`), or is not
likely to in the long run (`early=confident`, Adaptive-Consistency, arXiv 2305.11860).
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.election import (
    Aggregate,
    Candidate,
    Rule,
    aggregate,
    confident,
    decided,
    elect,
    tally,
    wanted,
)
from openstrawberry.strategies.over import Over
from openstrawberry.strategies.strategy import Answer, Steps, Task, attempt, gather, together
from openstrawberry.strategies.values import JUDGED, WORDS, judged, replies, rewarded
from openstrawberry.trace import Node
from openstrawberry.verifiers.ballot import ballot
from openstrawberry.wording import as_written

Early = Annotated[Literal["off", "decided", "confident"], BeforeValidator(as_written)]


class Vote(Over):
    """Options of the vote."""

    name: ClassVar[str] = "vote"

    base: str = Field(default="strawberry", description="the strategy of the members")
    k: int = Field(default=8, ge=1, le=10_000, description="members at most")
    weight: Literal["majority", "judge", "prm"] = Field(default="majority", description="what an answer's vote weighs")
    choose: Rule = Field(default="weighted", description="vote counts, weighted adds up, best takes the one worth most")
    rewards: Aggregate = Field(default="min", description="how the process rewards of a solution's steps become one")
    early: Early = Field(default="decided", description="when to stop before k")
    temperature: float | None = Field(default=0.7, ge=0, description="of the members; unset: the base's own")

    @model_validator(mode="after")
    def _best_of_unequal(self) -> "Vote":
        if self.choose == "best" and self.weight == "majority":
            raise ValueError("all votes weigh alike, so none is best: add --set weight=judge or weight=prm")
        return self

    @property
    def uses(self) -> tuple[str, ...]:
        """The base, whatever that uses, and the words of judges."""
        return tuple(dict.fromkeys((self.base, *self.member.uses, WORDS)))

    @property
    def checks_steps(self) -> bool:
        """As its base, unless votes are weighed: then the values are what a judge or a reward model believes."""
        return self.member.checks_steps and self.weight == "majority"

    @property
    def sees_answers(self) -> bool:
        """As its base."""
        return self.member.sees_answers

    def scores(self, prompts: PromptSet) -> bool:
        """Where they weigh the votes, or the base wants them."""
        return self.weight == "prm" or self.member.scores(prompts.within(self.base))

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int | None:
        """All members, and a judge's ratings of what they found; a base without a limit is one that asks once."""
        own = self.member.most_replies(prompts.within(self.base), turns)
        return self.k * ((own or 1) + (JUDGED if self.weight == "judge" else 0))

    def solve(self, task: Task) -> Steps[Answer]:
        """Starts members until the vote is settled."""
        group = together()
        found: dict[int, tuple[Answer, Candidate]] = {}
        while more := self._more([candidate for _, candidate in found.values()]):
            for _ in range(more - (group.started - len(found))):
                group.add(self._run(task.within(self.base, group.started)))
            number, result = yield group
            found[number] = result
        group.cancel()
        results = [found[number] for number in sorted(found)]
        place = elect([candidate for _, candidate in results], self.choose)
        return results[place or 0][0]

    def _more(self, found: Sequence[Candidate]) -> int:
        """How many more members are wanted: under way, or still to be started."""
        left = self.k - len(found)
        if self.early == "off" or self.choose == "best":
            return left
        rule: Rule = "vote" if self.weight == "majority" else self.choose
        if self.early == "confident":
            return wanted(confident, tally(found, rule), left)
        if rule == "vote":
            return wanted(decided, tally(found, rule), left)
        known = [each for each in found if each.worth is not None]
        vague = sum(each.worth is None and each.ballot != "" for each in found)  # they may yet count for up to 1 each
        return min(left, wanted(decided, tally(known, "weighted"), left + vague))

    def _run(self, task: Task) -> Steps[tuple[Answer, Candidate]]:
        answer = yield from attempt(self.member.solve(task), task)
        worth = (yield from self._worth(task, answer.node)) if answer.text else None
        return answer, Candidate(ballot(answer.text, task.problem.verifier), worth)

    def _worth(self, task: Task, node: Node) -> Steps[float | None]:
        """What a solution is worth, None where that is not known; each node keeps what was said of it alone."""
        if self.weight == "majority":
            return None
        if self.weight == "judge":
            path, found = [node], [(yield from judged(task.within(WORDS), node))]
        else:
            path = replies(node)
            found = yield from gather(*map(rewarded, path))
        for each, worth in zip(path, found, strict=True):
            if worth is not None:
                each.value, each.visits = worth, 1
        known = [worth for worth in found if worth is not None]
        return None if None in found[-1:] else aggregate(known, self.rewards)
