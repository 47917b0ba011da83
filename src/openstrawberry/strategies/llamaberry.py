"""An answer that is reworked a few times, and a synthesis of all versions.

Source: Llamaberry. The first turn reasons in steps and answers, in Markdown; each further turn reads the question and
all turns before, criticises and improves; one last call weighs all of them and gives the final answer.

Ours differs in one thing: the turns are one conversation that only grows, where the original pasted what was said so
far into a new prompt every time, so every turn reads the one before from the prompt cache. A refused or truncated turn
does not stop the others; a refused synthesis does.
"""

from typing import ClassVar

from pydantic import Field

from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.single import answered
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Strategy, Task
from openstrawberry.trace import Node


class Llamaberry(Strategy):
    """Options of the refining turns."""

    name: ClassVar[str] = "llamaberry"

    turns: int = Field(default=3, ge=1, le=100, description="turns before the synthesis (--turns)")
    temperature: float | None = Field(default=0.7, ge=0, description="sampling temperature")
    max_tokens: int = Field(default=8000, ge=1, description="longest reply (--max-tokens)")

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """The turns and the synthesis."""
        return min(self.turns + 1, turns or self.turns + 1)

    def solve(self, task: Task) -> Steps[Answer]:
        """Answers, improves, and draws everything together."""
        first = task.prompts.text("first").replace("{question}", task.problem.question)
        node = task.system(task.prompts.text("system")) if "system" in task.prompts.entries else None
        for said in (first, *[task.prompts.text("improve")] * (self.turns - 1)):
            node = yield self.ask(task, said, node)
        node = yield self.ask(task, task.prompts.text("synthesis"), node)
        return answered(node, task.problem)

    def ask(self, task: Task, said: str, after: Node | None) -> Ask:
        """One turn."""
        return Ask(task.user(said, after=after), temperature=self.temperature, max_tokens=self.max_tokens)
