"""What a strategy finds does not depend on who answers first: every draw of every branch is its own."""

import asyncio
from random import Random
from typing import Any

import pytest

from openstrawberry.chat import Reply, Request
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.strategy import Strategy
from openstrawberry.trace import Trace
from tests.making import Memory
from tests.strategies.growing import by_seed
from tests.strategies.test_search import driven, shape

SIDE_BY_SIDE: list[tuple[str, dict[str, Any]]] = [
    ("vote", {"k": 6}),
    ("vote", {"k": 6, "early": "confident"}),
    ("vote", {"k": 3, "base": "beam", "base_options": {"depth": 2}}),
    ("beam", {"rollouts": 2, "depth": 3, "enough": 2}),
    ("mcts", {"leaves": 2, "iterations": 5, "enough": 2, "actions": "all"}),
    ("omega", {"max_branches": 30}),
    ("journey", {"mode": "all", "max_branches": 60}),
]
every_one = pytest.mark.parametrize(("name", "options"), SIDE_BY_SIDE, ids=str)


def unhurried(seed: int, asked: list[str], dies_at: int = 0) -> ScriptedModel:
    """Says what the seed of a request decides, after a while that `seed` decides. Many of its replies are alike."""
    random = Random(seed)

    async def answer(request: Request) -> Reply:
        asked.append(request.key)
        if len(asked) == dies_at:
            raise KeyboardInterrupt
        for _ in range(random.randrange(20)):
            await asyncio.sleep(0)
        return by_seed(request)

    return ScriptedModel(answer=answer)


def made(strategy: Strategy, seed: int, record: Memory | None = None, asked: list[str] | None = None) -> Trace:
    return driven(strategy, unhurried(seed, [] if asked is None else asked), record)


@every_one
def test_in_whatever_order_replies_come_the_trace_is_the_same(name: str, options: dict[str, Any]) -> None:
    strategy = open_strategy(name, options)
    first = made(strategy, seed=0)
    for seed in range(1, 6):
        other = made(strategy, seed)
        assert shape(other) == shape(first)
        assert (other.answer, [turn.content for turn in other.chat]) == (
            first.answer,
            [turn.content for turn in first.chat],
        )


@every_one
def test_a_replay_asks_for_nothing_that_was_not_asked_before(name: str, options: dict[str, Any]) -> None:
    strategy, record = open_strategy(name, options), Memory()
    first, asked = made(strategy, 0, record), list[str]()
    again = made(strategy, 1, record, asked)
    assert asked == []
    assert shape(again) == shape(first)


@pytest.mark.parametrize("dies_at", [3, 10, 21])
@every_one
def test_what_was_killed_goes_on_and_pays_for_nothing_twice(name: str, options: dict[str, Any], dies_at: int) -> None:
    strategy, record, asked = open_strategy(name, options), Memory(), list[str]()
    whole = made(strategy, 0)
    with pytest.raises(KeyboardInterrupt):
        driven(strategy, unhurried(2, asked, dies_at), record)
    kept = set(record.replies)
    rest: list[str] = []
    trace = made(strategy, 3, record, rest)
    assert shape(trace) == shape(whole)
    assert not kept & set(rest)
    assert kept | set(rest) == {turn.key for turn in whole.messages if turn.model and turn.copy_of < 0}
