"""What each provider is sent: the parameters it knows, and conversations that only grow."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from openstrawberry.chat import Delta, Message, Request
from openstrawberry.models.model import Model
from openstrawberry.models.registry import open_model
from openstrawberry.settings import Settings
from tests.models.wires import (
    ANTHROPIC,
    AZURE,
    COMPAT,
    EVERY,
    GEMINI,
    GROQ,
    OLLAMA,
    OPENAI,
    SHAPED,
    Wire,
    asked,
    exchange,
    served,
)
from tests.servers.dialects import Said, Speaker, failure
from tests.servers.http import Answer, Received, Server

every_wire = pytest.mark.parametrize("wire", EVERY, ids=str)
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}


def conversation(wire: Wire, turns: int, stream: bool) -> list[Any]:
    """The bodies of `turns` requests of one trace."""

    async def work(model: Model, server: Server) -> list[Any]:
        messages = asked("How many r's?", "Think in steps. Ünïcode, too.").messages
        for turn in range(turns):
            request = Request(messages, temperature=0.7, seed=1, cache_key="trace-1")
            reply = await model.complete(request, (lambda delta: None) if stream else None)
            user = Message(role="user", content=f"Next step, please ({turn}).")
            messages += (Message(role="assistant", content=reply.content, reasoning=reply.reasoning), user)
        return [received.json for received in server.requests]

    steps = [Said(f"Step {turn}: “quoted” and \\slashed\n", reasoning="hm") for turn in range(turns)]
    return served(wire, steps, work)


def unmarked(value: Any) -> Any:
    """`value` without any `cache_control`."""
    if isinstance(value, dict):
        return {name: unmarked(inner) for name, inner in value.items() if name != "cache_control"}
    return [unmarked(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@every_wire
def test_over_20_turns_each_request_begins_with_the_one_before_and_its_reply(wire: Wire, stream: bool) -> None:
    bodies = conversation(wire, 20, stream)
    name = "contents" if wire is GEMINI else "messages"
    assert len(bodies) == 20
    for turn, (before, after) in enumerate(pairwise(bodies)):
        sent, grown = unmarked(before[name]), unmarked(after[name])
        assert grown[: len(sent)] == sent
        assert len(grown) == len(sent) + 2
        reply = grown[len(sent)]
        assert reply["role"] == ("model" if wire is GEMINI else "assistant")
        assert f"Step {turn}: “quoted” and \\\\slashed\\n" in json.dumps(reply, ensure_ascii=False)
        rest_before = {key: value for key, value in unmarked(before).items() if key != name}
        assert rest_before == {key: value for key, value in unmarked(after).items() if key != name}


@pytest.mark.parametrize("wire", [OPENAI, GROQ, COMPAT], ids=str)
def test_the_bytes_of_a_conversation_are_a_prefix_of_the_next_ones(wire: Wire) -> None:
    async def work(model: Model, server: Server) -> list[Received]:
        messages = asked().messages
        for _ in range(5):
            reply = await model.complete(Request(messages, seed=1))
            messages += (Message(role="assistant", content=reply.content), Message(role="user", content="Go on."))
        return server.requests

    requests = served(wire, [Said("Ja, größer.")], work)
    for before, after in pairwise(requests):
        assert after.body.startswith(before.body.removesuffix(b"]}"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_anthropics_breakpoints_sit_on_the_system_block_and_the_last_message_only(stream: bool) -> None:
    for body in conversation(ANTHROPIC, 20, stream):
        assert [block.get("cache_control") for block in body["system"]] == [MARK]
        blocks = [block for message in body["messages"] for block in message["content"]]
        assert [block.get("cache_control") for block in blocks] == [None] * (len(blocks) - 1) + [MARK]
        assert "cache_control" not in body
        assert json.dumps(body).count("cache_control") == 2


def test_anthropics_cache_can_live_for_an_hour() -> None:
    _, _, received = exchange(ANTHROPIC, Said(), cache_ttl="1h")
    assert received.json["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_gemini_gets_the_system_prompt_as_an_instruction_over_v1beta() -> None:
    _, _, received = exchange(GEMINI, Said(), asked("How many?", "Think."))
    assert received.path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert received.json["systemInstruction"]["parts"] == [{"text": "Think."}]
    assert [content["role"] for content in received.json["contents"]] == ["user"]


FULL = asked(temperature=0.5, top_p=0.9, max_tokens=321, stop=("END",), seed=7, cache_key="trace-1", key="secret-place")


def test_openai_gets_every_parameter_by_its_name() -> None:
    _, _, received = exchange(OPENAI, Said(), FULL)
    body = received.json
    assert body.pop("messages") == [{"role": "system", "content": "Think."}, {"role": "user", "content": "How many?"}]
    assert body == {
        "model": "gpt",
        "max_completion_tokens": 321,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
        "prompt_cache_key": "trace-1",
    }
    assert received.headers["authorization"] == "Bearer sk-secret"


def test_anthropic_gets_every_parameter_by_its_name() -> None:
    _, _, received = exchange(ANTHROPIC, Said(), FULL)
    body = {name: received.json[name] for name in received.json.keys() - {"system", "messages"}}
    sampling = {"temperature": 0.5, "top_p": 0.9, "stop_sequences": ["END"]}
    assert body == {"model": "claude", "max_tokens": 321, **sampling}


def test_gemini_gets_every_parameter_by_its_name() -> None:
    _, _, received = exchange(GEMINI, Said(), FULL)
    config = received.json["generationConfig"]
    config.pop("thinkingConfig")
    assert config == {"temperature": 0.5, "topP": 0.9, "maxOutputTokens": 321, "stopSequences": ["END"], "seed": 7}


def test_ollama_gets_its_options_and_keeps_the_model_warm() -> None:
    _, _, received = exchange(OLLAMA, Said(), FULL, num_ctx=8192, keep_alive="1h")
    options = {"temperature": 0.5, "top_p": 0.9, "num_predict": 321, "stop": ["END"], "seed": 7, "num_ctx": 8192}
    assert received.json["options"] == options
    assert (received.json["model"], received.json["keep_alive"]) == ("mistral:v0.3", "1h")


@every_wire
def test_no_parameter_is_sent_that_was_not_asked_for(wire: Wire) -> None:
    _, _, received = exchange(wire, Said(), asked())
    sent = json.dumps(received.json)
    for name in ("temperature", "top_p", "topP", "seed", "stop", "reasoning", "format", "schema", "null"):
        assert f'"{name}' not in sent
    assert "4096" in sent


def test_azure_addresses_the_deployment_with_its_version_and_key() -> None:
    async def work(model: Model, server: Server) -> Received:
        await model.complete(asked())
        return server.requests[0]

    received = served(AZURE, [Said()], work)
    assert received.path == "/openai/deployments/deployment/chat/completions?api-version=2024-10-21"
    assert received.headers["api-key"] == "sk-secret"


@pytest.mark.parametrize("name", SHAPED)
def test_every_openai_shaped_provider_speaks_with_its_own_key(name: str) -> None:
    keys = {"together": "TOGETHER_API_KEY", "huggingface": "HF_TOKEN", "replicate": "REPLICATE_API_TOKEN"}
    wire = Wire(f"{name}:m", "openai", f"{name.upper()}_BASE_URL", keys.get(name, f"{name.upper()}_API_KEY"), "/v1")
    reply, heard, received = exchange(wire, Said("ok", "thought"), FULL, stream=True)
    assert (reply.content, reply.reasoning, len(heard)) == ("ok", "thought", 4)
    assert received.headers["authorization"] == "Bearer sk-secret"
    assert received.path == "/v1/chat/completions"
    assert received.json.get("seed", received.json.get("random_seed")) == (None if name == "deepseek" else 7)
    assert ("stream_options" in received.json) == (name != "mistral")


def test_deepseek_gets_its_past_reasoning_back() -> None:
    wire = Wire("deepseek:m", "openai", "DEEPSEEK_BASE_URL", "DEEPSEEK_API_KEY")
    messages = (*asked().messages, Message(role="assistant", content="a", reasoning="r"))
    _, _, received = exchange(wire, Said(), Request(messages))
    assert received.json["messages"][-1] == {"role": "assistant", "content": "a", "reasoning_content": "r"}


def test_a_local_server_needs_no_key_and_ollama_speaks_openai_where_it_is_told_to() -> None:
    async def session(spec: str, settings: dict[str, str], server: Server) -> Received:
        model = open_model(spec, Settings(settings))
        await model.complete(asked())
        await model.close()
        return server.requests[-1]

    async def work(model: Model, server: Server) -> list[Received]:
        url = f"{server.url}/v1"
        return [
            await session(f"compat:m:1@{url}", {}, server),
            await session("vllm:org/m", {"VLLM_BASE_URL": url}, server),
            await session("ollama:m:7b", {"OLLAMA_OPENAI_BASE_URL": url}, server),
        ]

    received = served(COMPAT, [Said()], work)
    assert [request.json["model"] for request in received] == ["m:1", "org/m", "m:7b"]
    assert {request.path for request in received} == {"/v1/chat/completions"}


def named(wire: Wire, name: str) -> Wire:
    """The same provider with another model."""
    return replace(wire, spec=f"{wire}:{name}")


ROUTER = Wire("openrouter:m", "openai", "OPENROUTER_BASE_URL", "OPENROUTER_API_KEY")
DEEPSEEK = Wire("deepseek:m", "openai", "DEEPSEEK_BASE_URL", "DEEPSEEK_API_KEY")
VLLM = Wire("vllm:m", "openai", "VLLM_BASE_URL")
ADAPTIVE = {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}}
EFFORTS: list[tuple[Wire, str, dict[str, Any]]] = [
    (OPENAI, "high", {"reasoning_effort": "high"}),
    (named(OPENAI, "o3-mini"), "off", {"reasoning_effort": "low"}),
    (named(OPENAI, "gpt-5-mini"), "off", {"reasoning_effort": "minimal"}),
    (named(OPENAI, "gpt-5.1"), "off", {"reasoning_effort": "none"}),
    (ROUTER, "low", {"reasoning": {"effort": "low"}}),
    (DEEPSEEK, "off", {"thinking": {"type": "disabled"}}),
    (VLLM, "off", {"chat_template_kwargs": {"enable_thinking": False}}),
    (GROQ, "off", {"reasoning_effort": "none"}),
    (named(GROQ, "gpt-oss-20b"), "medium", {"reasoning_effort": "medium"}),
    (ANTHROPIC, "off", {"thinking": {"type": "disabled"}}),
    (ANTHROPIC, "high", ADAPTIVE),
    (named(ANTHROPIC, "claude-sonnet-4-5"), "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
    (OLLAMA, "low", {"think": True}),
    (named(OLLAMA, "gpt-oss:20b"), "low", {"think": "low"}),
]


@pytest.mark.parametrize(("wire", "effort", "expected"), EFFORTS, ids=lambda value: getattr(value, "spec", None))
def test_effort_is_asked_for_in_each_providers_words(wire: Wire, effort: str, expected: dict[str, Any]) -> None:
    _, _, received = exchange(wire, Said(), asked(reasoning=effort))
    assert {name: received.json[name] for name in expected} == expected


def test_a_thinking_claude_gets_no_temperature() -> None:
    assert "temperature" not in exchange(ANTHROPIC, Said(), asked(reasoning="low", temperature=0.5))[2].json
    assert "temperature" in exchange(ANTHROPIC, Said(), asked(reasoning="off", temperature=0.5))[2].json


def test_gemini_thinks_in_budgets_or_levels_by_generation() -> None:
    later = named(GEMINI, "gemini-3-pro")
    cases = ((GEMINI, "off", "budget", 0), (GEMINI, "low", "budget", 1024), (later, "high", "level", "HIGH"))
    for wire, effort, name, value in cases:
        _, _, received = exchange(wire, Said(), asked(reasoning=effort))
        sent = received.json["generationConfig"]["thinkingConfig"]
        config = {key.lower().replace("_", ""): inner for key, inner in sent.items()}
        assert config[f"thinking{name}"] == value
        assert config["includethoughts"] == (effort != "off")


def test_headers_and_extra_fields_are_sent_as_they_are() -> None:
    more = {"headers": {"X-Team": "berries"}, "extra": {"top_k": 20}}
    for wire in EVERY:
        _, _, received = exchange(wire, Said(), **more)
        assert received.headers["x-team"] == "berries"
        assert '"top_k": 20' in json.dumps(received.json)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("wire", "message", "dropped"),
    [
        (OPENAI, "Unsupported value: 'temperature' does not support 0.5 with this model.", "temperature"),
        (COMPAT, "Unknown parameter: stream_options", "stream_options"),
        (ANTHROPIC, "temperature: Extra inputs are not permitted", "temperature"),
    ],
    ids=["openai", "compat", "anthropic"],
)
def test_a_parameter_that_is_refused_by_name_is_dropped_once_for_all(
    wire: Wire, message: str, dropped: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    request = asked(temperature=0.5)

    def handler(received: Received) -> Answer:
        refused = dropped in received.json
        return failure(wire.protocol, 400, message) if refused else Speaker(wire.protocol, [Said("ok")])(received)

    async def work(model: Model, server: Server) -> list[bool]:
        for _ in range(3):
            heard: list[Delta] = []
            reply = await model.complete(request, heard.append if stream else None)
            assert reply.content == "ok"
        return [dropped in received.json for received in server.requests]

    sent = served(wire, handler, work)
    assert sent == ([True, False, False, False] if stream or dropped != "stream_options" else [False] * 3)
    assert len(caplog.records) == sum(sent)


def test_an_older_server_gets_max_tokens_instead() -> None:
    def handler(received: Received) -> Answer:
        if "max_completion_tokens" in received.json:
            return failure("openai", 400, "Unrecognized request argument supplied: max_completion_tokens")
        return failure("openai", 400, f"max_tokens is {received.json['max_tokens']}, not supported")

    async def work(model: Model, server: Server) -> list[str]:
        with pytest.raises(Exception, match="max_tokens is 4096"):
            await model.complete(asked())
        return [next(name for name in received.json if "max" in name) for received in server.requests]

    assert served(AZURE, handler, work) == ["max_completion_tokens", "max_tokens"]


def test_anthropic_never_gets_an_empty_message() -> None:
    messages = (*asked("a", "").messages, Message(role="assistant", content=""), Message(role="user", content=" \n"))
    _, _, received = exchange(ANTHROPIC, Said(), Request(messages))
    assert "system" not in received.json
    assert all(message["content"][0]["text"].strip() for message in received.json["messages"])
