"""Structured output in each provider's words, and what happens where a model does not take it."""

import asyncio
from typing import Any

import pytest

from openstrawberry.chat import Reply
from openstrawberry.errors import ProviderError
from openstrawberry.models.model import Model
from openstrawberry.models.providers.schema import strict
from tests.models.wires import (
    ANTHROPIC,
    AZURE,
    COMPAT,
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

SCHEMA = {
    "title": "Rating",
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1}, "why": {"type": "string", "default": ""}},
    "required": ["score"],
}
STRICT = {
    "title": "Rating",
    "type": "object",
    "properties": {"score": {"type": "integer"}, "why": {"type": "string"}},
    "required": ["score", "why"],
    "additionalProperties": False,
}
REQUEST = asked("How good? Answer in JSON.", response_schema=SCHEMA)
ANY_JSON = {"type": "json_object"}


def named(schema: Any, exact: bool = True) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": exact}}


def shaped(name: str) -> Wire:
    keys = {"together": "TOGETHER_API_KEY", "huggingface": "HF_TOKEN", "replicate": "REPLICATE_API_TOKEN"}
    return Wire(f"{name}:m", "openai", f"{name.upper()}_BASE_URL", keys.get(name, f"{name.upper()}_API_KEY"), "/v1")


@pytest.mark.parametrize(
    "wire", [OPENAI, AZURE, GROQ, *(shaped(name) for name in SHAPED if name != "deepseek")], ids=str
)
def test_who_speaks_openais_protocol_gets_the_strict_schema(wire: Wire) -> None:
    assert exchange(wire, Said(), REQUEST)[2].json["response_format"] == named(STRICT)


def test_deepseek_is_asked_for_any_json() -> None:
    assert exchange(shaped("deepseek"), Said(), REQUEST)[2].json["response_format"] == ANY_JSON


def test_anthropic_gemini_and_ollama_get_it_in_their_own_fields() -> None:
    body = exchange(ANTHROPIC, Said(), REQUEST)[2].json
    assert body["output_config"]["format"] == {"type": "json_schema", "schema": STRICT}
    config = exchange(GEMINI, Said(), REQUEST)[2].json["generationConfig"]
    assert (config["responseJsonSchema"], config["responseMimeType"]) == (SCHEMA, "application/json")
    assert exchange(OLLAMA, Said(), REQUEST)[2].json["format"] == SCHEMA


def test_fields_of_any_name_have_no_strict_form() -> None:
    loose = {"type": "object", "additionalProperties": {"type": "integer"}}
    request = asked(response_schema=loose)
    assert exchange(OPENAI, Said(), request)[2].json["response_format"] == named(loose, exact=False)
    assert "output_config" not in exchange(ANTHROPIC, Said(), request)[2].json


def test_a_strict_schema_reaches_into_lists_choices_and_definitions() -> None:
    point = {"type": "object", "properties": {"x": {"type": "number", "maximum": 9}}}
    schema = {
        "type": "object",
        "properties": {
            "points": {"type": "array", "items": {"$ref": "#/$defs/Point"}, "minItems": 3},
            "best": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}], "default": None},
            "kind": {"enum": ["a", "b"]},
        },
        "$defs": {"Point": point},
    }
    made = strict(schema)
    assert made is not None
    exact = {
        "type": "object",
        "properties": {"x": {"type": "number"}},
        "required": ["x"],
        "additionalProperties": False,
    }
    assert made["$defs"] == {"Point": exact}
    assert made["properties"]["points"] == {"type": "array", "items": {"$ref": "#/$defs/Point"}}
    assert made["properties"]["best"] == {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}]}
    assert made["required"] == ["points", "best", "kind"]
    assert strict({"type": "object", "properties": {"any": {}}}) is None
    assert strict({"type": "array"}) is None


def refused(wire: Wire, refuses: dict[str, str], field: str) -> list[Any]:
    """What three calls sent in `field`, at a model that answers with one of `refuses` while its key is in the body."""

    def handler(received: Received) -> Answer:
        for sign, message in refuses.items():
            if sign.encode() in received.body:
                return failure(wire.protocol, 400, message, code="INVALID_ARGUMENT" if wire is GEMINI else "")
        return Speaker(wire.protocol, [Said('{"score": 3}')])(received)

    async def work(model: Model, server: Server) -> list[Any]:
        for _ in range(3):
            assert (await model.complete(REQUEST)).content == '{"score": 3}'
        inner = [received.json.get("generationConfig", received.json) for received in server.requests]
        return [body.get(field) for body in inner]

    return served(wire, handler, work)


UNKNOWN = "This model does not support response format `json_schema`. See supported models."
INVALID = "Invalid schema for response_format 'reply': In context=(), 'oneOf' is not permitted."


@pytest.mark.parametrize("message", [UNKNOWN, INVALID])
def test_a_model_without_schemas_is_asked_for_any_json_from_then_on(
    message: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = refused(GROQ, {"json_schema": message}, "response_format")
    assert [(form or {}).get("type") for form in sent] == ["json_schema", *["json_object"] * 3]
    assert len(caplog.records) == 1


def test_requests_that_were_on_their_way_learn_it_together(caplog: pytest.LogCaptureFixture) -> None:
    def handler(received: Received) -> Answer:
        if b"json_schema" in received.body:
            return failure("openai", 400, UNKNOWN)
        return Speaker("openai", [Said('{"score": 3}')])(received)

    async def work(model: Model, server: Server) -> list[str]:
        await asyncio.gather(*(model.complete(REQUEST) for _ in range(8)))
        return [received.json["response_format"]["type"] for received in server.requests]

    assert sorted(served(GROQ, handler, work)) == ["json_object"] * 8 + ["json_schema"] * 8
    assert len(caplog.records) == 1


def test_a_server_without_json_at_all_is_asked_in_words_alone(caplog: pytest.LogCaptureFixture) -> None:
    sent = refused(
        COMPAT, {"response_format": "Unrecognized request argument supplied: response_format"}, "response_format"
    )
    assert [(form or {}).get("type") for form in sent] == ["json_schema", "json_object", None, None, None]
    assert len(caplog.records) == 2


NATIVE: list[tuple[Wire, str, str, str]] = [
    (ANTHROPIC, "output_config", "output_config.format: Extra inputs are not permitted", "output_config"),
    (GEMINI, "responseMimeType", "JSON mode is not enabled for models/gemma-3-27b-it", "responseJsonSchema"),
    (OLLAMA, '"format"', "invalid JSON schema in format", "format"),
]


@pytest.mark.parametrize(("wire", "sign", "message", "field"), NATIVE, ids=[str(wire) for wire, *_ in NATIVE])
def test_a_schema_that_is_refused_by_name_is_dropped_once_for_all(
    wire: Wire, sign: str, message: str, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = refused(wire, {sign: message}, field)
    assert sent[0] is not None
    assert sent[1:] == [None] * 3
    assert len(caplog.records) == 1


def test_json_that_groq_could_not_finish_is_asked_for_again() -> None:
    told = failure("openai", 400, "Failed to generate JSON. Please adjust your prompt.", code="json_validate_failed")

    async def work(model: Model, server: Server) -> Reply:
        return await model.complete(REQUEST)

    with pytest.raises(ProviderError) as caught:
        served(GROQ, [told], work)
    assert (caught.value.kind, caught.value.retryable) == ("malformed", True)
