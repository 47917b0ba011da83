"""Options of every strategy: a value that makes no sense is one sentence, before anything is asked."""

from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy

NUMBERS = [
    (name, option)
    for name in STRATEGIES.table
    for option, field in STRATEGIES.load(name).model_fields.items()
    if field.annotation in (int, float, int | None, float | None)
]


@pytest.mark.parametrize(("name", "option"), NUMBERS, ids=str)
def test_a_number_that_is_negative_endless_or_none_at_all_is_one_sentence(name: str, option: str) -> None:
    for value in (-1e9, float("inf"), float("-inf"), float("nan"), "many", [1]):
        with pytest.raises(SetupError) as refused:
            open_strategy(name, {option: value})
        said = str(refused.value)
        assert f"--set {option} does not fit" in said
        assert said.count(". ") == 0
        assert said.endswith(".")


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("g1", {"min_steps": 30}, "--set max_steps does not fit.*must not be below min_steps"),
        ("omega", {"branches": 50}, "--set max_branches does not fit.*must not be below branches"),
        ("journey", {"branches": 9, "max_branches": 8}, "must not be below branches"),
        ("vote", {"choose": "best"}, "add --set weight=judge"),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_are_one_sentence(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(SetupError, match=told):
        open_strategy(name, options)


def test_whatever_looks_at_the_known_answers_says_so() -> None:
    looking = {name for name in STRATEGIES.table if open_strategy(name, {}).sees_answers}
    assert looking == {"rationalize", "omega", "journey", "write-tests"}
    for name in ("beam", "mcts"):
        assert open_strategy(name, {"value": "check"}).sees_answers
        assert open_strategy("vote", {"base": name, "base_options": {"value": "check"}}).sees_answers
