"""Step labels by Monte Carlo rollouts and a binary search, for `prm.py`.

One game is played. Where it comes out right, every step of it can lead to a right answer, and is good. Where it comes
out wrong, the first bad step is searched for: the last prefix from which a rollout still comes out right, and the step
after it (OmegaPRM, Luo et al. 2024, arXiv 2406.06592). Rollouts take the likeliest tokens, so that one or two of them
tell much. A problem that no rollout from its question solves says nothing about steps, and gives no row.

Nothing here knows the procedure of a task: final answers are compared with the known one, and that is all.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from openstrawberry.chat import Reply
from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import Sampling, Setting, drive
from openstrawberry.engine.pool import run_pool
from openstrawberry.models.registry import open_model
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.models.stack import compose
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import load_prompts
from openstrawberry.settings import Settings
from openstrawberry.strategies.strategy import Answer, Check, Steps, Strategy, Task
from openstrawberry.strategies.strawberry import Strawberry
from openstrawberry.trace import Node, Trace
from openstrawberry.verifiers.catalogue import Verifiers

Row = dict[str, Any]


class Rollouts(Strategy):
    """Plays a game and finds its first bad step: `Node.value` 1 before it and 0 there; `visits` 0 where unknown."""

    name: ClassVar[str] = "rollouts"

    rollouts: int = 2
    temperatures: tuple[float, ...] = (1.0, 1.4)  # of the first game of a problem, the second, and so on in turn
    careful: Strawberry = Strawberry(temperature=0.0, max_turns=60)

    def solve(self, task: Task) -> Steps[Answer]:
        game = Strawberry(temperature=self.temperatures[task.sample % len(self.temperatures)], max_turns=60)
        answer = yield from game.play(task, game.begin(task))
        replies = [node for node in answer.node.path() if node.role == "assistant"]
        good, bad = len(replies), len(replies)  # so many replies are good; reply number `bad` is not
        if not (yield from self.right(answer)):
            good, bad = -1, len(replies) - 1
            if (yield from self.solvable(task, replies, 0)):
                good = 0
                while bad - good > 0:
                    middle = (good + bad + 1) // 2
                    if (yield from self.solvable(task, replies, middle)):
                        good = middle
                    else:
                        bad = middle - 1
        for number, node in enumerate(replies[: max(good + 1, 0)]):
            node.value, node.visits = float(number < good), 1
        return answer

    def solvable(self, task: Task, replies: Sequence[Node], count: int) -> Steps[bool]:
        """Whether a rollout that goes on after the first `count` replies comes out right."""
        for number in range(self.rollouts):
            own = replace(task, member=("rollout", count, number))  # so that it is asked other things than its siblings
            node = self.careful.say(own, replies[count - 1], count) if count else self.careful.begin(own)
            if (yield from self.right((yield from self.careful.play(own, node, count)))):
                return True
        return False

    def right(self, answer: Answer) -> Steps[bool]:
        """Whether the answer is the known one."""
        if not answer.text:
            return False
        return bool((yield Check(answer.text)).status == "correct")


def label(problems: Sequence[Problem], samples: int, rollouts: int, seed: int, folder: Path) -> Path:
    """The file that `strawberry train-prm` reads; games that were played already are not played again."""
    out = folder / "games.jsonl"
    done = {(row["problem"], row["sample"]) for row in read(out)}
    owed = [(problem, sample) for sample in range(samples) for problem in problems if (problem.id, sample) not in done]
    if owed:
        asyncio.run(_label(owed, Rollouts(rollouts=rollouts), seed, out))
    steps = folder / "steps.jsonl"
    steps.write_text("".join(json.dumps(row) + "\n" for row in balanced(read(out))), encoding="utf-8")
    return steps


def balanced(rows: Sequence[Row]) -> list[Row]:
    """The games with labels, as many right ones as wrong ones of each size: bad steps are rare enough."""
    right: dict[str, list[Row]] = defaultdict(list)
    wrong: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: str(row["trace"])):  # in one order, whichever game ended first
        if row["labels"]:
            (right if all(row["labels"]) else wrong)[f"{row['family']} {row['size']}"].append(row)
    pairs = [pair for size in sorted(right) for pair in zip(right[size], wrong[size], strict=False)]
    return [row for pair in pairs for row in pair]


def read(out: Path) -> list[Row]:
    """The rows that are there."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []


async def _label(owed: Iterable[tuple[Problem, int]], strategy: Rollouts, seed: int, out: Path) -> None:
    config = RunConfig()
    checker = Verifiers(forced="")
    model = compose(open_model("berry", Settings({})), Forgetful(), RetryPolicy(attempts=1), on_retry=lambda *_: None)
    setting = Setting(
        strategy=strategy,
        prompts=load_prompts("strawberry", config.prompts_used),
        models={"solver": model},
        checker=checker,
        sampling=Sampling(max_tokens=config.reply_tokens),
        seed=seed,
    )
    out.parent.mkdir(parents=True, exist_ok=True)

    async def one(job: tuple[Problem, int]) -> None:
        trace = await drive(setting, *job)
        row = row_of(trace)
        with out.open("a", encoding="utf-8") as file:  # one without steps too, so that it is not played again
            file.write(json.dumps(row) + "\n")

    try:
        await run_pool(owed, one, concurrency=60)
    finally:
        await checker.close()
        await model.close()


def row_of(trace: Trace) -> Row:
    """The row that `strawberry train-prm` reads."""
    path = [trace.messages[index] for index in trace.path]
    first = next(at for at, turn in enumerate(path) if turn.role == "assistant")
    replies = [turn for turn in path if turn.role == "assistant" and turn.visits]
    asked = ["", *(turn.content for turn in path[first:] if turn.role == "user")]
    return {
        "prompt": [{"role": turn.role, "content": turn.content} for turn in path[:first]],
        "completions": [turn.content for turn in replies],
        "asked": asked[: len(replies)],
        "labels": [turn.value > 0 for turn in replies],
        "values": [turn.value for turn in replies],
        "trace": trace.id,
        "problem": trace.problem.id,
        "difficulty": trace.problem.difficulty,
        "sample": trace.sample,
        **trace.problem.meta(),
    }


class Forgetful:
    """A reply record that keeps nothing."""

    def find(self, key: str) -> Reply | None:
        return None

    async def keep(self, key: str, reply: Reply) -> None:
        return None
