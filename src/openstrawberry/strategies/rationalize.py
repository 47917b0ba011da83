"""A problem that was not solved is tried once more with its answer as a hint, and what comes of it is kept unhinted.

Source: STaR (Zelikman et al. 2022, arXiv 2203.14465). A model that only learns from what it solves never learns from
what it cannot do. Told the answer, it often finds a way to it, and that way is worth learning as if it had found it by
itself: after the bare question, without the hint.

What is kept is a conversation of its own: the turns of the base strategy with the bare question in the place of the
hinted one, and copies of the hinted replies, which are paid for only where they were said. The hinted conversation
stays in the tree, in the channel `hint`, which nothing learns from; a trace whose path holds copies from there is
`Trace.hinted`, may be learnt from, and does not count as solved. Replies that give the hint away are never kept.
"""

from dataclasses import replace
from typing import ClassVar

from pydantic import Field, computed_field, model_validator

from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet, filled
from openstrawberry.strategies.leaks import leak
from openstrawberry.strategies.over import Over
from openstrawberry.strategies.strategy import Answer, Check, Steps, Task
from openstrawberry.trace import Node

HINTED = "solved only after the answer had been shown"


class HintedProblem(Problem):
    """A problem whose question holds the hint; it goes by the bare one's id, so the same texts are drawn for it."""

    bare: Problem

    @computed_field  # type: ignore[prop-decorator]
    @property
    def id(self) -> str:
        """The bare problem's."""
        return self.bare.id


class Rationalize(Over):
    """Options of rationalisation."""

    name: ClassVar[str] = "rationalize"

    base: str = Field(default="cot", description="the strategy that solves the problem, first alone and then hinted")
    retries: int = Field(default=3, ge=0, le=100, description="more hinted tries where one gives the hint away")

    @model_validator(mode="after")
    def _has_a_base(self) -> "Rationalize":
        if self.base == self.name or self.member.uses:
            raise SetupError(f"{self.base} cannot be hinted: choose another, such as --set base=cot.")
        return self

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.base,)

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int | None:
        """The own try, the hinted one, and at most all of its retries."""
        each = self.member.most_replies(prompts.within(self.base), turns)
        return None if each is None else each * (2 + (self.retries if turns is None else 0))

    @property
    def sees_answers(self) -> bool:
        return True

    def solve(self, task: Task) -> Steps[Answer]:
        """Tries alone, then with the hint."""
        solver = self.member
        own = yield from solver.solve(task.within(self.base))
        verdict = yield Check(own.text)
        if verdict.status not in ("incorrect", "no_answer") or own.stop == "refused" or not task.problem.answer:
            return own
        problem, why = hinted(task), ""
        for attempt in range(1 + self.retries):
            shown = replace(task.within(self.base, "hint", attempt), problem=problem, channel="hint")
            found = yield from solver.solve(shown)
            verdict = yield Check(found.text)
            if verdict.status != "correct":
                return replace(own, detail="not solved with the answer as a hint either")
            why = leak(written(found.node), task.problem)
            if not why:
                node = unhinted(task, found.node, own.node, problem.question)
                return Answer(found.text, node, found.stop, found.method, HINTED)
        return replace(own, detail=f"solved with a hint, but the text gives it away: {why}")


def hinted(task: Task) -> HintedProblem:
    """The problem with the answer as a hint.

    Raises:
        SetupError: the wording has no place for the question or the answer.
    """
    wording, bare = task.prompts.text("hinted"), task.problem
    if "{question}" not in wording or "{answer}" not in wording:
        raise SetupError("`hinted` in rationalize.yaml has to say {question} and {answer}: add what is missing.")
    question = filled(wording, answer=bare.answer, question=bare.question)
    return HintedProblem(**{**bare.model_dump(exclude={"id"}), "question": question}, bare=bare)


def written(node: Node) -> list[str]:
    """What the model wrote on the way to `node`, its thoughts included."""
    replies = [each.reply for each in node.path() if each.reply]
    return [text for reply in replies for text in (reply.reasoning, reply.content) if text]


def unhinted(task: Task, node: Node, own: Node, question: str) -> Node:
    """The conversation that ends in `node` once more, after the bare question in the place of `question`.

    It begins with the turns of the model's own try, as far as the two agree, so that their replies are siblings.

    Raises:
        SetupError: the base strategy says the question in words of its own, so that the hint cannot be taken out.
    """
    if not any(question in said.content for said in node.path() if said.reply is None):
        raise SetupError("The hint cannot be taken out of what the base strategy says: choose another with --set base.")
    kept: Node | None = None
    for said, mine in zip(node.path(), [*own.path(), *[None] * len(node.path())], strict=False):
        if said.reply is not None:
            kept = task.tree.copy(said, kept)
            continue
        text = said.content.replace(question, task.problem.question)
        shared = mine is not None and mine.parent is kept and mine.reply is None and mine.content == text
        kept = mine if shared else task.tree.add(said.role, text, kept)
    assert kept is not None
    return kept
