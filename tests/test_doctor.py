"""The doctor: one look at every provider, one tiny call to each model that is named."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from openstrawberry.doctor import Finding, examine, left_of
from openstrawberry.settings import Settings
from tests.models.wires import ANTHROPIC, COMPAT, GEMINI, GROQ, OLLAMA, OPENAI, Wire
from tests.servers.dialects import SPELLINGS, Said, failure
from tests.servers.http import Answer, Received, Server

AWAY = {"OLLAMA_HOST": "http://127.0.0.1:9", "VLLM_BASE_URL": "http://127.0.0.1:9/v1"}
LISTED = {
    "openai": {"data": [{"id": "b"}, {"id": "a"}]},
    "anthropic": {"data": [{"id": "a", "type": "model"}], "has_more": False},
    "gemini": {"models": [{"name": "models/a", "supportedGenerationMethods": ["generateContent"]}]},
    "ollama": {"models": [{"model": "a", "name": "a"}]},
}
LEFT = {"x-ratelimit-limit-requests": "5000", "x-ratelimit-remaining-requests": "4999"}


def examined(
    wire: Wire,
    answer: Callable[[Received], Answer] | None = None,
    lists: bool = True,
    call: bool = True,
    **variables: str,
) -> tuple[Finding, list[Received]]:
    """What is found at `wire`'s provider, in front of a server that lists models and answers like it."""

    def handler(received: Received) -> Answer:
        if received.method == "GET":
            return Answer.of(LISTED[wire.protocol]) if lists else Answer.of({"detail": "Not Found"}, 404)
        if answer is not None:
            return answer(received)
        said = SPELLINGS[wire.protocol](Said("2"), False)
        return replace(said, headers={**said.headers, **LEFT})

    async def session() -> tuple[Finding, list[Received]]:
        async with Server(handler) as server:
            own = {wire.variable: server.url + wire.suffix, **({wire.key: "sk-secret"} if wire.key else {})}
            findings = await examine(Settings({**AWAY, **own, **variables}), call)
            (found,) = [one for one in findings if one.provider.name == str(wire)]
            return found, server.requests

    return asyncio.run(session())


def named(wire: Wire) -> dict[str, str]:
    return {f"{str(wire).upper()}_MODEL_NAME": "[mine, other]"}


def posts(received: list[Received]) -> list[Any]:
    return [one.json for one in received if one.method == "POST"]


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, GEMINI, GROQ, OLLAMA, COMPAT], ids=str)
def test_a_model_that_is_named_gets_one_tiny_call(wire: Wire) -> None:
    found, received = examined(wire, **named(wire))
    assert (found.state, found.asked, found.detail) == ("ready", "mine", "")
    assert found.latency_s is not None
    assert 0 < found.latency_s < 30
    assert found.models[:3] == ("mine", "other", "a")
    assert found.limits == {f"requests a {'day' if str(wire) == 'groq' else 'minute'}": "4,999 of 5,000"}
    (body,) = posts(received)
    sizes = [body.get(name) for name in ("max_tokens", "max_completion_tokens")]
    sizes += [body.get("generationConfig", {}).get("maxOutputTokens"), body.get("options", {}).get("num_predict")]
    assert [size for size in sizes if size] == [16]


@pytest.mark.parametrize("wire", [OPENAI, OLLAMA], ids=str)
def test_without_a_name_or_with_no_call_nothing_is_spent(wire: Wire) -> None:
    for found, received in (examined(wire), examined(wire, call=False, **named(wire))):
        assert (found.state, found.latency_s, found.asked) == ("ready", None, "")
        assert posts(received) == []
        assert "a" in found.models


def test_a_server_without_a_list_is_ready_if_it_answers() -> None:
    found, _ = examined(COMPAT, lists=False, **named(COMPAT))
    assert (found.state, found.detail, found.models) == ("ready", "", ("mine", "other"))
    assert examined(COMPAT, lists=False)[0].state == "trouble"


def test_a_model_that_does_not_answer_is_trouble_though_there_is_a_list() -> None:
    told = failure("openai", 404, "The model `mine` does not exist", code="model_not_found")
    found, _ = examined(OPENAI, lambda received: told, **named(OPENAI))
    assert (found.state, found.latency_s) == ("trouble", None)
    assert "does not exist" in found.detail
    assert found.models[:3] == ("mine", "other", "a")


def test_a_rejected_key_is_named_and_never_shown() -> None:
    told = failure("openai", 401, "Incorrect API key provided: sk-secret", code="invalid_api_key")
    found, _ = examined(OPENAI, lambda received: told, **named(OPENAI))
    assert found.state == "trouble"
    assert "OPENAI_API_KEY" in found.detail
    assert "sk-secret" not in repr(found)


def test_a_model_that_thinks_longer_than_the_call_allows_is_alive() -> None:
    told = "Could not finish the message because max_tokens or model output limit was reached."
    found, _ = examined(OPENAI, lambda received: failure("openai", 400, told), **named(OPENAI))
    assert (found.state, found.asked) == ("ready", "mine")


def test_what_is_not_set_up_says_which_variable_it_needs() -> None:
    findings = {one.provider.name: one for one in asyncio.run(examine(Settings(AWAY)))}
    assert (findings["openai"].state, findings["openai"].detail) == ("no key", "set OPENAI_API_KEY")
    assert (findings["compat"].state, findings["compat"].detail) == ("no address", "set COMPAT_BASE_URL")
    assert findings["ollama"].state == findings["vllm"].state == "not running"
    azure = {one.provider.name: one for one in asyncio.run(examine(Settings({**AWAY, "AZURE_OPENAI_API_KEY": "k"})))}
    assert (azure["azure"].state, azure["azure"].detail) == ("no address", "set AZURE_OPENAI_ENDPOINT")


def test_the_embedded_model_answers_without_being_named() -> None:
    findings = {one.provider.name: one for one in asyncio.run(examine(Settings(AWAY)))}
    assert (findings["berry"].state, findings["berry"].asked) == ("ready", "")
    assert findings["berry"].latency_s is not None
    assert findings["hf"].latency_s is None
    told = findings["hf"].state, findings["hf"].detail
    installed = all(find_spec(package) for package in ("torch", "transformers"))
    assert told == (("ready", "") if installed else ("not installed", 'run pip install "openstrawberry[hf]"'))


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (
            {"x-ratelimit-limit-tokens": "200000", "x-ratelimit-remaining-tokens": "9"},
            {"tokens a minute": "9 of 200,000"},
        ),
        (
            {"anthropic-ratelimit-input-tokens-limit": "50", "anthropic-ratelimit-input-tokens-remaining": "0",
             "anthropic-ratelimit-input-tokens-reset": "2026-11-21T17:00:00Z"},
            {"input tokens a minute": "0 of 50"},
        ),
        (
            {"x-ratelimit-limit-requests-day": "14400", "x-ratelimit-remaining-requests-day": "14399"},
            {"requests a day": "14,399 of 14,400"},
        ),
        ({"x-ratelimit-limit-requests": "5", "content-type": "text/html", "x-ratelimit-reset-tokens": "6ms"}, {}),
        ({"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "-1"}, {}),
        ({"x-ratelimit-limit-requests": "9" * 5000, "x-ratelimit-remaining-requests": "9" * 5000}, {}),
    ],
    ids=["openai", "anthropic", "cerebras", "half", "odd", "endless"],
)  # fmt: skip
def test_limits_are_read_from_each_providers_headers(headers: dict[str, str], told: dict[str, str]) -> None:
    assert left_of(headers, "openai") == told
