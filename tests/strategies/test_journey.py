"""The walk through a tree, answered by hand: what the long thought holds, and how it is told from what models wrote."""

import asyncio
import itertools
from pathlib import Path
from random import Random
from typing import Any

import pytest

from openstrawberry.chat import Reply, Request
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.errors import SetupError
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.replies import Recorded
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import load_prompts
from openstrawberry.selection.options import Selecting
from openstrawberry.selection.select import select
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.journey import Journey
from openstrawberry.strategies.omega import Omega
from openstrawberry.strategies.strategy import Answer, Ask, Strategy, Task
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.selection.making import write_run
from tests.strategies.playing import hostile, play
from tests.strategies.test_omega import Slipping

BRIEF = load_prompts("journey", "brief", uses=["strawberry"])
FULL = load_prompts("journey", "full", uses=["strawberry"])


def walked(says: Any, on: Task | None = None, **options: Any) -> tuple[Answer, list[str]]:
    """The answer, and the lines of its thought."""
    task = on or Task(PROBLEM, BRIEF)
    answer = play(Journey(**{"max_turns": 30, "max_branches": 500, **options}), task, says)
    assert task.tree.nodes[answer.node.index] is answer.node
    return answer, answer.node.content.splitlines()[1:-2]


def test_a_golden_journey() -> None:
    task = Task(PROBLEM, BRIEF)
    answer, _ = walked(Slipping(2, 1), task, branches=2, searches=1, final_every=0)
    repair = task.random("repair", 0).choice(BRIEF.pool("repair")).replace("{step}", "step 0 1")
    assert [(message.role, message.content) for message in answer.node.messages] == [
        ("user", PROBLEM.question),
        (
            "assistant",
            f"<think>\nstep 0 1\nslip 3\n{repair}\nstep 1 7\n</think>\n<final_answer>3</final_answer>",
        ),
    ]
    assert (answer.text, answer.stop, answer.node.channel, answer.node.reply) == ("3", "final_answer", "main", None)


@pytest.mark.parametrize("prompts", [BRIEF, FULL], ids=["brief", "full"])
def test_a_wrong_turn_goes_to_its_first_bad_step_and_comes_back(prompts: Any) -> None:
    task = Task(PROBLEM, prompts)
    _, lines = walked(Slipping(8, 5), task, searches=1)
    slip = next(number for number, line in enumerate(lines) if line.startswith("slip"))
    assert sum(line.startswith("slip") for line in lines) == 1
    back = lines[slip + 1]
    assert any(back.startswith(text.partition("{step}")[0]) for text in prompts.pool("repair"))
    assert back.endswith(next(line for line in reversed(lines[:slip]) if line.startswith("step 4")))
    good = [line for line in lines if line.startswith("step")]
    assert [line.split()[1] for line in good] == list("01234567")  # it forks right before the slip: nothing twice


def test_a_wrong_turn_at_the_first_step_begins_again() -> None:
    _, lines = walked(Slipping(3, 0), searches=1)
    assert lines[0].startswith("slip")
    assert lines[1] in BRIEF.pool("restart")
    assert [line.split()[1] for line in lines[2:]] == ["0", "1", "2"]


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_no_more_wrong_turns_are_kept_than_asked_for(most: int) -> None:
    answer, lines = walked(Slipping(6, 3, slips=3), branches=8, searches=8, detours=most)
    assert sum(line.startswith("slip") for line in lines) == most
    assert answer.text == "3"


def test_what_was_never_searched_is_no_wrong_turn() -> None:
    """A step that reads otherwise need not be bad: only one that is known to be may be called so."""
    _, lines = walked(Slipping(6, 3), searches=0)
    assert [line.split()[:2] for line in lines] == [["step", str(number)] for number in range(6)]


def test_a_step_after_which_a_few_rollouts_failed_by_bad_luck_is_not_called_wrong() -> None:
    """One of four is right from the question on: that four fail later on is no wonder, and says little."""

    answers = iter("3" + "4" * 99)

    def unlucky(ask: Ask) -> str:
        said = sum(node.role == "assistant" for node in ask.node.path())
        return f"step {said} {next(words)}" if said < 4 else f"<final_answer>{next(answers)}</final_answer>"

    words = itertools.count()
    _, sceptical = walked(unlucky, searches=1)
    assert len(sceptical) == 4
    answers, words = iter("3" + "4" * 99), itertools.count()
    _, rash = walked(unlucky, searches=1, doubt=1)
    assert len(rash) > 5


def test_where_nothing_came_out_right_it_ends_like_an_ordinary_game() -> None:
    task = Task(PROBLEM, BRIEF)
    answer = play(Journey(), task, Slipping(3, 1, slips=99))
    assert (answer.text, answer.stop) == ("4", "final_answer")
    assert answer.node.reply is not None
    assert answer.node.root is task.tree.nodes[0]


def test_titles_tags_and_refusals_to_answer_are_left_out_of_the_thought() -> None:
    says = ["<thinking>Big</thinking> shift. <turn_title>A shift</turn_title>", "Not yet.",
            "<final_answer>3</final_answer>"]  # fmt: skip
    _, lines = walked(lambda ask: says[min(2, sum(node.role == "assistant" for node in ask.node.path()))])
    assert lines == ["Big shift."]


def test_an_answer_at_once_needs_no_thought() -> None:
    answer, _ = walked(lambda ask: "<final_answer>3</final_answer>")
    assert answer.node.content == "<final_answer>3</final_answer>"


def smoothing(reply: Reply | str) -> tuple[Answer, Task, list[Ask]]:
    task, asked, slipping = Task(PROBLEM, BRIEF), list[Ask](), Slipping(4, 2)
    answer = play(
        Journey(smooth="model", searches=1),
        task,
        lambda ask: reply if ask.node.channel == "critic" else slipping(ask),
        asked=asked,
    )
    return answer, task, asked


def test_a_model_may_smooth_the_thought_in_a_side_conversation() -> None:
    answer, _, asked = smoothing("First I looked, erred, and saw it.")
    assert (
        answer.node.content == "<think>\nFirst I looked, erred, and saw it.\n</think>\n<final_answer>3</final_answer>"
    )
    (ask,) = [each for each in asked if each.node.channel == "critic"]
    assert ask.role == "solver"
    assert PROBLEM.question in ask.node.content
    assert "slip" in ask.node.content
    assert all(node.channel == "main" for node in answer.node.path())
    assert not any(node.channel == "critic" for each in asked if each is not ask for node in each.node.path())
    assert answer.node.root.content == PROBLEM.question


def test_what_a_model_thought_before_it_rewrote_the_draft_is_no_part_of_the_thought() -> None:
    answer, _, _ = smoothing("<think>I shall make the joins smooth.</think>First I looked, and erred.")
    assert answer.node.content.splitlines()[1] == "First I looked, and erred."
    wrapped, _, _ = smoothing("<think>First I looked, and erred.</think>")
    assert wrapped.node.content.splitlines()[1] == "First I looked, and erred."


@pytest.mark.parametrize(
    "reply",
    ["", "  ", "So it is <final_answer>7</final_answer>", Reply(content="I cannot", finish_reason="filter"),
     Reply(content="First I", finish_reason="length")],
)  # fmt: skip
def test_a_smoothed_thought_that_is_cut_empty_or_ends_elsewhere_is_not_taken(reply: Reply | str) -> None:
    answer, _, _ = smoothing(reply)
    assert any(line.startswith("slip") for line in answer.node.content.splitlines())


@pytest.mark.parametrize(
    "options", [{"smooth": "model"}, {"detours": 0}, {"mode": "all", "max_branches": 100}, {"branches": 1}]
)
@pytest.mark.parametrize("prompts", [BRIEF, FULL], ids=["brief", "full"])
def test_no_replies_make_it_raise_with_any_options(options: dict[str, Any], prompts: Any) -> None:
    for seed in range(30):
        task, random = Task(PROBLEM, prompts, seed=seed), Random(seed)
        answer = play(open_strategy("journey", options), task, hostile(random), order=random)
        assert task.tree.nodes[answer.node.index] is answer.node
        assert answer.node.channel == "main"


ASKED = Problem(question="How many of four corners are left?", answer="3", verifier="numeric")


def driven(strategy: Strategy, says: Slipping, sample: int = 0) -> Trace:
    """One trace by the driver, with a scripted model behind its real wrappers."""

    def answer(request: Request) -> Reply:
        task, node = Task(PROBLEM, BRIEF), None
        for message in request.messages:
            node = task.tree.add(message.role, message.content, node)
        assert node is not None
        return Reply(content=says(Ask(node)), finish_reason="stop", model="scripted")

    model = Recorded(ScriptedModel(answer=answer, spec="scripted:test"), Memory())
    return asyncio.run(drive(Setting(strategy, BRIEF, {"solver": model}, Verifiers()), ASKED, sample))


def test_the_trace_says_that_no_model_wrote_its_last_reply() -> None:
    made = driven(Journey(searches=1), Slipping(5, 2))
    assert made.correct
    assert made.composed
    assert [(turn.role, turn.model) for turn in (made.messages[index] for index in made.path)] == [
        ("user", ""),
        ("assistant", ""),
    ]
    assert any(turn.value == 0 and turn.visits for turn in made.messages)
    assert not driven(Omega(), Slipping(5, 2)).composed
    assert not driven(Journey(), Slipping(5, 2, slips=99)).composed


@pytest.mark.parametrize("form", ["sft", "kto", "sharegpt"])
def test_a_composed_reply_is_learnt_only_by_choice_and_then_against_the_bare_question(
    tmp_path: Path, form: Any
) -> None:
    run = write_run(tmp_path / "run", [driven(Journey(searches=1), Slipping(5, 2))])
    with pytest.raises(SetupError, match="--composed"):
        select([run], Selecting(format=form))
    found = select([run], Selecting(format=form, composed=True))
    (row,) = found
    told = row.get("messages") or row.get("conversations") or [*row["prompt"], *row["completion"]]
    assert len(told) == 2
    assert (told[0].get("content") or told[0]["value"]) == ASKED.question
    assert (told[1].get("content") or told[1]["value"]).startswith("<think>\nstep 0")
    assert (row.get("given", 1), row["composed"]) == (1, True)


def test_the_steps_of_a_journeys_tree_have_labels_and_the_composed_reply_has_none(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [driven(Journey(searches=1), Slipping(5, 2))], "journey/brief")
    for row in select([run], Selecting(format="prm")):
        assert row["prompt"][0]["role"] == "system"
        assert not any("<think>" in text for text in row["completions"])
