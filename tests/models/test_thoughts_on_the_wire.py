"""Thoughts that are wanted are asked for in each provider's words, and arrive apart from the answer."""

from dataclasses import replace
from typing import Any

import pytest

from openstrawberry.chat import Delta, Reply, Usage
from openstrawberry.errors import ProviderError
from openstrawberry.models.model import Model
from tests.models.wires import ANTHROPIC, COMPAT, EVERY, GEMINI, GROQ, OLLAMA, OPENAI, Wire, asked, exchange, served
from tests.servers.dialects import SPELLINGS, Said, failure, openai
from tests.servers.http import Answer, Received, Server

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
SUMMARIES = replace(OPENAI, protocol="responses")
OTHERS = tuple(wire for wire in EVERY if wire is not OPENAI)
SAID = Said("There are <b>3</b>.", reasoning="**Spelling**\n\ns-t-r, r-r", usage=(100, 60, 20, 30, 10))
WANTED = asked(thoughts=True)


def named(wire: Wire, name: str) -> Wire:
    return replace(wire, spec=f"{wire}:{name}")


@both_ways
@pytest.mark.parametrize("wire", [SUMMARIES, *OTHERS], ids=str)
def test_thoughts_and_answer_arrive_apart(wire: Wire, stream: bool) -> None:
    reply, heard, _ = exchange(wire, SAID, WANTED, stream=stream)
    assert (reply.content, reply.reasoning, reply.finish_reason) == (SAID.text, SAID.reasoning, "stop")
    assert reply.model == f"{wire}:served"
    if stream:
        assert "".join(delta.text for delta in heard if delta.channel == "reasoning") == SAID.reasoning
        assert "".join(delta.text for delta in heard if delta.channel == "content") == SAID.text


ASKED: list[tuple[Wire, dict[str, Any]]] = [
    (SUMMARIES, {"reasoning": {"summary": "auto"}, "store": False, "max_output_tokens": 4096}),
    (ANTHROPIC, {"thinking": {"type": "adaptive", "display": "summarized"}}),
    (named(ANTHROPIC, "claude-sonnet-4-5"), {"thinking": {"type": "enabled", "budget_tokens": 3072}}),
    (OLLAMA, {"think": True}),
    (named(OLLAMA, "gpt-oss:20b"), {"think": True}),
    (Wire("deepseek:m", "openai", "DEEPSEEK_BASE_URL", "DEEPSEEK_API_KEY"), {"thinking": {"type": "enabled"}}),
    (Wire("openrouter:m", "openai", "OPENROUTER_BASE_URL", "OPENROUTER_API_KEY"), {"reasoning": {"enabled": True}}),
    (Wire("vllm:m", "openai", "VLLM_BASE_URL"), {"chat_template_kwargs": {"enable_thinking": True}}),
]


@pytest.mark.parametrize(("wire", "expected"), ASKED, ids=lambda value: getattr(value, "spec", None))
def test_they_are_asked_for_in_each_providers_words(wire: Wire, expected: dict[str, Any]) -> None:
    _, _, received = exchange(wire, SAID, WANTED)
    assert {name: received.json.get(name) for name in expected} == expected
    _, _, plain = exchange(replace(wire, protocol="openai") if wire is SUMMARIES else wire, SAID)
    assert not plain.json.keys() & {"reasoning", "thinking", "think", "chat_template_kwargs"}


def test_gemini_shows_its_thoughts_by_itself() -> None:
    for request in (WANTED, asked()):
        _, _, received = exchange(GEMINI, SAID, request)
        assert received.json["generationConfig"]["thinkingConfig"] == {"include_thoughts": True}


@pytest.mark.parametrize("wire", [GROQ, COMPAT], ids=str)
def test_a_server_with_neither_field_nor_parameter_is_asked_as_always(wire: Wire) -> None:
    (_, _, wanted), (_, _, plain) = exchange(wire, SAID, WANTED), exchange(wire, SAID)
    assert wanted.json == plain.json


def test_an_effort_goes_along_and_off_means_off() -> None:
    _, _, low = exchange(SUMMARIES, SAID, asked(thoughts=True, reasoning="low"))
    assert (low.path, low.json["reasoning"]) == ("/v1/responses", {"summary": "auto", "effort": "low"})
    _, _, off = exchange(OPENAI, SAID, asked(thoughts=True, reasoning="off"))
    assert off.path == "/v1/chat/completions"


def test_what_openai_gets_for_a_summary_is_the_same_conversation() -> None:
    fields = {"temperature": 0.5, "top_p": 0.9, "cache_key": "k", "response_schema": {"type": "object"}}
    _, _, received = exchange(SUMMARIES, SAID, asked("How – many?", "Think.", thoughts=True, **fields))
    assert received.json["input"] == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "How – many?"},
    ]
    assert (received.json["temperature"], received.json["top_p"], received.json["prompt_cache_key"]) == (0.5, 0.9, "k")
    assert received.json["text"]["format"] == {
        "type": "json_schema", "name": "reply", "schema": {"type": "object"}, "strict": False
    }  # fmt: skip
    assert not received.json.keys() & {"messages", "stop", "seed", "stream"}


@both_ways
def test_a_summarised_reply_says_how_it_ended_and_what_it_took(stream: bool) -> None:
    cut = exchange(SUMMARIES, replace(SAID, finish="length"), WANTED, stream=stream)[0]
    assert cut.finish_reason == "length"
    assert cut.usage == Usage(input=100, cached_input=60, output=30, reasoning=10)
    refused = exchange(SUMMARIES, Said("I will not.", finish="filter"), WANTED, stream=stream)[0]
    assert (refused.content, refused.finish_reason) == ("I will not.", "filter")
    assert exchange(SUMMARIES, Said("3"), WANTED, stream=stream)[0].reasoning == ""


def test_a_failed_response_is_an_error_with_its_words() -> None:
    error = {"code": "server_error", "message": "The model fell over."}
    body = {"status": "failed", "error": error, "output": []}
    event = f'event: response.failed\ndata: {{"type":"response.failed","response":{Answer.of(body).body.decode()}}}\n\n'
    lone = 'event: error\ndata: {"type":"error","code":"server_error","message":"The model fell over."}\n\n'
    for answer, stream in ((Answer.of(body), False), (Answer.events([event]), True), (Answer.events([lone]), True)):
        with pytest.raises(ProviderError, match="The model fell over"):
            exchange(SUMMARIES, answer, WANTED, stream=stream)


def test_a_stream_of_responses_that_breaks_off_is_no_reply() -> None:
    event = 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"3"}\n\n'
    with pytest.raises(ProviderError) as caught:
        exchange(SUMMARIES, Answer.events([event]), WANTED, stream=True)
    assert caught.value.retryable


def twice(wire: Wire, handler: Any) -> tuple[list[Reply], list[Received]]:
    """Two requests for thoughts, and what the server received."""

    async def work(model: Model, server: Server) -> tuple[list[Reply], list[Received]]:
        heard: list[Delta] = []
        return [await model.complete(WANTED), await model.complete(WANTED, heard.append)], list(server.requests)

    return served(wire, handler, work)


def test_a_server_that_stands_in_for_openai_is_asked_the_way_it_knows() -> None:
    def stand_in(received: Received) -> Answer:
        if received.path.endswith("/responses"):
            return failure("openai", 404, "Not Found")
        return openai(SAID, stream=bool(received.json.get("stream")))

    replies, received = twice(OPENAI, stand_in)
    assert [reply.reasoning for reply in replies] == [SAID.reasoning] * 2
    assert [each.path.rpartition("/")[2] for each in received] == ["responses", "completions", "completions"]


@pytest.mark.parametrize(
    ("wire", "field", "told"),
    [
        (OLLAMA, "think", '"mistral:v0.3" does not support thinking'),
        (ANTHROPIC, "thinking", "adaptive thinking is not supported on this model"),
        (SUMMARIES, "reasoning", "Unsupported parameter: 'reasoning.summary' is not supported with this model."),
    ],
    ids=["ollama", "anthropic", "openai"],
)
def test_a_model_that_cannot_think_is_asked_without(wire: Wire, field: str, told: str) -> None:
    def plain(received: Received) -> Answer:
        if field in received.json:
            return failure(wire.protocol, 400, told)
        return SPELLINGS[wire.protocol](Said("3"), bool(received.json.get("stream")))

    replies, received = twice(wire, plain)
    assert [(reply.content, reply.reasoning) for reply in replies] == [("3", "")] * 2
    assert [field in each.json for each in received] == [True, False, False]
