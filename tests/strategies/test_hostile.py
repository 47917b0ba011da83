"""No sequence of replies makes any strategy raise, go on for ever or wait for nothing."""

from random import Random

import pytest

from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy
from openstrawberry.strategies.strategy import Task
from tests.making import PROBLEM
from tests.strategies.playing import hostile, play

SEEDS = range(40)


@pytest.mark.parametrize("name", STRATEGIES.table)
def test_whatever_comes_back_it_ends_with_an_answer_of_this_tree(name: str) -> None:
    strategy = open_strategy(name, {})
    for seed in SEEDS:
        random = Random(seed)
        task = Task(PROBLEM, load_prompts(name, random.choice(("full", "brief")), uses=strategy.uses), seed=seed)
        answer = play(strategy, task, hostile(random), score=lambda node: random.random(), order=random)  # noqa: B023
        assert task.tree.nodes[answer.node.index] is answer.node
        assert answer.node.channel == "main"
