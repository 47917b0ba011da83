"""Monte Carlo values of prefixes of the step game: the share of rollouts from there that come out right.

Source: Math-Shepherd (Wang et al. 2024, arXiv 2312.08935) and OmegaPRM (Luo et al. 2024, arXiv 2406.06592).

Ours counts rollouts by what was said: an earlier one that came through the same conversation is one rollout less to
make. Only the one that is being searched never counts, since it was picked for being wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from openstrawberry.strategies.strategy import Answer, Check, Steps, Task, attempt, gather
from openstrawberry.strategies.strawberry import Strawberry
from openstrawberry.trace import Node


@dataclass(eq=False)
class Prefix:
    """A beginning of a solution: the user turn number `turn`, which waits for a reply.

    `made`: the rollouts from there; `taken`: how often a search has taken one of them.
    """

    node: Node
    turn: int = 0
    taken: int = 0
    made: list["Rollout"] = field(default_factory=list)

    @property
    def end(self) -> Node:
        """The node that carries its value: its last reply; the question where there is none yet."""
        return self.node.parent if self.turn and self.node.parent else self.node


@dataclass(eq=False)
class Rollout:
    """A solution played on from `start` to its end. `right`: None where nobody can say. `searched`: by a search."""

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

    @property
    def words(self) -> int:
        """How long it is, from where it started."""
        return sum(len(node.content.split()) for node in self.replies[self.start.turn :])

    @property
    def first_bad(self) -> int | None:
        """The number of the first reply that lost what the one before still had; None where that is not known."""
        before = self._asked[0]
        for number, node in enumerate(self.replies):
            if before.visits and before.value > 0 and node.visits and node.value == 0:
                return number
            before = node
        return None

    def prefix(self, turn: int) -> Prefix:
        """Its first `turn` replies."""
        return Prefix(self._asked[turn], turn)

    def came_through(self, prefix: Prefix) -> bool:
        """Whether it said the same as a prefix behind its own start, so that it might as well have started there."""
        return any(node.chain == prefix.end.chain for node in self.replies[self.start.turn :])


class Rollouts:
    """The rollouts of one tree, in the order in which they were wanted, and the prefixes they started from.

    Args:
        branches: rollouts from one prefix.
        most: rollouts in all.
    """

    def __init__(self, game: Strawberry, task: Task, branches: int, most: int) -> None:
        self.game, self.task, self.branches, self.most = game, task, branches, most
        self.prefixes: dict[str, Prefix] = {}
        self._spent = 0

    @property
    def made(self) -> list[Rollout]:
        """All of them."""
        return [each for prefix in self.prefixes.values() for each in prefix.made]

    def estimate(self, prefix: Prefix, searched: Rollout | None = None) -> Steps[None]:
        """Notes the share of right ones among the rollouts from a prefix, of which it makes as many as are missing.

        Value and visits go to the prefix's node. Nothing is noted where `most` would be passed.
        """
        known = self.prefixes.get(prefix.node.chain)
        if known is None:
            found = [each for each in self.made if each is not searched and each.came_through(prefix)]
            missing = max(0, self.branches - len(found))
            if self._spent + missing > self.most:
                return
            self.prefixes[prefix.node.chain] = known = prefix
            self._spent += missing
            fresh = yield from gather(*(self.play(prefix) for _ in range(missing)))
            prefix.made = fresh
            rights = [each.right for each in (*found, *fresh) if each.right is not None]
            prefix.end.visits = len(rights)
            prefix.end.value = sum(rights) / len(rights) if rights else 0.0
        prefix.end.visits, prefix.end.value = known.end.visits, known.end.value

    def play(self, prefix: Prefix) -> Steps[Rollout]:
        """Plays one on to its end. One without an answer did not come out right, but is not known to be wrong."""
        answer = yield from attempt(self.game.play(self.task, prefix.node, prefix.turn), self.task, prefix.node)
        if answer.stop != "final_answer":
            return Rollout(prefix, answer, False)
        verdict = yield Check(answer.text)
        if verdict.status in ("unknown", "timeout"):
            return Rollout(prefix, answer, None)
        right = verdict.status == "correct"
        answer.node.visits, answer.node.value = 1, float(right)
        return Rollout(prefix, answer, right)
