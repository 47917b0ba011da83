"""Monte Carlo tree search over the step game.

Source: UCT (Kocsis and Szepesvari 2006), PUCT (Silver et al. 2017); three branches, c = 0.5 and the end at a value of
0.8 as in ReST-MCTS* (Zhang et al. 2024, arXiv 2406.03816); the reflection turn, mini-steps and token confidence of
Marco-o1 (Zhao et al. 2024, arXiv 2411.14405); the actions of toyberry, which stand in `prompts/mcts.yaml`.

    for each iteration:
        select        from the root, always the most urgent step below, to one that has not been expanded
        expand        draw its next steps, side by side
        evaluate      value each of them (`values.py`)
        back up       every step above gets the values below it as visits of its own, one for each draw or game

A value that is not known is not backed up, and its step is as urgent as what is known of its parent. `leaves` at a time
are selected, so that their expansions go out together.
"""

from collections.abc import Sequence
from math import log, sqrt
from typing import ClassVar, Literal

from pydantic import Field

from openstrawberry.errors import SetupError
from openstrawberry.prompts import PromptSet
from openstrawberry.registry import unknown
from openstrawberry.strategies.search import Step, StepSearch, StepTree
from openstrawberry.strategies.strategy import Answer, Steps, Task, gather
from openstrawberry.strategies.values import Values
from openstrawberry.trace import Node

NEXT = "next"  # the action that is the game's own turn


class Mcts(StepSearch):
    """Options of the tree search, beside those that all searches have."""

    name: ClassVar[str] = "mcts"

    iterations: int = Field(default=16, ge=1, le=100_000, description="steps that are expanded at most")
    leaves: int = Field(default=1, ge=1, le=1000, description="steps that are expanded side by side")
    select: Literal["uct", "puct"] = Field(default="uct", description="which rule says what is urgent")
    exploration: float = Field(default=0.5, ge=0, description="weight of what has been visited little")
    actions: str = Field(default=NEXT, description="names of actions in mcts.yaml, with commas; all: every one")
    reflect: bool = Field(default=False, description="after each step the model is asked to doubt it")
    depth: int = Field(default=10, ge=1, le=10_000, description="steps that are searched; then the game is played on")
    enough: float = Field(default=0.8, ge=0, description="an answer of this value ends the search; above 1 none does")

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """Every iteration expands one step."""
        return self.bounded(prompts, turns, steps=self.branches * self.iterations, left=1, each=1 + self.reflect)

    def solve(self, task: Task) -> Steps[Answer]:
        """Searches until an answer is good enough, or the iterations are used up."""
        source = self.source(task.prompts)
        tree = StepTree(self, task, confident=source == "confidence")
        values = Values(source, tree, self.rollouts, self.rewards)
        doubt = task.prompts.text("reflect") if self.reflect else ""
        names = self.names(task.prompts)
        left = self.iterations
        while leaves := self.urgent(tree, min(self.leaves, left)):
            left -= len(leaves)
            turns = [self.turns(task, tree, leaf, names) for leaf in leaves]
            grown = yield from gather(*(tree.expand(*each, doubt) for each in zip(leaves, turns, strict=True)))
            steps = [step for children in grown for step in children]
            yield from values.of(steps)
            for step in steps:
                back_up(step)
            if values.satisfied(self.enough):
                break
        if not any(end.text for end in values.ends):
            yield from values.finish(self.best_open(tree.root))
        return values.elected(self.choose)

    def urgent(self, tree: StepTree, count: int) -> list[Step]:
        """Up to `count` different leaves, the most urgent ones; none where everything has been expanded."""
        found: list[Step] = []
        left: dict[Step, int] = {}  # how many leaves may be expanded, at a step and below
        for step in reversed(tree.root.below()):
            left[step] = tree.open(step) + sum(left[child] for child in step.children)
        while len(found) < count and left[tree.root]:
            step = tree.root
            while step.children:
                step = max((child for child in step.children if left[child]), key=self.urgency)
            found.append(step)
            for above in step.line():
                left[above] -= 1
        return found

    def urgency(self, step: Step) -> float:
        """Value and bonus of a step among its siblings."""
        assert step.parent is not None
        node, above = step.node, step.parent.node
        if self.select == "puct":
            return step.worth + self.exploration * node.prior * sqrt(above.visits) / (1 + node.visits)
        return step.worth + self.exploration * sqrt(log(max(above.visits, 1)) / max(node.visits, 1))

    def turns(self, task: Task, tree: StepTree, step: Step, names: Sequence[str]) -> list[Node]:
        """The user turn that each branch answers: one action after the other, in an order of its own for each step."""
        if step is tree.root or tree.game.cut(step.node):
            return [tree.turn_after(step)] * self.branches
        random, texts = task.random("actions", step.node.chain), actions(task.prompts)
        order = (random.sample(names, len(names)) * self.branches)[: self.branches]
        said = {
            name: tree.turn_after(step) if name == NEXT else task.user(random.choice(texts.pool(name)), after=step.node)
            for name in dict.fromkeys(order)
        }
        return [said[name] for name in order]

    def names(self, prompts: PromptSet) -> list[str]:
        """The actions that are asked for.

        Raises:
            SetupError: the prompt set has no such action, or no wordings of it.
        """
        texts = actions(prompts)
        known = [NEXT, *texts.entries]
        names = known if self.actions == "all" else [name.strip() for name in self.actions.split(",")]
        for name in dict.fromkeys(names):
            if name not in known:
                raise SetupError(unknown("action of mcts", name, known))
            if name != NEXT:
                texts.pool(name)
        return list(dict.fromkeys(names))

    def best_open(self, root: Step) -> list[Step]:
        """The best step that has not ended, to be played on from: the deepest of the best. None if all have ended."""
        leaves = [step for step in root.below() if step.end is None and not step.children]
        return sorted(leaves, key=lambda step: (-step.worth, -step.turn))[:1]


def actions(prompts: PromptSet) -> PromptSet:
    """The wordings of all actions but the game's own."""
    listed = prompts.entries.get("actions")
    return PromptSet(f"{prompts.name}, actions", listed if isinstance(listed, dict) else {})


def back_up(step: Step) -> None:
    """What was found at a step counts for every step above, as often as it was found."""
    if step.node.visits and step.parent is not None:
        for above in step.parent.line():
            above.visited(step.node.value, step.node.visits)
