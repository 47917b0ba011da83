"""Step-level beam search: many next steps are drawn, and only the best few go on.

Source: step-level beam search with a process reward (Snell et al. 2024, arXiv 2408.03314; OpenR, arXiv 2410.09671),
and self-evaluation where there is none (Xie et al. 2023, arXiv 2305.00633). At each level every step of the beam gets
`branches` next steps, all are valued (`values.py`), and the best `width` are the next beam. A step that answers leaves
the beam with its place, a refused one takes nobody's. After `depth` levels the game is played on from what is left.
"""

from typing import ClassVar

from pydantic import Field

from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.election import filled
from openstrawberry.strategies.search import StepSearch, StepTree
from openstrawberry.strategies.strategy import Answer, Steps, Task, gather
from openstrawberry.strategies.values import Values


class Beam(StepSearch):
    """Options of the beam search, beside those that all searches have."""

    name: ClassVar[str] = "beam"

    width: int = Field(default=2, ge=1, le=1000, description="steps that go on from each level")

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """The first level has one step to expand, every other one a whole beam."""
        levels = min(self.depth, turns or self.max_turns, self.max_turns)
        return self.bounded(prompts, turns, steps=self.branches * (1 + self.width * (levels - 1)), left=self.width)

    def solve(self, task: Task) -> Steps[Answer]:
        """Searches level by level."""
        source = self.source(task.prompts)
        tree = StepTree(self, task, confident=source == "confidence")
        values = Values(source, tree, self.rollouts, self.rewards)
        beam = [tree.root]
        while beam and tree.open(beam[0]):
            turns = [[tree.turn_after(step)] * self.branches for step in beam]
            grown = yield from gather(*(tree.expand(*each) for each in zip(beam, turns, strict=True)))
            steps = [step for children in grown for step in children]
            worths = filled((yield from values.of(steps)), nobody=0.0)
            if values.satisfied(self.enough):
                return values.elected(self.choose)
            told = [each for each in zip(worths, steps, strict=True) if each[1].end is None or each[1].end.text]
            ranked = sorted(told, key=lambda each: (-each[0], -each[1].node.prior))
            beam = [step for _, step in ranked[: self.width] if step.end is None]
        yield from values.finish(beam)
        return values.elected(self.choose)
