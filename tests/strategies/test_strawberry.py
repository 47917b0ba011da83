"""The step game, answered by hand."""

import itertools

import pytest

from openstrawberry.chat import Reply
from openstrawberry.errors import SetupError
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.strategy import Task
from openstrawberry.strategies.strawberry import Strawberry
from tests.making import PROBLEM
from tests.strategies.playing import play, scripted

FULL, BRIEF = load_prompts("strawberry", "full"), load_prompts("strawberry", "brief")


def users(task: Task) -> list[str]:
    return [node.content for node in task.tree.nodes if node.role == "user"]


def test_an_answer_ends_the_game_asked_for_or_not() -> None:
    task = Task(PROBLEM, BRIEF)
    answer = play(Strawberry(), task, scripted(["s is not r.", "t is not r.", "<final_answer>3</final_answer>"]))
    assert (answer.text, answer.stop) == ("3", "final_answer")
    assert len(users(task)) == 3


def test_the_first_turn_asks_for_a_representation_in_the_full_set() -> None:
    task = Task(PROBLEM, FULL)
    play(Strawberry(max_turns=1), task, scripted(["…"]))
    (first,) = users(task)
    assert PROBLEM.question in first
    assert "<representation>" in first
    assert "<certainty>" in first


def test_the_schedule_decides_in_its_stated_order() -> None:
    task = Task(PROBLEM, FULL)
    play(Strawberry(max_turns=47), task, scripted(["hm"]))
    turns = users(task)
    kinds = {
        5: "sure",
        7: "hypotheses",
        9: "final",
        11: "analogy",
        13: "metacognition",
        17: "devil",
        19: "hint",
        23: "recap",
        18: "final",
        35: "sure",
        45: "sure",
        46: "recap",
    }  # 35: 5 before 7; 45: 5 before 9
    for turn, kind in kinds.items():
        assert turns[turn] in FULL.pool(kind), f"turn {turn} should be {kind}"


def test_between_scheduled_turns_the_prompts_are_random_but_repeatable() -> None:
    first, again, other = Task(PROBLEM, FULL), Task(PROBLEM, FULL), Task(PROBLEM, FULL, sample=1)
    for task in (first, again, other):
        play(Strawberry(max_turns=30), task, scripted(["hm"]))
    assert users(first) == users(again)
    assert users(first) != users(other)
    assert len(set(users(first))) > 10


def test_the_system_prompt_varies_between_problems_and_is_one_for_all_samples_of_a_problem() -> None:
    systems = set()
    for number in range(20):
        problem = PROBLEM.model_copy(update={"question": f"{PROBLEM.question} {number}"})
        mine = set()
        for sample in range(4):
            task = Task(problem, FULL, sample=sample)
            play(Strawberry(max_turns=12), task, scripted(["hm"]))
            mine.update(node.content for node in task.tree.nodes if node.role == "system")
        assert len(mine) == 1
        systems.update(mine)
    assert systems == set(FULL.pool("system"))


def test_the_final_request_moves_with_final_every_and_can_be_off() -> None:
    task = Task(PROBLEM, BRIEF)
    play(Strawberry(max_turns=13, final_every=4), task, scripted(["hm"]))
    finals = [turn for turn, text in enumerate(users(task)) if text in BRIEF.pool("final")]
    assert finals == [4, 8, 12]
    task = Task(PROBLEM, BRIEF)
    play(Strawberry(max_turns=30, final_every=0), task, scripted(["hm"]))
    assert not set(users(task)) & set(BRIEF.pool("final"))


def test_the_temperature_climbs_and_stops_at_its_top_unless_it_is_fixed() -> None:
    ramp = [Strawberry().temperature_at(turn) for turn in (0, 9, 10, 35, 69, 70, 500)]
    assert ramp == [0.3, 0.3, 0.4, 0.6, 0.9, 1.0, 1.0]
    assert {Strawberry(temperature=0.7).temperature_at(turn) for turn in range(50)} == {0.7}


def test_a_conversation_only_grows() -> None:
    task = Task(PROBLEM, FULL)
    play(Strawberry(max_turns=20), task, scripted(["one", "two", "three"]))
    replies = [node for node in task.tree.nodes if node.role == "assistant"]
    for before, after in itertools.pairwise(replies):
        assert after.messages[: len(before.messages)] == before.messages


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00",
        "<final_answer>",
        "<final_answer></final_answer>",
        "</final_answer>3",
        "<turn_title>",
        "{question}",
        "é" * 50,
        "<think><final_answer>3</final_answer>",
    ],
)
def test_no_reply_makes_it_raise_or_pass_its_cap(text: str) -> None:
    task = Task(PROBLEM, FULL)
    answer = play(Strawberry(max_turns=25), task, scripted([text]))
    assert answer.stop in ("max_turns", "final_answer")
    assert len(users(task)) <= 25


def test_a_refusal_is_not_an_attempt() -> None:
    refusal = Reply(content="I cannot.", finish_reason="filter")
    assert play(Strawberry(), Task(PROBLEM, BRIEF), scripted([refusal])).stop == "refused"


@pytest.mark.parametrize("schedule", [[{"evry": 5}], ["sure"], 5, None, {"every": "five", "pool": "sure"}])
def test_a_rule_that_cannot_be_read_is_one_sentence(schedule: object) -> None:
    broken = PromptSet("mine", {**BRIEF.entries, "schedule": schedule})
    with pytest.raises(SetupError, match=r"write it as \{every: 5, pool: sure\}"):
        play(Strawberry(), Task(PROBLEM, broken), scripted(["hm"]))


def test_options_are_checked_by_name_and_value() -> None:
    with pytest.raises(SetupError, match="did you mean 'max_turns'"):
        open_strategy("strawberry", {"max_turn": 3})
    with pytest.raises(SetupError, match="--set max_turns does not fit"):
        open_strategy("strawberry", {"max_turns": -3})
    with pytest.raises(SetupError, match="did you mean 'strawberry'"):
        open_strategy("strawbery", {})


def test_replies_that_are_cut_again_and_again_end_a_lost_game() -> None:
    task = Task(PROBLEM, BRIEF)
    cut = Reply(content="1 and 2 and 3 and", finish_reason="length")
    answer = play(Strawberry(max_turns=50), task, scripted([cut]))
    assert (answer.text, answer.stop) == ("", "truncated")
    assert len(users(task)) == 3
    whole = play(Strawberry(max_turns=50), Task(PROBLEM, BRIEF), scripted(["1 and 2 and 3 and"]))
    assert whole.stop == "max_turns"
