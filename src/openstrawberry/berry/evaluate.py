"""Measures berry as its card reports it: held-out problems, every size, several methods, through the light runtime.

Pass rate: the share of traces whose answer is right, with the Wilson 95% interval (Wilson 1927). Clean rate: the share
in which every step was right as well (`problems/procedures.py`). No torch is needed.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from openstrawberry.berry.tokenizer import DIRECT, FINAL, FIRST, NEXT, STEPWISE, SURE, SYSTEM_PROMPTS
from openstrawberry.chat import Message, Request
from openstrawberry.models.model import Model
from openstrawberry.problems import families, procedures
from openstrawberry.problems.families import Addition, Item, LetterCount
from openstrawberry.stats import wilson

MAX_TURNS = 60
STEP_TOKENS = 96  # a step of 20-digit addition has 60
FINAL_EVERY = 9
SURE_CHANCE = 0.12
_EXAMPLES: tuple[Item, ...] = (LetterCount("elephant", "e"), Addition(48, 67), LetterCount("cotton", "t"))


@dataclass(frozen=True)
class Trace:
    """What came of one problem: the assistant's turns and what they cost."""

    item: Item
    turns: tuple[str, ...]
    tokens: int  # fed or generated, each once

    @property
    def passed(self) -> bool:
        found = re.findall(r"<final_answer>(.*?)</final_answer>", self.turns[-1])
        return bool(found) and found[-1] == self.item.answer

    @property
    def clean(self) -> bool:
        return procedures.judge(self.item, self.turns).clean


@dataclass(frozen=True)
class Asker:
    """Asks a model one problem after another with fixed sampling."""

    model: Model
    temperature: float = 0.7
    max_tokens: int = 512

    async def reply(self, messages: Sequence[Message], seed: int, max_tokens: int = 0) -> tuple[str, int]:
        limit = max_tokens or self.max_tokens
        request = Request(tuple(messages), temperature=self.temperature, max_tokens=limit, seed=seed)
        reply = await self.model.complete(request)
        usage = reply.usage
        return reply.content, (usage.input or 0) - (usage.cached_input or 0) + (usage.output or 0)

    async def step_game(self, item: Item, seed: int) -> Trace:
        """The `strawberry` strategy with the brief prompts and the default schedule."""
        rng = Random(f"{item}/{seed}")
        messages = [Message(role="system", content=rng.choice(SYSTEM_PROMPTS))]
        turns: list[str] = []
        tokens = 0
        for turn in range(MAX_TURNS):
            messages.append(Message(role="user", content=user_turn(rng, item, turn)))
            content, cost = await self.reply(messages, rng.getrandbits(32), STEP_TOKENS)
            messages.append(Message(role="assistant", content=content))
            turns.append(content)
            tokens += cost
            if "<final_answer>" in content:
                break
        return Trace(item, tuple(turns), tokens)

    async def one_reply(self, item: Item, seed: int) -> Trace:
        content, cost = await self.reply([Message(role="user", content=item.question() + STEPWISE)], seed)
        return Trace(item, tuple(content.splitlines() or [""]), cost)

    async def direct(self, item: Item, seed: int) -> Trace:
        content, cost = await self.reply([Message(role="user", content=item.question() + DIRECT)], seed)
        return Trace(item, (content,), cost)

    async def few_shot(self, item: Item, seed: int) -> Trace:
        messages = []
        for example in _EXAMPLES:
            messages.append(Message(role="user", content=example.question() + DIRECT))
            messages.append(Message(role="assistant", content=procedures.final(example)))
        content, cost = await self.reply([*messages, Message(role="user", content=item.question() + DIRECT)], seed)
        return Trace(item, (content,), cost)


def user_turn(rng: Random, item: Item, turn: int) -> str:
    if turn == 0:
        return item.question() + FIRST
    if turn % FINAL_EVERY == 0:
        return FINAL
    return rng.choice(SURE if rng.random() < SURE_CHANCE else NEXT)


Method = Callable[[Item, int], Awaitable[Trace]]


async def traces(method: Method, items: Sequence[Item], concurrency: int = 64) -> list[Trace]:
    """One trace per item, at most `concurrency` at a time; the item's place is its seed."""
    gate = asyncio.Semaphore(concurrency)

    async def one(seed: int, item: Item) -> Trace:
        async with gate:
            return await method(item, seed)

    return list(await asyncio.gather(*(one(seed, item) for seed, item in enumerate(items))))


SIZES = {"count": range(3, 14), "add": range(1, 8)}


async def step_table(asker: Asker, n: int) -> int:
    """Print the table of the step game, a row per family and size; returns the number of traces."""
    print("| family | size | right | 95% interval | clean | steps | tokens |\n|---|---|---|---|---|---|---|")
    for family, sizes in SIZES.items():
        for size in sizes:
            found = await traces(asker.step_game, list(islice(families.generate(family, size), n)))
            hits, clean = sum(t.passed for t in found), sum(t.clean for t in found)
            low, high = wilson(hits, n)
            steps, tokens = sum(len(t.turns) for t in found) / n, sum(t.tokens for t in found) / n
            right = f"{hits / n:.1%} | {low:.1%} to {high:.1%}"
            print(f"| {family} | {size} | {right} | {clean / n:.1%} | {steps:.1f} | {tokens:.0f} |", flush=True)
    return n * sum(map(len, SIZES.values()))


async def method_table(asker: Asker, n: int) -> None:
    """Print what the other methods get right, a row per family and method, a column per size."""
    methods: dict[str, Method] = {"zero-shot": asker.direct, "few-shot": asker.few_shot, "cot": asker.one_reply}
    for family, sizes in SIZES.items():
        print(f"\n| {family} | {' | '.join(map(str, sizes))} |\n|---{'|---' * len(sizes)}|")
        for name, method in methods.items():
            cells = []
            for size in sizes:
                found = await traces(method, list(islice(families.generate(family, size), n)))
                cells.append(f"{sum(t.passed for t in found) / n:.0%}")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


async def report(model: Model, n: int) -> None:
    """Print all that the card states: `n` held-out problems a size, strawberry itself with ten seeds, the speed."""
    asker = Asker(model)
    began = time.perf_counter()
    count = await step_table(asker, n)
    speed = count / (time.perf_counter() - began)
    await method_table(asker, n)
    hits = sum(t.passed for t in await traces(asker.step_game, [LetterCount("strawberry", "r")] * 10))
    print(f"\n`How many r's are in strawberry?` was answered 3 with {hits} of 10 seeds.")
    print(f"The step games ran at {speed:.1f} whole traces/s, 64 at a time.")


def evaluate(folder: Path, n: int) -> None:
    from openstrawberry.models.providers.berry import BerryModel

    async def run() -> None:
        model = BerryModel(folder)
        try:
            await report(model, n)
        finally:
            await model.close()

    asyncio.run(run())
