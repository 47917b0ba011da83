"""JSON steps, answered by hand."""

import json
from random import Random
from typing import Any

import pytest

from openstrawberry.chat import Reply
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.model import Model
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.g1 import G1, REPAIRS, RatedStep, Step
from openstrawberry.strategies.strategy import Ask, Task
from openstrawberry.trace import Trace, title_of
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.models.wires import ANTHROPIC, GEMINI, OLLAMA, OPENAI, Wire, served
from tests.servers.dialects import Said
from tests.servers.http import Received, Server
from tests.strategies.playing import hostile, play, scripted

FULL, BRIEF = load_prompts("g1", "full"), load_prompts("g1", "brief")
FINAL = "The word holds three of them. <final_answer>3</final_answer>"


def step(next_action: str = "continue", title: str = "Spell", **more: Any) -> str:
    return json.dumps({"title": title, "content": "s, t, r, …", "next_action": next_action, **more})


def replies_of(task: Task) -> list[str]:
    return [node.content for node in task.tree.nodes if node.reply]


def test_the_golden_trace() -> None:
    task, asked = Task(PROBLEM, BRIEF), []
    said = [step(), step(title="Count"), step("final_answer", title="Check"), FINAL]
    answer = play(G1(), task, scripted(said), asked=asked)
    form = BRIEF.text("json")
    assert [(message.role, message.content) for message in answer.node.messages] == [
        ("system", BRIEF.text("system")),
        ("user", PROBLEM.question),
        ("assistant", BRIEF.text("opening")),
        ("user", f"Next step?\n\n{form}"),
        ("assistant", said[0]),
        ("user", f"Next step?\n\n{form}"),
        ("assistant", said[1]),
        ("user", f"Next step?\n\n{form}"),
        ("assistant", said[2]),
        ("user", BRIEF.text("final")),
        ("assistant", FINAL),
    ]
    assert (answer.text, answer.stop, answer.method, answer.detail) == ("3", "final_answer", "final_answer", "")
    assert [ask.max_tokens for ask in asked] == [300, 300, 300, 1200]
    assert {ask.temperature for ask in asked} == {0.2}
    assert [ask.response_schema for ask in asked] == [*[Step.model_json_schema()] * 3, None]


def test_a_model_that_answers_too_early_is_sent_back() -> None:
    task = Task(PROBLEM, FULL)
    play(G1(min_steps=3), task, scripted([*[step("final_answer")] * 3, FINAL]))
    users = [node.content for node in task.tree.nodes if node.role == "user"]
    assert len(replies_of(task)) == 4
    assert "taken 1 steps, and at least 3" in users[2]
    assert "taken 2 steps, and at least 3" in users[3]


@pytest.mark.parametrize("most", [3, 7, 25])
def test_a_model_that_never_ends_is_asked_for_its_answer_at_the_cap_and_the_trace_says_so(most: int) -> None:
    task = Task(PROBLEM, FULL)
    answer = play(G1(max_steps=most), task, lambda ask: step() if ask.response_schema else FINAL)
    assert len(replies_of(task)) == most + 1
    assert (answer.text, answer.detail) == ("3", f"stopped after {most} steps")


def test_a_step_that_cannot_be_read_is_asked_for_three_times_more_and_then_ends_the_steps() -> None:
    task = Task(PROBLEM, FULL)
    junk = "I shall go on for ever."
    answer = play(G1(), task, scripted([step(), *[junk] * (1 + REPAIRS), FINAL]))
    assert replies_of(task) == [step(), *[junk] * 4, FINAL]
    assert (answer.text, answer.stop) == ("3", "final_answer")
    assert answer.detail == "step 2 could not be read: there is no JSON in it"


def test_a_repaired_step_is_a_step() -> None:
    task = Task(PROBLEM, FULL)
    answer = play(G1(), task, scripted([step(), "Hm.", step(), step("final_answer"), FINAL]))
    assert (answer.text, answer.detail) == ("3", "")
    (repair,) = [message.content for message in answer.node.messages if "could not read" in message.content]
    assert "there is no JSON in it" in repair


def test_a_refusal_ends_it_at_once() -> None:
    task = Task(PROBLEM, FULL)
    answer = play(G1(), task, lambda ask: Reply(content="No.", finish_reason="filter"))
    assert (answer.stop, len(replies_of(task))) == ("refused", 1)


def test_confidence_is_a_fourth_key_that_has_to_fit() -> None:
    task = Task(PROBLEM, FULL)
    said = [
        step(confidence=90),
        step(),
        step(confidence=300),
        step(confidence=70.5),
        step("final_answer", confidence=1),
    ]
    asked: list[Ask] = []
    answer = play(G1(confidence=True), task, scripted([*said, FINAL]), asked=asked)
    assert asked[0].response_schema == RatedStep.model_json_schema()
    assert FULL.text("confidence") in answer.node.messages[0].content
    assert (answer.text, len(replies_of(task))) == ("3", 6)  # two of the five were repairs
    assert any("confidence: Field required" in message.content for message in answer.node.messages)


@pytest.mark.parametrize("framing", ["deductive", "inductive", "abductive", "analogical"])
@pytest.mark.parametrize("prompts", [FULL, BRIEF], ids=["full", "brief"])
def test_a_framing_stands_in_the_system_prompt(framing: str, prompts: Any) -> None:
    task = Task(PROBLEM, prompts)
    play(open_strategy("g1", {"framing": framing}), task, scripted([step("final_answer"), FINAL]))
    plain = Task(PROBLEM, prompts)
    play(G1(), plain, scripted([step("final_answer"), FINAL]))
    assert task.tree.nodes[0].content == f"{plain.tree.nodes[0].content}\n\n{prompts.text(framing)}"


def test_a_dead_back_end_ends_the_trace_and_is_not_asked_again() -> None:
    asked = []

    def dies(ask: Ask) -> str:
        asked.append(ask)
        raise ProviderError("gone", provider="x", kind="connection")

    with pytest.raises(ProviderError):
        play(G1(), Task(PROBLEM, FULL), dies)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "options",
    [{"confidence": True}, {"framing": "abductive", "max_steps": 3}, {"min_steps": 1, "max_steps": 1}],
    ids=str,
)
def test_whatever_comes_back_it_ends_within_its_cap(options: dict[str, Any]) -> None:
    strategy = open_strategy("g1", options)
    for seed in range(20):
        task = Task(PROBLEM, FULL, seed=seed)
        answer = play(strategy, task, hostile(Random(seed)))
        assert answer.node.channel == "main"
        assert len(replies_of(task)) <= strategy.max_steps * (1 + REPAIRS) + 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"min_steps": 9, "max_steps": 5}, "--set max_steps does not fit.*must not be below min_steps"),
        ({"framing": "magical"}, "--set framing does not fit"),
        ({"confidence": "perhaps"}, "--set confidence does not fit"),
        ({"frame": "none"}, "did you mean 'framing'"),
    ],
)
def test_wrong_options_are_one_sentence(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SetupError, match=told):
        open_strategy("g1", options)


def test_the_title_of_a_step_is_the_title_of_its_turn() -> None:
    assert title_of(step(title='Spell "it" out')) == 'Spell "it" out'
    assert title_of('Here:\n{"title": "Count", "content": "…"}') == "Count"
    assert title_of('{"title": 3}') == '{"title": 3}'


ASKS_FOR_JSON = {
    "openai": lambda body: body["response_format"]["json_schema"]["schema"],
    "anthropic": lambda body: body["output_config"]["format"]["schema"],
    "gemini": lambda body: body["generationConfig"]["responseJsonSchema"],
    "ollama": lambda body: body["format"],
}


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, GEMINI, OLLAMA], ids=str)
def test_steps_go_through_each_providers_structured_output_and_the_answer_does_not(wire: Wire) -> None:
    said = [Said(each) for each in (step(), step(), step("final_answer"), FINAL)]

    async def work(model: Model, server: Server) -> tuple[Trace, list[Received]]:
        setting = Setting(G1(), FULL, {"solver": Recorded(model, Memory())}, Verifiers())
        return await drive(setting, PROBLEM), list(server.requests)

    trace, received = served(wire, said, work)
    assert (trace.answer, trace.verdict.status, trace.turns) == ("3", "correct", 4)
    assert [turn.title for turn in trace.messages if turn.model] == ["Spell"] * 3 + ["The word holds three of them."]
    *steps, final = [each.json for each in received]
    for body in steps:
        schema = ASKS_FOR_JSON[str(wire)](body)
        assert set(schema["properties"]) == {"title", "content", "next_action"}
    assert not any(word in json.dumps(final).lower() for word in ("json_schema", "responsejsonschema", '"format"'))
