"""The plain baselines: one reply, and the answer is read from it.

`zero-shot` asks for the answer alone, `few-shot` shows worked question-answer pairs first (Brown et al. 2020), `cot`
asks for the reasoning before the answer (Wei et al. 2022; Kojima et al. 2022). They are what every other strategy is
measured against.
"""

from typing import ClassVar

from pydantic import Field

from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Strategy, Task
from openstrawberry.trace import Node, Stop
from openstrawberry.verifiers.extract import extract


class SingleReply(Strategy):
    """One question, one reply."""

    temperature: float | None = Field(default=None, ge=0, description="sampling temperature; unset: the model's own")

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """One."""
        return 1

    def solve(self, task: Task) -> Steps[Answer]:
        """Asks once."""
        question = task.prompts.text("user").replace("{question}", task.problem.question)
        node = yield Ask(task.user(question, after=self.before(task)), temperature=self.temperature)
        return answered(node, task.problem)

    def before(self, task: Task) -> Node | None:
        """What is said before the question."""
        return None


class ZeroShot(SingleReply):
    """The question alone."""

    name: ClassVar[str] = "zero-shot"


class ChainOfThought(SingleReply):
    """Reasoning and answer in one reply."""

    name: ClassVar[str] = "cot"


class FewShot(SingleReply):
    """Examples as earlier turns of the conversation, then the question."""

    name: ClassVar[str] = "few-shot"

    shots: int = Field(default=3, ge=1, description="how many of the examples in few-shot.yaml are shown")

    def before(self, task: Task) -> Node | None:
        """The examples, without any that equals the problem itself; always in the same order, so that it caches."""
        node: Node | None = None
        examples = task.prompts.entries.get("examples")
        if not isinstance(examples, list) or not examples or not all(map(_is_example, examples)):
            raise SetupError("few-shot.yaml has no examples: add a list of {question, answer} under `examples`.")
        for example in [each for each in examples if each["question"] != task.problem.question][: self.shots]:
            node = task.user(task.prompts.text("user").replace("{question}", str(example["question"])), after=node)
            shown = f"<final_answer>{example['answer']}</final_answer>"
            node = task.tree.add("assistant", shown, node)
        return node


def _is_example(example: object) -> bool:
    return isinstance(example, dict) and {"question", "answer"} <= example.keys()


def answered(node: Node, problem: Problem, detail: str = "") -> Answer:
    """The end of a trace whose last reply was asked for the answer."""
    found = extract(node.content, problem)
    stop = _stop(node, found.method)
    return Answer(found.answer if stop == "final_answer" else "", node, stop, found.method, detail)


def _stop(node: Node, method: str) -> Stop:
    if node.finish_reason == "filter":
        return "refused"
    return "truncated" if node.finish_reason == "length" and method != "final_answer" else "final_answer"
