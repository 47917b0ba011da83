"""Monte Carlo values of prefixes, and a binary search for the first bad step of a wrong solution.

Source: OmegaPRM (Luo et al. 2024, arXiv 2406.06592), with the settings of EvolveMCTS4RL. The value of a prefix is the
share of rollouts from it that come out right. Wrong rollouts from a prefix of some worth wait in a pool; the one with
the highest priority

    alpha^(1 - value) * beta^(words / length) + c * sqrt(sum of N) / (1 + N)

(N: how often rollouts of its prefix were taken) is halved: rollouts from its middle say in which half it first went
wrong, and so on, so n steps take log2(n) estimates. `mode=all` estimates every prefix of every solution instead
(Math-Shepherd, Wang et al. 2024, arXiv 2312.08935). A solution is a step game, its steps are the replies.

It makes data: `Check` decides every rollout by the known answer. The trace's own answer is that of the first rollout,
an ordinary game, so that pass rates say what the model does and not what a search with the answer in hand finds.
"""

from math import sqrt
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.rollouts import Prefix, Rollout, Rollouts
from openstrawberry.strategies.strategy import Answer, Steps, Strategy, Task, gather
from openstrawberry.strategies.strawberry import Strawberry


class Omega(Strategy):
    """Options of the search. `top_p` is the run's own (`--top-p`): it holds for every reply, not for a search."""

    name: ClassVar[str] = "omega"
    RESUMABLE: ClassVar[frozenset[str]] = frozenset()  # longer rollouts would change every value

    mode: Literal["binary", "all"] = Field(default="binary", description="search, or label every prefix")
    branches: int = Field(default=4, ge=1, le=10_000, description="rollouts from one prefix")
    searches: int = Field(default=4, ge=0, le=1_000_000, description="wrong rollouts that are searched")
    max_branches: int = Field(default=40, ge=1, le=1_000_000, validate_default=True, description="rollouts in all")
    temperature: float = Field(default=0.7, ge=0, description="sampling temperature of all rollouts")
    alpha: float = Field(default=0.5, gt=0, le=1, description="how much rollouts of a good prefix are preferred")
    beta: float = Field(default=0.9, gt=0, le=1, description="how much short rollouts are preferred ...")
    length: float = Field(default=500, gt=0, description="... in units of so many words")
    c: float = Field(default=0.125, ge=0, description="how much prefixes that were seldom taken are preferred")
    max_turns: int = Field(default=40, ge=1, le=1_000_000, description="replies of one rollout, its prefix included")
    final_every: int = Field(default=9, ge=0, description="ask for the final answer every N turns; 0 never asks")

    @field_validator("max_branches")
    @classmethod
    def _fits(cls, most: int, info: ValidationInfo) -> int:
        if most < info.data.get("branches", 1):
            raise ValueError("it must not be below branches")
        return most

    @property
    def uses(self) -> tuple[str, ...]:
        """The step game makes the rollouts."""
        return ("strawberry",)

    @property
    def sees_answers(self) -> bool:
        """Every rollout is checked; what it answers is an ordinary game all the same."""
        return True

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """All rollouts at full length."""
        return self.max_branches * min(self.max_turns, turns or self.max_turns)

    def solve(self, task: Task) -> Steps[Answer]:
        """Labels the tree, and answers like an ordinary game."""
        rollouts = yield from self.explore(task)
        return rollouts[0].answer

    def explore(self, task: Task) -> Steps[list[Rollout]]:
        """All rollouts, in order; values and visits are written to the nodes of the tree."""
        own = task.within("strawberry")
        game = Strawberry(temperature=self.temperature, max_turns=self.max_turns, final_every=self.final_every)
        tree = Rollouts(game, own, self.branches, self.max_branches)
        yield from tree.estimate(Prefix(game.begin(own)))
        yield from self.halve(tree) if self.mode == "binary" else self.every(tree)
        return tree.made

    def halve(self, tree: Rollouts) -> Steps[None]:
        """Takes wrong rollouts from the pool, and finds where each went wrong."""
        known: set[str] = set()  # conversations that end in a first bad step
        for _ in range(self.searches):
            pool = [each for each in tree.made if wrong(each) and not any(node.chain in known for node in each.replies)]
            if not pool:
                return
            rollout = max(pool, key=lambda each: self.priority(each, tree))
            rollout.searched = True
            rollout.start.taken += 1
            good, bad = rollout.start.turn - 1, len(rollout.replies) - 1
            while bad - good > 1:
                middle = (good + bad) // 2
                prefix = rollout.prefix(middle + 1)
                yield from tree.estimate(prefix, searched=rollout)
                if not prefix.end.visits:  # the budget is spent, or nobody can say
                    break
                good, bad = (middle, bad) if prefix.end.value > 0 else (good, middle)
            else:
                known.add(rollout.replies[bad].chain)

    def every(self, tree: Rollouts) -> Steps[None]:
        """Estimates all prefixes of all solutions side by side, as far as `max_branches` goes."""
        solutions = [each for each in tree.made if each.judged]
        prefixes = [each.prefix(turn) for each in solutions for turn in range(1, len(each.replies))]
        different = {each.node.chain: each for each in reversed(prefixes)}
        yield from gather(*(tree.estimate(each) for each in reversed(different.values())))
        for each in prefixes:
            yield from tree.estimate(each)  # what was said before has its value already

    def priority(self, rollout: Rollout, tree: Rollouts) -> float:
        """How much a rollout of the pool tells: probably wrong by a single slip, short, and not yet looked into."""
        start = rollout.start
        promise: float = self.alpha ** (1 - start.end.value) * self.beta ** (rollout.words / self.length)
        taken = sum(each.taken for each in tree.prefixes.values())
        return promise + self.c * sqrt(taken) / (1 + start.taken)


def wrong(rollout: Rollout) -> bool:
    """Whether it waits in the pool: a wrong answer from a prefix of some worth."""
    return rollout.judged and not rollout.right and not rollout.searched and rollout.start.end.value > 0
