"""How much of what a provider could read from its prompt cache it does read, when we talk to it.

    python -m benchmarks.cache [--problems 12] [--samples 8] [--turns 20]     (from the repository's root)

A loopback server bills as the real ones do, and is asked through the whole path of `strawberry generate`. A token is
four bytes. Both protocols cache nothing below 1,024 tokens, and forget what nobody has read for five minutes; a minute
of theirs lasts a second here.

openai      keeps blocks of 128 tokens, on 256 machines that know nothing of one another; a request goes to the one
            that its first 256 tokens and its cache key name, and to any other above 15 requests a minute
anthropic   keeps what ends at a mark, and finds it again from a mark no more than 20 blocks later

Each turn of the step game is followed by two side calls: a critic in a conversation of its own, and a question in the
middle of the game's. The rows of one turn ask a single question after a long prompt that all traces share. What could
be cached is what any earlier request has begun with, whoever sent it and wherever it went, in the provider's own units;
what was cached is what our own summary says. The last rows show what it costs to leave out what we send for the cache's
sake.
"""

import argparse
import asyncio
import hashlib
import random
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openstrawberry.config import RunConfig
from openstrawberry.generate import Run
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Task
from openstrawberry.strategies.strawberry import Strawberry
from tests.servers.dialects import Said, anthropic, openai
from tests.servers.http import Answer as Sent
from tests.servers.http import Received, Server

BYTES, LEAST, BLOCK, ROUTED = 4, 1024, 128, 256  # per token; then in tokens
LIFE, MINUTE = 5.0, 1.0  # seconds here
MACHINES, PER_MINUTE, LOOK_BACK = 256, 15, 20
LATENCY = 0.05  # three seconds of theirs
LONG = "Think carefully, and check every step before you write it down. " * 128  # 2,048 tokens


class WatchedGame(Strawberry):
    """The step game, with a critic that watches and a question that leads nowhere after every turn."""

    def solve(self, task: Task) -> Steps[Answer]:
        """Plays to the end: the server never answers."""
        node = task.system(task.shared_random("system").choice(task.prompts.pool("system")))
        critic = task.system("You judge the steps of somebody else, one after the other.", channel="critic")
        for turn in range(self.max_turns):
            node = task.user(self.prompt(task, turn), after=node)
            node = yield Ask(node, temperature=self.temperature_at(turn))
            critic = task.user(f"Judge this step:\n{node.content}", after=critic)
            critic = yield Ask(critic, role="critic")
            yield Ask(task.user("Where is the weakest point of all this?", after=node), role="critic")
        return Answer("", node, stop="max_turns")


class OneTurn(Strawberry):
    """One question after a long prompt that all traces share."""

    def solve(self, task: Task) -> Steps[Answer]:
        """Asks once."""
        node = yield Ask(task.user(task.problem.question, after=task.system(LONG)))
        return Answer("", node, stop="max_turns")


@dataclass
class Provider:
    """What both protocols share: the bill, and what an ideal cache would hold. `handicap` leaves something out."""

    handicap: bool = False
    requests: int = 0
    read: int = 0
    cacheable: int = 0
    cached: int = 0
    seen: set[bytes] = field(default_factory=set)
    texts: random.Random = field(default_factory=lambda: random.Random(0))

    async def __call__(self, received: Received) -> Sent:
        await asyncio.sleep(LATENCY)
        return self.answer(received.json)

    def answer(self, body: dict[str, Any]) -> Sent:
        raise NotImplementedError

    def billed(self, read: int, cached: int, prefixes: list[tuple[int, bytes]]) -> None:
        """Counts one request; `prefixes` are those that could have been cached, shortest first."""
        self.requests += 1
        self.read += read
        self.cached += cached
        self.cacheable += max((size for size, name in prefixes if name in self.seen), default=0)
        self.seen.update(name for _, name in prefixes)

    def said(self, read: int, cached: int, written: int) -> Said:
        words = self.texts.choices(("count", "letter", "carry", "so", "then", "because", "check", "again"), k=90)
        return Said(" ".join(words), usage=(read, cached, written, 120, 0))


@dataclass
class OpenAI(Provider):
    """Blocks on machines. The handicap: no cache key."""

    machines: dict[int, dict[bytes, float]] = field(default_factory=lambda: defaultdict(dict))
    sent: dict[bytes, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def answer(self, body: dict[str, Any]) -> Sent:
        text = "".join(f"{turn['role']}\n{turn['content']}\n" for turn in body["messages"]).encode()
        read = len(text) // BYTES
        blocks = list(prefixes(text, range(LEAST, read + 1, BLOCK)))
        kept, now = self.machines[self.route(text, "" if self.handicap else body["prompt_cache_key"])], time.monotonic()
        cached = max((size for size, name in blocks if now - kept.get(name, -LIFE) < LIFE), default=0)
        kept.update((name, now) for _, name in blocks)
        self.billed(read, cached, blocks)
        return openai(self.said(read, cached, 0), stream=False)

    def route(self, text: bytes, key: str) -> int:
        """The machine of this beginning and key, unless that has too much to do."""
        name = hashlib.sha1(key.encode() + b"\0" + text[: ROUTED * BYTES]).digest()
        recent, now = self.sent[name], time.monotonic()
        while recent and now - recent[0] > MINUTE:
            recent.popleft()
        recent.append(now)
        other = self.texts.randrange(MACHINES)
        return name[0] % MACHINES if len(recent) <= PER_MINUTE else other


@dataclass
class Anthropic(Provider):
    """Marks. The handicap: only the one on the system block."""

    kept: dict[bytes, float] = field(default_factory=dict)

    def answer(self, body: dict[str, Any]) -> Sent:
        blocks = [("system", block) for block in body["system"]]
        blocks += [(turn["role"], block) for turn in body["messages"] for block in turn["content"]]
        pieces = [f"{role}\n{block['text']}\n".encode() for role, block in blocks]
        ends = [sum(map(len, pieces[: at + 1])) // BYTES for at in range(len(pieces))]
        found = dict(enumerate(prefixes(b"".join(pieces), ends)))
        marks = [at for at, (role, block) in enumerate(blocks) if "cache_control" in block]
        marks = [at for at in marks if not self.handicap or blocks[at][0] == "system"]
        now, cached = time.monotonic(), 0
        for mark in marks:
            for at in range(max(0, mark - LOOK_BACK), mark + 1):
                size, name = found[at]
                if now - self.kept.get(name, -LIFE) < LIFE:
                    self.kept[name], cached = now, max(cached, size)
        self.kept.update((found[mark][1], now) for mark in marks if found[mark][0] >= LEAST)
        written = max((found[mark][0] for mark in marks if found[mark][0] >= LEAST), default=0)
        self.billed(ends[-1], cached, [prefix for prefix in found.values() if prefix[0] >= LEAST])
        return anthropic(self.said(ends[-1], cached, max(0, written - cached)), stream=False)


def prefixes(text: bytes, ends: Any) -> Iterator[tuple[int, bytes]]:
    """(tokens, name) of each beginning of `text` that ends after so many tokens."""
    state, at = hashlib.sha1(), 0
    for end in ends:
        state.update(text[at : end * BYTES])
        at = end * BYTES
        yield end, state.copy().digest()


OPENAI = ("openai:sim", {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "{url}/v1"})
ANTHROPIC = ("anthropic:sim", {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "{url}"})
ROWS: dict[str, tuple[type[Strawberry], Callable[[], Provider], tuple[str, dict[str, str]]]] = {
    "openai": (WatchedGame, OpenAI, OPENAI),
    "anthropic": (WatchedGame, Anthropic, ANTHROPIC),
    "openai, one turn": (OneTurn, OpenAI, OPENAI),
    "anthropic, one turn": (OneTurn, Anthropic, ANTHROPIC),
    "openai, no key": (WatchedGame, lambda: OpenAI(True), OPENAI),
    "anthropic, system only": (WatchedGame, lambda: Anthropic(True), ANTHROPIC),
}


async def measure(row: str, given: argparse.Namespace) -> tuple[Provider, int]:
    """Runs all traces of one row: the provider with its bill, and the cached tokens that our own summary counts."""
    strategy, made, (spec, variables) = ROWS[row]
    provider, many = made(), given.problems * (given.turns if strategy is OneTurn else 1)
    async with Server(provider, keep=False) as server:
        settings = Settings({name: value.format(url=server.url) for name, value in variables.items()})
        problems = [Problem(question=f"Question {n}?", answer="3", verifier="numeric") for n in range(many)]
        with tempfile.TemporaryDirectory() as folder:
            config = RunConfig(
                model=spec, out=Path(folder) / "run", samples=given.samples, concurrency=given.concurrency
            )
            run = Run(config, settings, problems=problems)
            run.setting = replace(run.setting, strategy=strategy(max_turns=given.turns))
            try:
                summary = await run.run()
            finally:
                await run.close()
    assert summary.stops == {"max_turns": many * given.samples}, summary
    assert summary.tokens["input"] == provider.read, "what was billed is not what was recorded"
    return provider, summary.tokens["cached"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--problems", type=int, default=12)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--concurrency", type=int, default=32)
    given = parser.parse_args()
    print(
        f"{given.problems} problems x {given.samples} samples x {given.turns} turns, two side calls a turn, "
        f"{given.concurrency} at a time"
    )
    print(f"{'':24}{'requests':>9}{'input tokens':>14}{'cacheable':>13}{'cached':>13}{'share':>8}")
    for name in ROWS:
        provider, cached = asyncio.run(measure(name, given))
        print(f"{name:24}{provider.requests:>9,}{provider.read:>14,}{provider.cacheable:>13,}{cached:>13,}"
              f"{cached / provider.cacheable:>8.1%}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
