"""Generators make problems of the next sizes, with computed answers, and never one that is held out."""

from random import Random

import pytest

from openstrawberry.evolve.generators import STEPS, can_generate, computed, harder, plain
from openstrawberry.evolve.operators import Operator
from openstrawberry.problems.families import recognise
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem

COUNT = Problem(question="How many r's are in strawberry?", answer="3", verifier="numeric")
SUM = Problem(question="What is 48 + 67?", answer="wrong on purpose", verifier="numeric")


@pytest.mark.parametrize("operator", STEPS)
@pytest.mark.parametrize("problem", [COUNT, SUM])
def test_the_size_grows_as_the_operator_says_and_the_answer_is_computed(problem: Problem, operator: Operator) -> None:
    before = recognise(problem.question)
    for seed in range(50):
        found = harder(problem, operator, Random(seed))
        assert found is not None
        item = recognise(found.question)
        assert item is not None
        assert before is not None
        assert (item.family, item.size) == (before.family, before.size + STEPS[operator])
        assert item.split == "train"
        assert found.answer == item.answer
        assert found.difficulty == item.size


def test_words_end_somewhere() -> None:
    longest = Problem(question=f"How many a's are in {'a' * 24}?", answer="24")
    assert harder(longest, "deepen", Random(0)) is None
    assert harder(longest, "broaden", Random(0)) is not None


def test_a_question_of_a_family_is_computed_whoever_wrote_it() -> None:
    found = computed("how much is 120 plus 7?")
    assert found is not None
    assert (found.answer, found.verifier) == ("127", "numeric")
    assert computed("Why is the sky blue?") is None
    assert computed(f"What is {'9' * 5000} + 1?") is None  # longer than Python reads


def test_one_item_in_two_wordings_is_one_problem() -> None:
    again = Problem(question="Add 48 and 67.", answer="115")
    assert plain(again) == plain(SUM)


def test_a_gym_task_goes_up_its_levels_and_keeps_its_scorer() -> None:
    pytest.importorskip("reasoning_gym")
    given = next(load_problems("gym:chain_sum?size=1&level=1"))
    assert can_generate(given)
    found = harder(given, "deepen", Random(1))
    assert found is not None
    kept = found.meta()["gym"]
    assert (kept["task"], kept["config"]["level"], found.verifier) == ("chain_sum", "2", "gym")
    assert found.difficulty == 2
    same = harder(given, "broaden", Random(1))
    assert same is not None
    assert same.meta()["gym"]["config"]["level"] == "1"
    assert same.question != given.question


def test_metadata_that_only_looks_like_a_gym_tasks_is_not_trusted() -> None:
    odd = Problem(question="Why?", answer="so", verifier="gym", metadata='{"gym": {"task": 3}}')
    assert not can_generate(odd)
    assert not can_generate(odd.model_copy(update={"metadata": '{"gym": null}'}))
