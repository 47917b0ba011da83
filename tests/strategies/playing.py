"""Plays strategies by hand: whatever they ask for is answered at once, without a model."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from openstrawberry.chat import Reply
from openstrawberry.engine.stepper import Stepper
from openstrawberry.strategies.strategy import Answer, Ask, Check, Score, Strategy, Task
from openstrawberry.trace import Node
from openstrawberry.verifiers.verifier import Verdict

Says = Callable[[Ask], Reply | str]
MOST = 20_000  # actions after which a strategy is said to loop


def scripted(replies: Sequence[Reply | str]) -> Says:
    """Answers with `replies` in order, the last one for ever."""
    left = list(replies)

    def says(ask: Ask) -> Reply | str:
        return left.pop(0) if len(left) > 1 else left[0]

    return says


def play(
    strategy: Strategy,
    task: Task,
    says: Says,
    *,
    score: Callable[[Node], float] = lambda node: 0.5,
    order: Random | None = None,
    asked: list[Ask] | None = None,
) -> Answer:
    """Plays to the end.

    Args:
        says: the reply to each `Ask`; a plain text is one that ended by itself.
        score: the process reward of a node.
        order: in which order open actions are answered; None answers the oldest first.
        asked: collects every `Ask` that was answered.
    """
    stepper: Stepper[Answer] = Stepper(strategy.solve(task))
    for _ in range(MOST):
        if stepper.done:
            return stepper.result
        assert stepper.open, f"{strategy.name} waits for nothing"
        ticket = order.choice(sorted(stepper.open)) if order else min(stepper.open)
        stepper.send(ticket, _carried_out(stepper.open[ticket], task, says, score, asked))
    raise AssertionError(f"{strategy.name} goes on for ever")


def _carried_out(
    action: Ask | Check | Score, task: Task, says: Says, score: Callable[[Node], float], asked: list[Ask] | None
) -> Any:
    if isinstance(action, Check):
        right = action.answer == task.problem.answer
        return Verdict(status="correct" if right else "incorrect" if action.answer else "no_answer")
    if isinstance(action, Score):
        return score(action.node)
    if asked is not None:
        asked.append(action)
    said = says(action)
    reply = said if isinstance(said, Reply) else Reply(content=said, finish_reason="stop")
    return task.tree.add("assistant", reply.content, action.node, action.node.channel, reply)


JUNK = (
    "",
    "hm",
    "<final_answer>3</final_answer>",
    "<final_answer></final_answer>",
    "<final_answer>",
    "</final_answer><final_answer>",
    "{",
    "[]",
    "null",
    '{"title": 1, "content": null, "next_action": []}',
    '{"title": "a", "content": "b", "next_action": "continue", "confidence": 1e999}',
    "<score>5</score>",
    "<score>NaN</score><critique></critique>",
    "1e400 -inf nan",
    "\\boxed{",
    "\\boxed{{3}",
    "\ud800 \x00 \u202e",
    "0" * 5000,
    "(" * 3000,
)


def hostile(random: Random) -> Says:
    """Replies that no model should give: drawn from `JUNK`, cut, refused and doubled."""

    def says(ask: Ask) -> Reply:
        text = random.choice(JUNK) + (random.choice(JUNK) if random.random() < 0.3 else "")
        return Reply(
            content=text,
            reasoning=random.choice(("", "", text)),
            finish_reason=random.choice(("stop", "stop", "stop", "length", "filter", "unknown")),
        )

    return says
