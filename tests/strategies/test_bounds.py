"""How many replies a vote or a search takes at most is known before it begins."""

from typing import Any

import pytest

from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy
from openstrawberry.strategies.strategy import Ask, Task
from tests.making import PROBLEM
from tests.strategies.playing import play

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("strawberry", {}, "brief"),
    ("vote", {"k": 3}, "brief"),
    ("vote", {"k": 3, "weight": "judge", "base": "zero-shot"}, "full"),
    ("vote", {"k": 2, "base": "beam", "base_options": {"depth": 2}}, "brief"),
    ("beam", {}, "full"),
    ("beam", {"depth": 3}, "brief"),
    ("beam", {"value": "prm", "width": 3}, "brief"),
    ("critic", {}, "full"),
    ("write-tests", {}, "full"),
    ("llamaberry", {}, "full"),
    ("mcts", {"iterations": 5}, "full"),
    ("mcts", {"iterations": 5, "reflect": True, "rollouts": 2}, "brief"),
]


@pytest.mark.parametrize(("name", "options", "prompt_set"), CASES, ids=str)
def test_the_most_replies_bound_a_trace_that_never_answers_and_are_not_far_off(
    name: str, options: dict[str, Any], prompt_set: str
) -> None:
    limit = {"max_turns": 6} if "max_turns" in STRATEGIES.load(name).model_fields else {}
    strategy = open_strategy(name, {**options, **limit})
    task = Task(PROBLEM, load_prompts(name, prompt_set, uses=strategy.uses))
    asked: list[Ask] = []
    play(strategy, task, lambda ask: f"I take step {len(asked)}.\nAnd wait.", asked=asked)
    most = strategy.most_replies(task.prompts)
    assert most is not None
    assert most / 2 <= len(asked) <= most
    assert strategy.most_replies(task.prompts, 3) <= most
