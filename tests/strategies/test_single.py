"""The plain baselines, answered by hand."""

import pytest

from openstrawberry.chat import Reply
from openstrawberry.errors import SetupError
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.strategy import Task
from tests.making import PROBLEM
from tests.strategies.playing import play, scripted
from tests.strategies.test_strawberry import users


@pytest.mark.parametrize("name", ["zero-shot", "few-shot", "cot"])
@pytest.mark.parametrize("prompt_set", ["full", "brief"])
def test_one_reply_and_its_answer_is_read(name: str, prompt_set: str) -> None:
    task = Task(PROBLEM, load_prompts(name, prompt_set))
    answer = play(open_strategy(name, {}), task, scripted(["Spelled out: three. <final_answer>3</final_answer>"]))
    assert (answer.text, answer.stop, answer.method) == ("3", "final_answer", "final_answer")
    assert sum(node.reply is not None for node in task.tree.nodes) == 1
    assert PROBLEM.question in users(task)[-1]


def test_the_fallback_that_found_an_answer_is_named() -> None:
    answer = play(
        open_strategy("cot", {}),
        Task(PROBLEM, load_prompts("cot", "full")),
        scripted(["I count them.\nThat makes 3 r's."]),
    )
    assert (answer.text, answer.method) == ("3", "last_number")


def test_a_cut_reply_without_a_tagged_answer_is_truncated_not_wrong() -> None:
    task = Task(PROBLEM, load_prompts("cot", "full"))
    cut = Reply(content="first we count 1", finish_reason="length")
    assert play(open_strategy("cot", {}), task, scripted([cut])).stop == "truncated"


def test_few_shot_shows_answered_examples_before_the_question_and_never_the_problem_itself() -> None:
    prompts = load_prompts("few-shot", "brief")
    task = Task(PROBLEM, prompts)
    play(open_strategy("few-shot", {"shots": 2}), task, scripted(["3"]))
    assert [node.role for node in task.tree.nodes] == ["user", "assistant"] * 3
    example = prompts.entries["examples"][0]
    same = PROBLEM.model_copy(update={"question": example["question"], "answer": example["answer"]})
    task = Task(same, prompts)
    play(open_strategy("few-shot", {"shots": 2}), task, scripted(["2"]))
    assert sum(example["question"] in text for text in users(task)) == 1


@pytest.mark.parametrize("examples", [None, [], "three", ["a"], [{"question": "?"}], {"question": "?", "answer": "!"}])
def test_examples_that_cannot_be_read_are_one_sentence(examples: object) -> None:
    prompts = PromptSet("mine", {"user": "{question}", "examples": examples})
    with pytest.raises(SetupError, match="add a list of"):
        play(open_strategy("few-shot", {}), Task(PROBLEM, prompts), scripted(["3"]))
