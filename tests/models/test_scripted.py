"""The scripted model says the same thing to the same conversation, and what its file says."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.chat import Delta, Message, Reply, Request, Usage
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.registry import open_model
from openstrawberry.settings import Settings

SCRIPT = """
rules:
  - when: (?i)final answer
    question: strawberry
    say: <final_answer>3</final_answer>
  - when: sure
    say: ["Yes.", "No, wait.", {error: overloaded, times: 1, then: "Yes, sure."}]
turns:
  - {content: First., reasoning: hm, finish_reason: length, usage: {input: 7, output: 2}}
  - {error: rate_limit, status: 429, retry_after: 2, times: 2, then: Second.}
  - Later.
"""


def talk(*texts: str, **fields: Any) -> Request:
    """A conversation of user and assistant turns, the user first."""
    roles = ("user", "assistant")
    return Request(tuple(Message(role=roles[at % 2], content=text) for at, text in enumerate(texts)), **fields)  # type: ignore[arg-type]


def scripted(tmp_path: Path, text: str, name: str = "script.yaml") -> Any:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return open_model(f"scripted:{path}", Settings({}))


def said(model: Any, request: Request) -> Reply:
    reply: Reply = asyncio.run(model.complete(request))
    return reply


def test_turns_are_chosen_by_how_far_the_conversation_is(tmp_path: Path) -> None:
    model = scripted(tmp_path, SCRIPT)
    reply = said(model, talk("How many?"))
    assert (reply.content, reply.reasoning, reply.finish_reason) == ("First.", "hm", "length")
    assert reply.usage == Usage(input=7, output=2)
    for _ in range(3):
        assert said(model, talk("q", "a", "b", "c", "d")).content == "Later."


def test_a_rule_comes_before_a_turn_where_its_conditions_hold(tmp_path: Path) -> None:
    model = scripted(tmp_path, SCRIPT)
    assert "3" in said(model, talk("r's in strawberry?", "a", "Your FINAL ANSWER?")).content
    assert said(model, talk("r's in berry?", "a", "b", "c", "Your final answer?")).content == "Later."


def test_alternatives_are_drawn_by_the_seed_alone(tmp_path: Path) -> None:
    def draw(seed: int) -> str:
        model = scripted(tmp_path, SCRIPT)
        try:
            return said(model, talk("q", "a", "Are you sure?", seed=seed)).content
        except ProviderError as error:
            return error.kind

    first = [draw(seed) for seed in range(40)]
    assert first == [draw(seed) for seed in range(40)]
    assert set(first) == {"Yes.", "No, wait.", "overloaded"}


def test_a_fault_lasts_as_long_as_it_says_for_each_conversation(tmp_path: Path) -> None:
    model = scripted(tmp_path, SCRIPT)
    for question in ("one", "two"):
        request = talk(question, "a", "b")
        for _ in range(2):
            with pytest.raises(ProviderError) as caught:
                said(model, request)
            assert (caught.value.kind, caught.value.status, caught.value.retry_after) == ("rate_limit", 429, 2)
        assert said(model, request).content == "Second."


def test_a_reply_streams_word_by_word() -> None:
    heard: list[Delta] = []
    model = ScriptedModel([{"content": "One small step.", "reasoning": "hm"}])
    reply = asyncio.run(model.complete(talk("q"), heard.append))
    assert [delta.text for delta in heard] == ["hm", "One ", "small ", "step."]
    assert reply.content == "One small step."
    assert model.requests == [talk("q")]


def test_replies_come_by_call_and_the_last_one_repeats() -> None:
    model = ScriptedModel(["a", {"error": "server"}, "b"])
    assert said(model, talk("q")).content == "a"
    with pytest.raises(ProviderError):
        said(model, talk("q"))
    assert [said(model, talk("q")).content for _ in range(2)] == ["b", "b"]


def test_a_function_may_answer() -> None:
    async def later(request: Request) -> str:
        return request.messages[-1].content.upper()

    assert said(ScriptedModel(answer=lambda request: "now"), talk("q")).content == "now"
    assert said(ScriptedModel(answer=later), talk("q")).content == "Q"


def test_a_script_may_be_json(tmp_path: Path) -> None:
    assert said(scripted(tmp_path, '{"replies": ["ok"]}', "script.json"), talk("q")).content == "ok"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("replies: [", "is not YAML or JSON"),
        ("reply: [a]", "reply"),
        ("rules: [{say: a, when: '('}]", "rules.0.when"),
        ("turns: [{text: a}]", "turns.0"),
        ("replies: [[]]", "replies.0"),
        ("", "its top"),
    ],
)
def test_a_script_with_a_mistake_says_where(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SetupError, match=told) as caught:
        scripted(tmp_path, text)
    assert "script.yaml" in str(caught.value)


def test_a_script_that_is_not_there_is_a_set_up_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        open_model(f"scripted:{tmp_path / 'none.yaml'}", Settings({}))
    with pytest.raises(SetupError, match="scripted:NAME"):
        open_model("scripted", Settings({}))


def test_a_script_with_nothing_to_say_says_so() -> None:
    with pytest.raises(ProviderError, match="nothing to say"):
        said(ScriptedModel(), talk("q"))
