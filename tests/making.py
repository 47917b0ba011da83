"""Small makers of records for tests."""

import asyncio

from openstrawberry.chat import Reply, Usage
from openstrawberry.models.budget import Amount, Spent
from openstrawberry.problems.problem import Problem
from openstrawberry.trace import Checked, Failure, Stop, Tokens, Trace, Tree, turn_of

PROBLEM = Problem(question="How many r's are in strawberry?", answer="3", verifier="numeric", source="test")


def make_reply(content: str = "ok", **fields: object) -> Reply:
    return Reply(
        content=content, finish_reason="stop", usage=Usage(input=10, output=5), model="scripted:test", **fields
    )


def make_trace(
    number: int = 0,
    *,
    stop: Stop = "final_answer",
    status: str = "correct",
    text: str = "<final_answer>3</final_answer>",
    error: str = "",
    max_turns: int = 40,
) -> Trace:
    tree = Tree()
    asked = tree.add("user", PROBLEM.question, None)
    tree.add("assistant", text, asked, reply=make_reply(text))
    turns = tuple(turn_of(node) for node in tree.nodes)
    return Trace(
        id=f"{number:016x}",
        problem=PROBLEM,
        model="scripted:test",
        strategy="strawberry",
        params=f'{{"max_turns": {max_turns}}}',
        sample=number,
        seed=0,
        messages=turns,
        path=(0, 1),
        answer="3",
        stop=stop,
        verdict=Checked(status=status, verifier="numeric"),
        usage=Tokens.total(turn.usage for turn in turns),
        error=Failure(message=error),
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T00:00:01+00:00",
    )


class Memory:
    """A reply record that forgets everything when it is dropped."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}

    def find(self, key: str) -> Reply | None:
        return self.replies.get(key)

    async def keep(self, key: str, reply: Reply) -> None:
        self.replies[key] = reply


class Journal:
    """A ledger in memory. `written` tells what was noted, in order."""

    def __init__(self, before: Spent | None = None) -> None:
        self.before = before or Spent()
        self.written: list[tuple[str, str, Amount]] = []

    def spent(self) -> Spent:
        return self.before

    async def reserve(self, key: str, amount: Amount) -> None:
        await asyncio.sleep(0)
        self.written.append(("reserve", key, amount))

    async def release(self, key: str) -> None:
        self.written.append(("release", key, Amount()))
