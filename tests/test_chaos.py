"""Everything goes wrong at once, and every trace that can finish finishes."""

import asyncio
import hashlib
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from openstrawberry.config import RunConfig
from openstrawberry.generate import Run
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.problems.problem import Problem
from openstrawberry.store.reading import read_traces
from tests.models.wires import COMPAT
from tests.servers.dialects import SPELLINGS, Said
from tests.servers.http import Answer, Received, Server
from tests.test_faults import FAULTS, PASSING

TURNS = 10
SHARE = 0.1


class Chaos:
    """Each fault that passes strikes a tenth of all requests, so an average one is struck once before it is answered.

    A tenth of the traces meet something at their sixth turn that does not pass.
    """

    def __init__(self) -> None:
        self.due: dict[bytes, list[str]] = {}
        self.met: Counter[str] = Counter()
        self.doomed = [name for name, fault in FAULTS.items() if not fault.passes]

    def fate(self, number: int) -> str:
        """What the trace will end of, empty where it can finish."""
        return self.doomed[number // 10 % len(self.doomed)] if number % 10 == 3 else ""

    def __call__(self, received: Received) -> Answer:
        found = re.search(rb"Question (\d+)\?", received.body)
        assert found is not None
        turn = received.body.count(b'"role":"assistant"') + 1
        fate = self.fate(int(found[1]))
        if fate and turn == 6:
            return FAULTS[fate].answer(COMPAT, False)
        key = hashlib.sha256(received.body).digest()
        if key not in self.due:
            draw = random.Random(key)
            self.due[key] = [name for name in PASSING if draw.random() < SHARE]
            draw.shuffle(self.due[key])
        if self.due[key]:
            name = self.due[key].pop()
            self.met[name] += 1
            return FAULTS[name].answer(COMPAT, False)
        text = "<final_answer>3</final_answer>" if turn == TURNS else f"Step {turn}: one more letter."
        return SPELLINGS["openai"](Said(text), False)


@pytest.mark.parametrize("traces", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_a_tenth_of_every_fault_mixed_loses_no_trace_that_can_finish(tmp_path: Path, traces: int) -> None:
    chaos = Chaos()

    async def session() -> None:
        async with Server(chaos, keep=False) as server:
            config = RunConfig(
                model=COMPAT.spec, out=tmp_path / "run", samples=1, concurrency=64, timeout=0.1, max_turns=TURNS
            )
            problems = [Problem(question=f"Question {number}?", answer="3") for number in range(traces)]
            policy = RetryPolicy(attempts=40, base=0.005, longest=0.02)
            run = Run(config, COMPAT.settings(server.url), problems=problems, policy=policy)
            try:
                await run.run()
            finally:
                await run.close()

    asyncio.run(session())
    found = {int(trace.problem.question[9:-1]): trace for trace in read_traces(tmp_path / "run")}
    assert len(found) == traces
    for number, trace in found.items():
        fate = chaos.fate(number)
        wanted = (FAULTS[fate].stop, FAULTS[fate].kind) if fate else ("final_answer", "")
        assert (trace.stop, trace.error.kind) == wanted, trace.error.message
        assert trace.turns == (5 if FAULTS.get(fate, FAULTS["500"]).stop != "refused" else 6) if fate else TURNS
    assert set(chaos.met) == set(PASSING)
