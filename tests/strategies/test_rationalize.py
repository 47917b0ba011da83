"""A failed problem tried again with its answer as a hint: what is kept, what is not, and what learns from it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from openstrawberry.chat import Message, Reply, Request, Usage
from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.errors import SetupError
from openstrawberry.evaluation.methods import read_method
from openstrawberry.generate import Run
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.replies import Recorded
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.selection.options import Selecting
from openstrawberry.selection.picking import sure_texts
from openstrawberry.selection.select import select
from openstrawberry.settings import Settings
from openstrawberry.store.reading import Shelf
from openstrawberry.store.summary import Summary
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.rationalize import HINTED, HintedProblem, Rationalize, hinted
from openstrawberry.strategies.single import ChainOfThought
from openstrawberry.strategies.strategy import Ask, Steps, Strategy, Task
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.servers.dialects import Said, openai
from tests.servers.http import Answer, Received, Server
from tests.strategies.playing import hostile, play, scripted

WRONG = "There is one in straw and one in berry, so two. <final_answer>2</final_answer>"
RIGHT = "Straw has one r, and berry has two of them, r and r, which makes three. <final_answer>3</final_answer>"
LEAKY = "The given answer is 3, and straw has one, berry two, so it fits. <final_answer>3</final_answer>"
ASKED = Problem(question="A farmer has 5 sheep and sells 2. How many are left?", answer="3", verifier="numeric")
HINT = "the correct answer is 3"


def task_for(base: str = "cot", set_name: str = "full", **more: Any) -> Task:
    return Task(PROBLEM, load_prompts("rationalize", set_name, uses=[base]), **more)


def said(task: Task) -> list[tuple[str, str, int, str]]:
    """Channel, role, parent and content of every node."""
    return [
        (node.channel, node.role, node.parent.index if node.parent else -1, node.content) for node in task.tree.nodes
    ]


def test_the_golden_trace() -> None:
    task = task_for()
    answer = play(Rationalize(), task, scripted([WRONG, RIGHT]))
    cot = load_prompts("cot", "full").text("user")
    asked = cot.replace("{question}", PROBLEM.question)
    shown = cot.replace("{question}", hinted(task).question)
    assert HINT in shown
    assert said(task) == [
        ("main", "user", -1, asked),
        ("main", "assistant", 0, WRONG),
        ("hint", "user", -1, shown),
        ("hint", "assistant", 2, RIGHT),
        ("main", "assistant", 0, RIGHT),
    ]
    assert answer.node.messages == (Message(role="user", content=asked), Message(role="assistant", content=RIGHT))
    assert answer.node.copy_of is task.tree.nodes[3]
    assert (answer.text, answer.stop, answer.method, answer.detail) == ("3", "final_answer", "final_answer", HINTED)


def test_what_is_solved_alone_is_never_hinted() -> None:
    task = task_for()
    answer = play(Rationalize(), task, scripted([RIGHT]))
    assert (answer.text, answer.detail, len(task.tree.nodes)) == ("3", "", 2)


@pytest.mark.parametrize("set_name", ["full", "brief"])
def test_over_a_whole_game_the_kept_turns_are_those_of_an_unhinted_one(set_name: str) -> None:
    task = task_for("strawberry", set_name)
    steps = ["straw has one r.", "berry has two of them.", "One and two are three.", "<final_answer>3</final_answer>"]
    lost = ["It has two, I think.", "<final_answer>2</final_answer>"]
    answer = play(Rationalize(base="strawberry"), task, scripted([*lost, *steps]))
    path = answer.node.path()
    assert [node.content for node in path if node.role == "assistant"] == steps
    assert {node.channel for node in path} == {"main"}
    own = [node for node in task.tree.nodes if node.channel == "main"][:2]
    assert path[:2] == own  # the rules and the first turn are the own try's: the first replies are siblings
    question = hinted(task).question.removeprefix(PROBLEM.question)
    assert not any(question in node.content for node in path)
    shown = [node for node in task.tree.nodes if node.channel == "hint"]
    assert [node.content for node in shown][2:] == [node.content for node in path][2:]
    assert shown[0].content == path[0].content  # the same rules were drawn for both


def test_replies_that_give_the_hint_away_are_asked_for_again() -> None:
    task = task_for()
    asked: list[Ask] = []
    answer = play(Rationalize(), task, scripted([WRONG, LEAKY, LEAKY, RIGHT]), asked=asked)
    assert (answer.text, answer.node.content) == ("3", RIGHT)
    assert len(asked) == 4
    assert not any(LEAKY in node.content for node in task.tree.nodes if node.channel == "main")


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_one_that_always_gives_it_away_is_given_up_as_unsolved(retries: int) -> None:
    task = task_for()
    answer = play(Rationalize(retries=retries), task, scripted([WRONG, LEAKY]))
    assert (answer.text, answer.node.content, answer.node.index) == ("2", WRONG, 1)
    assert answer.detail == "solved with a hint, but the text gives it away: it says 'given answer'"
    assert [node.content for node in task.tree.nodes if node.reply] == [WRONG, *[LEAKY] * (1 + retries)]


def test_thoughts_give_it_away_too() -> None:
    thinking = Reply(content=RIGHT, reasoning="The user told me the answer already.", finish_reason="stop")
    answer = play(Rationalize(retries=0), task_for(), scripted([WRONG, thinking]))
    assert (answer.text, "gives it away" in answer.detail) == ("2", True)


def test_what_is_not_solved_with_the_hint_either_is_not_asked_again() -> None:
    task = task_for()
    answer = play(Rationalize(), task, scripted([WRONG]))
    assert (answer.text, answer.detail) == ("2", "not solved with the answer as a hint either")
    assert sum(node.reply is not None for node in task.tree.nodes) == 2


def test_without_a_known_answer_or_after_a_refusal_there_is_no_hint() -> None:
    unknown = Task(PROBLEM.model_copy(update={"answer": ""}), load_prompts("rationalize", "full", uses=["cot"]))
    play(Rationalize(), unknown, scripted(["Hm. <final_answer>2</final_answer>"]))
    refused = task_for()
    answer = play(Rationalize(), refused, lambda ask: Reply(content="I will not.", finish_reason="filter"))
    assert answer.stop == "refused"
    assert len(unknown.tree.nodes) == len(refused.tree.nodes) == 2


def test_a_hinted_problem_is_the_same_problem_with_another_question() -> None:
    shown = hinted(task_for())
    assert (shown.id, shown.answer, shown.verifier) == (PROBLEM.id, PROBLEM.answer, PROBLEM.verifier)
    assert isinstance(shown, HintedProblem)
    assert PROBLEM.question in shown.question
    assert HINT in shown.question


@pytest.mark.parametrize("wording", ["{question}", "The answer is {answer}."])
def test_a_wording_without_its_places_is_one_sentence(wording: str) -> None:
    prompts = PromptSet("mine", {"hinted": wording}, {"cot": load_prompts("cot", "full")})
    with pytest.raises(SetupError, match=r"has to say \{question\} and \{answer\}"):
        play(Rationalize(), Task(PROBLEM, prompts), scripted([WRONG]))


def test_a_base_that_rewords_the_question_is_refused_before_a_hint_is_kept() -> None:
    loud = PromptSet("mine", {"user": "Solve it: {question}"})
    task = Task(PROBLEM, PromptSet("mine", {"hinted": "{question} ({answer})"}, {"cot": loud}))

    class Shouting(ChainOfThought):
        def solve(self, task: Task) -> Steps[Any]:
            shouted = task.problem.model_copy(update={"question": task.problem.question.upper()})
            return (yield from super().solve(replace(task, problem=shouted)))

    class Rewording(Rationalize):
        @property
        def member(self) -> Strategy:
            return Shouting()

    with pytest.raises(SetupError, match="choose another with --set base"):
        play(Rewording(), task, scripted([WRONG, RIGHT]))


def test_turns_of_the_base_are_known_to_selection(tmp_path: Path) -> None:
    config = {"prompts": None, "options": {"base": "strawberry"}}
    (tmp_path / "run.json").write_text(json.dumps({"identity": {"prompts": "rationalize/brief"}, "config": config}))
    assert sure_texts(Shelf(tmp_path)) == load_prompts("strawberry", "brief").pool("sure")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"base": "rationalize"}, "--set base=cot"),
        ({"base": "cott"}, "did you mean 'cot'"),
        ({"base_options": {"turns": 3}}, "no option of the strategy cot"),
        ({"base": "strawberry", "base_options": {"max_turns": 0}}, "--set max_turns does not fit"),
        ({"retries": -1}, "--set retries does not fit"),
    ],
    ids=str,
)
def test_wrong_options_are_one_sentence(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SetupError, match=told):
        open_strategy("rationalize", options)


def test_common_flags_mean_the_base() -> None:
    strategy = open_strategy("rationalize", {"base": "strawberry", "max_turns": 7, "temperature": 0.5})
    assert strategy.member.model_dump(include={"max_turns", "temperature"}) == {  # type: ignore[attr-defined]
        "max_turns": 7, "temperature": 0.5,
    }  # fmt: skip


def test_an_answer_that_looks_like_a_place_is_not_filled_in() -> None:
    odd = PROBLEM.model_copy(update={"answer": "{question}"})
    shown = hinted(Task(odd, load_prompts("rationalize", "brief", uses=["cot"])))
    assert shown.question == f"{PROBLEM.question}\n{{question}}"


@pytest.mark.parametrize("base", ["strawberry", "few-shot", "g1", "llamaberry", "distill", "deep-think"])
def test_whatever_comes_back_over_any_base_it_ends_and_keeps_no_hint(base: str) -> None:
    strategy = Rationalize(base=base, retries=2)
    for seed in range(12):
        task = task_for(base, seed=seed)
        answer = play(strategy, task, hostile(Random(seed)))
        assert answer.node.channel == "main"
        assert not any(HINT in node.content for node in answer.node.path() if node.reply is None)


def scripted_setting(record: Memory, **fields: Any) -> tuple[Setting, ScriptedModel]:
    def answer(request: Request) -> Reply:
        text = RIGHT if HINT in request.messages[0].content else WRONG
        return Reply(content=text, finish_reason="stop", model="m", usage=Usage(input=50, output=20), cost_usd=0.25)

    model = ScriptedModel(answer=answer, spec="scripted:test")
    prompts = load_prompts("rationalize", "full", uses=["cot"])
    return Setting(Rationalize(), prompts, {"solver": Recorded(model, record)}, Verifiers(), identity="run"), model


def test_a_hinted_trace_says_so_and_is_paid_for_once() -> None:
    record = Memory()
    setting, model = scripted_setting(record)
    trace = asyncio.run(drive(setting, PROBLEM))
    assert (trace.hinted, trace.answer, trace.verdict.status, trace.solved) == (True, "3", "correct", False)
    assert HINTED in trace.verdict.detail
    assert (trace.usage.input, trace.usage.output, trace.cost_usd) == (100, 40, 0.5)
    assert [message.content for message in trace.chat][1:] == [RIGHT]
    assert not any(HINT in message.content for message in trace.chat)
    kept, shown = trace.messages[trace.path[-1]], trace.messages[3]
    assert (kept.copy_of, kept.key, kept.model, kept.usage.output) == (3, shown.key, shown.model, -1)
    assert Trace.model_validate_json(trace.to_line()) == trace
    again, silent = scripted_setting(record)
    replayed = asyncio.run(drive(again, PROBLEM))
    assert replayed.messages == trace.messages
    assert (len(model.requests), len(silent.requests)) == (2, 0)


def generate(folder: Path, **more: Any) -> Summary:
    """A run against a server that never knows the answer by itself, through a real SDK."""

    def unknowing(received: Received) -> Answer:
        told = HINT.encode() in received.body
        return openai(Said(RIGHT if told else WRONG), stream=False)

    async def session() -> Summary:
        async with Server(unknowing) as server:
            config = RunConfig(model=f"compat:served@{server.url}/v1", strategy="rationalize", out=folder / "run",
                               samples=2, attempts=1, **more)  # fmt: skip
            run = Run(config, Settings({}), problems=[ASKED])
            try:
                return await run.run()
            finally:
                await run.close()

    return asyncio.run(session())


def test_it_is_learnt_from_as_if_it_had_been_found_and_does_not_count_as_solved(tmp_path: Path) -> None:
    summary = generate(tmp_path)
    assert (summary.statuses, summary.hinted, summary.solved_always) == ({"correct": 2}, 2, 0)
    selection = select([tmp_path / "run"], Selecting(format="sft"))
    (row,) = selection
    assert (row["hinted"], row["messages"][-1]["content"]) == (True, RIGHT)
    assert HINT not in json.dumps(row)
    (size,) = selection.report.sizes
    assert (size.right, size.wrong, size.other) == (0, 0, 2)
    (flat,) = select([tmp_path / "run"], Selecting(format="sft", rendering="flat"))
    assert flat["messages"][0]["content"] == ASKED.question


def test_its_own_failed_try_is_what_its_first_reply_is_preferred_to(tmp_path: Path) -> None:
    generate(tmp_path)
    (row,) = select([tmp_path / "run"], Selecting(unit="step", band_only=False))
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == (RIGHT, WRONG)
    assert row["hinted"] is True
    assert HINT not in json.dumps(row)


def test_hinted_traces_can_be_left_out(tmp_path: Path) -> None:
    generate(tmp_path)
    with pytest.raises(SetupError):
        select([tmp_path / "run"], Selecting(format="sft", hinted=False))


def test_a_method_that_sees_the_answers_measures_nothing() -> None:
    with pytest.raises(SetupError, match="looks at the known answers"):
        read_method("rationalize:base=strawberry")
