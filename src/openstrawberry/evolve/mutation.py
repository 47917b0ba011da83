"""One step of evolution: a model writes a new problem from a given one, and a judge says whether it is any good.

    writer   the operator's instruction and the problem  ->  <new_problem>...</new_problem>
    text     a refusal, a leak of the prompt, a copy     ->  eliminated, and nobody is asked any more
    judge    both problems, in a channel of its own      ->  is there anything new, and can it be answered?

The answer of this strategy is a question; `Answer.method` is `judged`, or the reason for which it is eliminated. What a
judge says that cannot be read is unknown (`unjudged`), and eliminates nothing: what follows, solvers that have to
agree, does not depend on it. What the right answer is, nobody is asked here.

Source: WizardLM's Evol-Instruct (Xu et al. 2023, arXiv 2304.12244), whose elimination is one call that compares two
prompts.
"""

from typing import ClassVar

from pydantic import BaseModel, Field

from openstrawberry.evolve.elimination import copied, spoilt, written
from openstrawberry.evolve.operators import Operator
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Strategy, Task
from openstrawberry.strategies.structured import ask_json
from openstrawberry.trace import Node

ACCEPTED = ("judged", "unjudged")
"""Methods of an answer that is a new problem."""


class Judgement(BaseModel):
    """What the judge is asked."""

    asks_something_new: bool = Field(description="whether problem B asks for more, or for something else, than A")
    answerable: bool = Field(description="whether B is complete and has exactly one answer that can be checked")
    why: str = Field(default="", description="one short sentence")


class Mutation(Strategy):
    """One mutation of one problem."""

    name: ClassVar[str] = "evolve"

    operator: Operator = Field(description="what is done to the problem")
    examples: tuple[str, ...] = Field(default=(), description="questions that a fresh start sees")
    keywords: tuple[str, ...] = Field(default=(), description="words that a fresh start is given")
    near: float = Field(default=0.9, gt=0, le=1, description="likeness from which a problem is a copy of its parent")

    def solve(self, task: Task) -> Steps[Answer]:
        """Writes, looks, and has it judged."""
        parent, prompts = task.problem, task.prompts
        node = yield Ask(task.user(self._instruction(task), after=task.system(prompts.text("writer"))))
        question = written(node)
        reason = spoilt(node, question, parent.question, prompts.pool("refusals"), prompts.pool("leaks"))
        reason = reason or copied(question, parent, self.near)
        if reason:
            return Answer(question, node, "refused" if reason == "refused" else "final_answer", reason)
        return Answer(question, node, method=(yield from self._judged(task, question)))

    def _instruction(self, task: Task) -> str:
        listed = "\n\n".join(f"{number}. {each}" for number, each in enumerate(self.examples, 1))
        text = task.prompts.text(self.operator)
        for place, value in (("form", task.prompts.text("form")), ("keywords", ", ".join(self.keywords) or "-")):
            text = text.replace("{" + place + "}", value)
        # The problem itself comes last: whatever stands in it is not looked through for places to fill.
        before, place, after = text.partition("{examples}" if self.operator == "fresh" else "{question}")
        return before + ((listed if self.operator == "fresh" else task.problem.question) if place else "") + after

    def _judged(self, task: Task, question: str) -> Steps[str]:
        judge: Node = task.system(task.prompts.text("judge"), channel="judge")
        first, place, rest = task.prompts.text("compare").partition("{parent}")
        second, other, last = rest.partition("{question}")
        text = "".join((first, task.problem.question if place else "", second, question if other else "", last))
        read = yield from ask_json(task, text, Judgement, after=judge, role="judge")
        if read.value is None:
            return "unjudged"
        if not read.value.answerable:
            return "unanswerable"
        return "judged" if read.value.asks_something_new else "nothing new"
