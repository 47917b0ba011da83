"""Monte Carlo values of prefixes, and a binary search for the first bad step of a wrong solution.

Source: OmegaPRM (Luo et al. 2024, arXiv 2406.06592), with the settings of EvolveMCTS4RL. The value of a prefix is the
share of rollouts from it that come out right. Wrong rollouts from a prefix of some worth wait in a pool; the one with
the highest priority

    alpha^(1 - value) * beta^(words / length) + c * sqrt(sum of N) / (1 + N)

(N: how often rollouts of its prefix were taken) is halved: rollouts from its middle say in which half it first went
wrong, and so on, so n steps take log2(n) estimates. `mode=all` estimates every prefix of every solution instead
(Math-Shepherd, Wang et al. 2024, arXiv 2312.08935). A solution is a step game, its steps are the replies.

Ours counts rollouts by what was said: an earlier one that came through the same conversation is one rollout less to
make. Only the one that is being searched never counts, since it was picked for being wrong.

It makes data: `Check` decides every rollout by the known answer. The trace's own answer is that of the first rollout,
an ordinary game, so that pass rates say what the model does and not what a search with the answer in hand finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, Literal

from pydantic import Field

from openstrawberry.strategies.strategy import Answer, Check, Steps, Strategy, Task, gather
from openstrawberry.strategies.strawberry import Strawberry
from openstrawberry.trace import Node


class Omega(Strategy):
    """Options of the search. `top_p` is the run's own (`--top-p`): it holds for every reply, not for a search."""

    name: ClassVar[str] = "omega"
    RESUMABLE: ClassVar[frozenset[str]] = frozenset()  # longer rollouts would change every value

    mode: Literal["binary", "all"] = Field(default="binary", description="search, or label every prefix")
    branches: int = Field(default=4, ge=1, le=10_000, description="rollouts from one prefix")
    searches: int = Field(default=4, ge=0, le=1_000_000, description="wrong rollouts that are searched")
    max_branches: int = Field(default=40, ge=1, le=1_000_000, description="rollouts in all")
    temperature: float = Field(default=0.7, ge=0, description="sampling temperature of all rollouts")
    alpha: float = Field(default=0.5, gt=0, le=1, description="how much rollouts of a good prefix are preferred")
    beta: float = Field(default=0.9, gt=0, le=1, description="how much short rollouts are preferred ...")
    length: float = Field(default=500, gt=0, description="... in units of so many words")
    c: float = Field(default=0.125, ge=0, description="how much prefixes that were seldom taken are preferred")
    max_turns: int = Field(default=40, ge=1, le=1_000_000, description="replies of one rollout, its prefix included")
    final_every: int = Field(default=9, ge=0, description="ask for the final answer every N turns; 0 never asks")

    @property
    def uses(self) -> tuple[str, ...]:
        """The step game makes the rollouts."""
        return ("strawberry",)

    def solve(self, task: Task) -> Steps[Answer]:
        """Labels the tree, and answers like an ordinary game."""
        rollouts = yield from self.explore(task)
        return rollouts[0].answer

    def explore(self, task: Task) -> Steps[list["Rollout"]]:
        """All rollouts, in order; values and visits are written to the nodes of the tree."""
        search = Search(self, task.within("strawberry"))
        yield from search.estimate(Prefix(search.game.begin(search.task)))
        yield from search.halve() if self.mode == "binary" else search.every()
        return search.rollouts


@dataclass(eq=False)
class Prefix:
    """A beginning of a solution: the user turn number `turn`, which waits for a reply. `taken`: N of the priority."""

    node: Node
    turn: int = 0
    taken: int = 0

    @property
    def end(self) -> Node:
        """The node that carries its value: its last reply; the question where there is none yet."""
        return self.node.parent if self.turn and self.node.parent else self.node


@dataclass(eq=False)
class Rollout:
    """A solution played on from `start` to its end. `right`: None where nobody can say."""

    start: Prefix
    answer: Answer
    right: bool | None
    searched: bool = False

    def __post_init__(self) -> None:
        path = self.answer.node.path()
        self.replies: Sequence[Node] = [node for node in path if node.role == "assistant"]
        self._asked = [node for node in path if node.role == "user"]

    @property
    def judged(self) -> bool:
        """Whether it gave an answer that is known to be right or wrong; out of turns or cut off is neither."""
        return self.right is not None and self.answer.stop == "final_answer"

    def came_through(self, prefix: Prefix) -> bool:
        """Whether it said the same as a prefix behind its own start, so that it might as well have started there."""
        return any(node.chain == prefix.end.chain for node in self.replies[self.start.turn :])

    @property
    def words(self) -> int:
        """How long it is, from where it started."""
        return sum(len(node.content.split()) for node in self.replies[self.start.turn :])

    def prefix(self, turn: int) -> Prefix:
        """Its first `turn` replies."""
        return Prefix(self._asked[turn], turn)

    @property
    def first_bad(self) -> int | None:
        """The number of the first reply that lost what the one before still had; None where that is not known."""
        before = self._asked[0]
        for number, node in enumerate(self.replies):
            if before.visits and before.value > 0 and node.visits and node.value == 0:
                return number
            before = node
        return None


class Search:
    """One search in one tree."""

    def __init__(self, options: Omega, task: Task) -> None:
        self.options, self.task = options, task
        self.game = Strawberry(
            temperature=options.temperature, max_turns=options.max_turns, final_every=options.final_every
        )
        self.prefixes: dict[str, Prefix] = {}
        self.rollouts: list[Rollout] = []
        self.found: set[str] = set()  # conversations that end in a first bad step
        self.spent = 0

    def halve(self) -> Steps[None]:
        """Takes wrong rollouts from the pool, and finds where each went wrong."""
        for _ in range(self.options.searches):
            pool = [each for each in self.rollouts if self.unexplained(each)]
            if not pool:
                return
            rollout = max(pool, key=self.priority)
            rollout.searched = True
            rollout.start.taken += 1
            good, bad = rollout.start.turn - 1, len(rollout.replies) - 1
            while bad - good > 1:
                middle = (good + bad) // 2
                prefix = rollout.prefix(middle + 1)
                yield from self.estimate(prefix, searched=rollout)
                if not prefix.end.visits:  # the budget is spent, or nobody can say
                    break
                good, bad = (middle, bad) if prefix.end.value > 0 else (good, middle)
            else:
                self.found.add(rollout.replies[bad].chain)

    def unexplained(self, rollout: Rollout) -> bool:
        """Whether it is in the pool: wrong, from a prefix of some worth, and not by a bad step that is known."""
        wrong = rollout.judged and not rollout.right and not rollout.searched and rollout.start.end.value > 0
        return wrong and not any(node.chain in self.found for node in rollout.replies)

    def every(self) -> Steps[None]:
        """Estimates all prefixes of all solutions side by side, as far as `max_branches` goes."""
        solutions = [each for each in self.rollouts if each.judged]
        prefixes = [each.prefix(turn) for each in solutions for turn in range(1, len(each.replies))]
        different = {each.node.chain: each for each in reversed(prefixes)}
        yield from gather(*(self.estimate(each) for each in reversed(different.values())))
        for each in prefixes:
            yield from self.estimate(each)  # what was said before has its value already

    def priority(self, rollout: Rollout) -> float:
        """How much a rollout of the pool tells: probably wrong by a single slip, short, and not yet looked into."""
        options, start = self.options, rollout.start
        promise: float = options.alpha ** (1 - start.end.value) * options.beta ** (rollout.words / options.length)
        taken = sum(each.taken for each in self.prefixes.values())
        return promise + options.c * sqrt(taken) / (1 + start.taken)

    def estimate(self, prefix: Prefix, searched: Rollout | None = None) -> Steps[None]:
        """Notes the share of right ones among the rollouts from a prefix, of which it makes as many as are missing.

        Nothing is noted where `max_branches` would be passed.
        """
        known = self.prefixes.get(prefix.node.chain)
        if known is None:
            found = [each for each in self.rollouts if each is not searched and each.came_through(prefix)]
            missing = max(0, self.options.branches - len(found))
            if self.prefixes and self.spent + missing > self.options.max_branches:
                return
            self.prefixes[prefix.node.chain] = known = prefix
            self.spent += missing
            fresh = yield from gather(*(self.rollout(prefix) for _ in range(missing)))
            self.rollouts += fresh
            rights = [each.right for each in (*found, *fresh) if each.right is not None]
            prefix.end.visits = len(rights)
            prefix.end.value = sum(rights) / len(rights) if rights else 0.0
        prefix.end.visits, prefix.end.value = known.end.visits, known.end.value

    def rollout(self, prefix: Prefix) -> Steps[Rollout]:
        """Plays one on to its end. One without an answer did not come out right, but is not known to be wrong."""
        answer = yield from self.game.play(self.task, prefix.node, prefix.turn)
        if answer.stop != "final_answer":
            return Rollout(prefix, answer, False)
        verdict = yield Check(answer.text)
        if verdict.status in ("unknown", "timeout"):
            return Rollout(prefix, answer, None)
        right = verdict.status == "correct"
        answer.node.visits, answer.node.value = 1, float(right)
        return Rollout(prefix, answer, right)
