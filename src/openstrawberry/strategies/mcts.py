"""Monte Carlo tree search over the step game.

Source: UCT (Kocsis and Szepesvari 2006), PUCT (Silver et al. 2017); three branches, c = 0.5 and the end at a value of
0.8 as in ReST-MCTS* (Zhang et al. 2024, arXiv 2406.03816); the reflection turn, mini-steps and token confidence of
Marco-o1 (Zhao et al. 2024, arXiv 2411.14405); the actions of toyberry, which stand in `prompts/mcts.yaml`.

    for each iteration:
        select        from the root, always the most urgent step below, to one that has not been expanded
        expand        draw its next steps, side by side
        evaluate      value each of them (`values.py`)
        back up       every step above gets the values below it as visits of its own

A value that is not known is not backed up, and its step is as urgent as what is known of its parent. `leaves` at a time
are selected, so that their expansions go out together.
"""

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


class Mcts(StepSearch):
    """Options of the tree search, beside those that all searches have."""

    name: ClassVar[str] = "mcts"

    iterations: int = Field(default=16, ge=1, le=100_000, description="steps that are expanded at most")
    leaves: int = Field(default=1, ge=1, le=1000, description="steps that are expanded side by side")
    select: Literal["uct", "puct"] = Field(default="uct", description="which rule says what is urgent")
    exploration: float = Field(default=0.5, ge=0, description="weight of what has been visited little")
    actions: str = Field(default="next", description="names of actions in mcts.yaml, with commas; all: every one")
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
            for step, value in zip(steps, (yield from values.of(steps)), strict=True):
                back_up(step, value)
            if values.satisfied(self.enough):
                break
        if not any(end.text for end in values.ends):
            yield from values.finish(self.best_open(tree.root))
        return values.elected(self.choose)

    def urgent(self, tree: StepTree, count: int) -> list[Step]:
        """Up to `count` different leaves, the most urgent ones; none where everything has been expanded."""
        found: list[Step] = []

        def free(step: Step) -> bool:
            return step not in found and (tree.open(step) or any(map(free, step.children)))

        while len(found) < count and free(tree.root):
            step = tree.root
            while step.children:
                step = max(filter(free, step.children), key=self.urgency)
            found.append(step)
        return found

    def urgency(self, step: Step) -> float:
        """Value and bonus of a step among its siblings."""
        assert step.parent is not None
        node, above = step.node, step.parent.node
        value = node.value if node.visits else above.value
        if self.select == "puct":
            return value + self.exploration * node.prior * sqrt(above.visits) / (1 + node.visits)
        return value + self.exploration * sqrt(log(max(above.visits, 1)) / max(node.visits, 1))

    def turns(self, task: Task, tree: StepTree, step: Step, names: list[str]) -> list[Node]:
        """The user turn that each branch answers: one action after the other, in an order of its own for each step."""
        if step is tree.root or names == ["next"] or tree.cut(step.node):
            return [tree.turn_after(step)] * self.branches
        random = task.random("actions", step.node.chain)
        order = random.sample(names, len(names))
        said: dict[str, Node] = {}
        for name in (order * self.branches)[: self.branches]:
            if name not in said:
                texts = [] if name == "next" else task.prompts.entries["actions"][name]
                user = task.user(random.choice(texts), after=step.node) if texts else tree.turn_after(step)
                said[name] = user
        return [said[name] for name in (order * self.branches)[: self.branches]]

    def names(self, prompts: PromptSet) -> list[str]:
        """The actions that are asked for; `next` is the game's own turn.

        Raises:
            SetupError: the prompt set has no such action, or no wordings of it.
        """
        listed = prompts.entries.get("actions")
        known = {"next": None, **(listed if isinstance(listed, dict) else {})}
        names = list(known) if self.actions == "all" else [name.strip() for name in self.actions.split(",")]
        for name in names:
            if name not in known:
                raise SetupError(unknown("action of mcts", name, known))
            texts = known[name]
            if name != "next" and not (isinstance(texts, list) and texts and all(isinstance(t, str) for t in texts)):
                raise SetupError(f"The action {name} in mcts.yaml is no list of texts: write one wording a line.")
        return list(dict.fromkeys(names))

    def best_open(self, root: Step) -> list[Step]:
        """The best step that has not ended, to be played on from: the deepest of the best. None if all have ended."""
        leaves, below = [], [root]
        for step in below:
            below += step.children
            leaves += [step] if step.end is None and not step.children else []
        return sorted(leaves, key=lambda step: (-step.node.value if step.node.visits else 0.0, -step.turn))[:1]


def back_up(step: Step, value: float | None) -> None:
    """Counts a value as a visit of every step above; of the step itself it is the first."""
    if value is not None and step.parent is not None:
        for above in step.parent.line():
            above.visited(value)
