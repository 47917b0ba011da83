"""Self-consistency: one problem is solved several times, and the answers vote.

Source: Wang et al. 2022 (arXiv 2203.11171); best-of-n and votes weighted by a judge or by a process reward as OpenR
compares them (arXiv 2410.09671), the reward of a solution being that of its worst step unless told otherwise, as in
Math-Shepherd (arXiv 2312.08935). The members may be of any strategy. They run side by side, but never more of them than
the fewest that could settle the vote; which is when the second can no longer catch up (`early=decided`), or is not
likely to in the long run (`early=confident`, Adaptive-Consistency, arXiv 2305.11860).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy
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
from openstrawberry.strategies.strategy import Answer, Steps, Strategy, Task, gather, together
from openstrawberry.strategies.values import JUDGED, WORDS, judged, replies, rewarded
from openstrawberry.trace import Node
from openstrawberry.verifiers.ballot import ballot
from openstrawberry.wording import as_written

Early = Annotated[Literal["off", "decided", "confident"], BeforeValidator(as_written)]


class Vote(Strategy):
    """Options of the vote."""

    name: ClassVar[str] = "vote"

    base: str = Field(default="strawberry", description="the strategy of the members")
    base_options: dict[str, Any] = Field(default_factory=dict, description="its options, as {name: value}")
    k: int = Field(default=8, ge=1, le=10_000, description="members at most")
    weight: Literal["majority", "judge", "prm"] = Field(default="majority", description="what an answer's vote weighs")
    choose: Rule = Field(default="weighted", description="vote counts, weighted adds up, best takes the one worth most")
    rewards: Aggregate = Field(default="min", description="how the process rewards of a solution's steps become one")
    early: Early = Field(default="decided", description="when to stop before k")
    temperature: float | None = Field(default=0.7, ge=0, description="of the members; unset: the base's own")
    max_turns: int = Field(default=0, ge=0, le=1_000_000, description="of each member; 0: it has no such limit")
    final_every: int | None = Field(default=None, ge=0, description="of each member; unset: the base's own")

    @model_validator(mode="before")
    @classmethod
    def _limits_of_the_base(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A limit that is not given is the base's, so that a run that goes on knows whether it was raised."""
        base: type[Strategy] = STRATEGIES.load(str(values.get("base", cls.model_fields["base"].default)))
        limit = base.model_fields.get("max_turns")
        return values if limit is None else {"max_turns": limit.default, **values}

    def model_post_init(self, context: Any) -> None:
        """Opens the base, so that a wrong option is refused at once."""
        assert self.member is not None

    @property
    def member(self) -> Strategy:
        """The strategy of each member, with its options."""
        known = STRATEGIES.load(self.base).model_fields
        common = {
            "temperature": self.temperature,
            "max_turns": self.max_turns or None,
            "final_every": self.final_every,
        }
        flags = {name: value for name, value in common.items() if name in known and value is not None}
        return open_strategy(self.base, {**flags, **self.base_options})

    @property
    def uses(self) -> tuple[str, ...]:
        """The base, whatever that uses, and the words of judges."""
        return tuple(dict.fromkeys((self.base, *self.member.uses, WORDS)))

    @property
    def sees_answers(self) -> bool:
        """As its base."""
        return self.member.sees_answers

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int | None:
        """All members, and a judge's ratings of what they found; a base without a limit is one that asks once."""
        own = self.member.most_replies(replace(prompts.others[self.base], others=prompts.others), turns)
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
        if self.early == "confident":
            return wanted(confident, tally(found, "vote"), left)
        if self.weight == "majority" or self.choose == "vote":
            return wanted(decided, tally(found, "vote"), left)
        known = [each for each in found if each.worth is not None]
        vague = sum(each.worth is None and each.ballot != "" for each in found)  # they may yet count for up to 1 each
        return min(left, wanted(decided, tally(known, "weighted"), left + vague))

    def _run(self, task: Task) -> Steps[tuple[Answer, Candidate]]:
        answer = yield from self.member.solve(task)
        worth = (yield from self._worth(task, answer.node)) if answer.text else None
        if worth is not None:
            answer.node.value, answer.node.visits = worth, 1
        return answer, Candidate(ballot(answer.text, task.problem.verifier), worth)

    def _worth(self, task: Task, node: Node) -> Steps[float | None]:
        if self.weight == "judge":
            return (yield from judged(task.within(WORDS), node))
        if self.weight == "majority":
            return None
        rewards = yield from gather(*map(rewarded, replies(node)))
        for reply, reward in zip(replies(node), rewards, strict=True):
            if reward is not None:
                reply.value, reply.visits = reward, 1
        return aggregate([reward for reward in rewards if reward is not None], self.rewards)
