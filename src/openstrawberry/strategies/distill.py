"""A reasoning model's own thoughts as the trace.

Sources: STILL-2 (a few thousand traces of a reasoning model teach a plain one to reason), O1-Journey part 2. The model
is asked plainly and once; what it thought stands in the trace's `reasoning`, what it answered in its `content`, however
the provider sent them (`models/providers/`, `thoughts.py`).

A reply in which the two came as one text stays in the tree as it came, and a copy with both told apart beside it is the
trace's. A reply without thoughts is nothing to distil: the trace ends as refused, without an answer, and says why.
"""

from typing import ClassVar

from pydantic import Field

from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.single import answered
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Strategy, Task
from openstrawberry.strategies.thoughts import split_thoughts
from openstrawberry.trace import Node

NO_THOUGHTS = (
    "the model shows no thoughts: choose one that does, or switch them on with --reasoning medium or its server's "
    "reasoning parser"
)


class Distill(Strategy):
    """Options of distillation."""

    name: ClassVar[str] = "distill"

    temperature: float | None = Field(default=None, ge=0, description="sampling temperature; unset: the model's own")
    max_tokens: int = Field(default=16_384, ge=1, description="longest reply, thoughts included (--max-tokens)")

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """One."""
        return 1

    def solve(self, task: Task) -> Steps[Answer]:
        """Asks once, and keeps what was thought."""
        question = task.prompts.text("user").replace("{question}", task.problem.question)
        asked = task.user(question)
        came = yield Ask(asked, temperature=self.temperature, max_tokens=self.max_tokens, thoughts=True)
        node = told_apart(task, came)
        if node.finish_reason == "filter" or (node.reply is not None and node.reply.reasoning.strip()):
            return answered(node, task.problem)
        return Answer("", node, stop="refused", method="no_thoughts", detail=NO_THOUGHTS)


def told_apart(task: Task, node: Node) -> Node:
    """The reply with its thoughts in `reasoning` and its answer in `content`: itself, or a copy beside it."""
    split = split_thoughts(node.content)
    if split is None:
        return node
    sent = node.reply.reasoning.strip() if node.reply else ""
    return task.tree.copy(node, node.parent, split[1], "\n\n".join(filter(None, (sent, split[0]))))
