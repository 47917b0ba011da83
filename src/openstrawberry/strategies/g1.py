"""JSON steps: every turn is one step with a title, its content and what comes next, then a plain final answer.

Sources: g1 (steps as JSON, at least three of them, other methods tried, a cap at about 25), multi1 (a confidence with
each step), o1-flow (a framing: deductive, inductive, abductive or analogical). Defaults are g1's.

Ours differs in three things. A step goes through the provider's structured output where there is one, and is repaired
or asked for again where there is none. A step that cannot be read after that ends the steps: it never counts as "go
on", so a back end that writes rubbish does not run to the cap. And whatever the model says, the steps have a cap.
"""

from typing import ClassVar, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.single import answered
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Strategy, Task
from openstrawberry.strategies.structured import Read, ask_json
from openstrawberry.trace import Node

REPAIRS = 3


class Step(BaseModel):
    """One step of the reasoning."""

    title: str
    content: str
    next_action: Literal["continue", "final_answer"]


class RatedStep(Step):
    """One step of the reasoning, and how sure it is, from 0 to 100."""

    confidence: float = Field(ge=0, le=100)


class G1(Strategy):
    """Options of the JSON steps."""

    name: ClassVar[str] = "g1"

    confidence: bool = Field(default=False, description="each step says how sure the model is, from 0 to 100")
    framing: Literal["none", "deductive", "inductive", "abductive", "analogical"] = Field(
        default="none", description="the kind of inference that the steps are to follow"
    )
    min_steps: int = Field(default=3, ge=1, le=1000, description="steps before the final answer is allowed")
    max_steps: int = Field(
        default=25, ge=1, le=1000, validate_default=True, description="steps after which the final answer is asked for"
    )
    temperature: float | None = Field(default=0.2, ge=0, description="sampling temperature")
    step_tokens: int = Field(default=300, ge=1, description="longest step")
    answer_tokens: int = Field(default=1200, ge=1, description="longest final answer")

    @field_validator("max_steps")
    @classmethod
    def _fits(cls, most: int, info: ValidationInfo) -> int:
        if most < info.data.get("min_steps", 1):
            raise ValueError("it must not be below min_steps")
        return most

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """Every step with all of its repairs, and the answer."""
        most = self.max_steps * (1 + REPAIRS) + 1
        return min(most, turns or most)

    def solve(self, task: Task) -> Steps[Answer]:
        """Takes steps until the model wants to answer, then asks for the answer."""
        node, said, detail = self.begin(task), task.prompts.text("step"), f"stopped after {self.max_steps} steps"
        for number in range(1, self.max_steps + 1):
            read = yield from self.step(task, node, said)
            node = read.node
            if node.finish_reason == "filter":
                return Answer("", node, stop="refused")
            if read.value is None:
                detail = f"step {number} could not be read: {read.trouble}"
                break
            wants_to_answer = read.value.next_action == "final_answer"
            if wants_to_answer and number >= self.min_steps:
                detail = ""
                break
            said = self.told(task, number) if wants_to_answer else task.prompts.text("step")
        asked = task.user(task.prompts.text("final"), after=node)
        node = yield Ask(asked, temperature=self.temperature, max_tokens=self.answer_tokens)
        return answered(node, task.problem, detail)

    def begin(self, task: Task) -> Node:
        """The rules, the question, and the assistant's seeded opening, which no model wrote."""
        rules = [task.prompts.text("system")]
        rules += [task.prompts.text(self.framing)] if self.framing != "none" else []
        rules += [task.prompts.text("confidence")] if self.confidence else []
        question = task.prompts.text("user").replace("{question}", task.problem.question)
        node = task.user(question, after=task.system("\n\n".join(rules)))
        return task.tree.add("assistant", task.prompts.text("opening"), node, node.channel)

    def step(self, task: Task, node: Node, said: str) -> Steps[Read[Step]]:
        """One step after `node`, repaired where it must be."""
        kind = RatedStep if self.confidence else Step
        limit, temperature = self.step_tokens, self.temperature
        return (
            yield from ask_json(
                task, said, kind, after=node, temperature=temperature, max_tokens=limit, repairs=REPAIRS
            )
        )

    def told(self, task: Task, number: int) -> str:
        """What a model hears that wants to answer too early."""
        return task.prompts.text("early").replace("{taken}", str(number)).replace("{least}", str(self.min_steps))
