"""Vote and searches on the embedded model: they solve what it can solve, and the tree is on record."""

import asyncio
from typing import Any

import pytest

from openstrawberry.config import RunConfig
from openstrawberry.generate import Run
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Trace

PROBLEM = Problem(question="What is 2 + 4?", answer="6", verifier="numeric")
SMALL: list[tuple[str, dict[str, Any]]] = [
    ("vote", {"k": 3}),
    ("beam", {"depth": 2}),
    ("mcts", {"iterations": 3, "branches": 2}),
    ("mcts", {"value": "confidence", "iterations": 2, "branches": 2, "actions": "all", "reflect": True}),
]


def made(tmp_path: Any, strategy: str, options: dict[str, Any]) -> Trace:
    async def session() -> None:
        config = RunConfig(strategy=strategy, set=options, samples=1, out=tmp_path / "run")
        run = Run(config, Settings({}), problems=[PROBLEM])
        try:
            await run.run()
        finally:
            await run.close()

    asyncio.run(session())
    (trace,) = read_traces(tmp_path / "run")
    return trace


@pytest.mark.parametrize(("strategy", "options"), SMALL, ids=str)
def test_berry_adds(tmp_path: Any, strategy: str, options: dict[str, Any]) -> None:
    trace = made(tmp_path, strategy, options)
    assert (trace.answer, trace.stop, trace.verdict.status) == ("6", "final_answer", "correct")
    assert [trace.messages[index].role for index in trace.path[:3]] == ["system", "user", "assistant"]
    assert len(trace.messages) > len(trace.path)
    if strategy != "vote":
        assert any(turn.visits and turn.prior and 0 < turn.value <= 1 for turn in trace.messages)


def test_tiny_steps_are_cut_sooner_than_whole_solutions() -> None:
    tokens = {
        (strategy, base): RunConfig(strategy=strategy, set={"base": base} if base else {}).reply_tokens
        for strategy, base in (("beam", ""), ("mcts", ""), ("vote", ""), ("vote", "cot"), ("cot", ""))
    }
    assert list(tokens.values()) == [160, 160, 160, 512, 512]
