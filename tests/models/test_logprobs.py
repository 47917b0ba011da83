"""Log probabilities: asked for only where they are wanted, one number from every protocol, refused where not had."""

import asyncio
import json
from dataclasses import replace
from math import exp, log
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from openstrawberry.berry.runtime import _among_likeliest
from openstrawberry.chat import Message, Request
from openstrawberry.errors import SetupError
from openstrawberry.models.model import Model
from openstrawberry.models.providers import wire
from openstrawberry.models.providers.berry import BerryModel
from openstrawberry.models.providers.hf import HFModel
from openstrawberry.models.registry import open_model
from openstrawberry.models.replies import reply_key
from openstrawberry.settings import Settings
from tests.models.wires import COMPAT, EVERY, GEMINI, OLLAMA, OPENAI, Wire, asked, exchange
from tests.servers.dialects import Said
from tests.servers.http import Answer

WANTED = asked(logprobs=True)
# Two tokens, each with what else was likely at its place: probability 0.5 of 0.5 + 0.25, and the sixth likeliest.
CHOSEN = (0.5, 0.04)
LIKELY = ((0.5, 0.25), (0.3, 0.2, 0.15, 0.1, 0.05, 0.04))
SHARES = (0.5 / 0.75, 0.04 / 0.84)


def tokens(start: int = 0, end: int = 2) -> list[dict[str, Any]]:
    """The tokens as OpenAI spells them; Ollama's are alike."""
    told = list(zip(CHOSEN, LIKELY, strict=True))[start:end]
    rivals = [[{"token": "b", "logprob": log(each)} for each in tops] for _, tops in told]
    return [{"token": "a", "logprob": log(told[at][0]), "top_logprobs": tops} for at, tops in enumerate(rivals)]


def openai(stream: bool) -> Answer:
    if not stream:
        message = {"role": "assistant", "content": "One step."}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": tokens()}}
        return Answer.of({"id": "1", "object": "chat.completion", "model": "served", "choices": [choice]})
    deltas = [{"content": "One "}, {"content": "step."}]
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": delta, "finish_reason": None, "logprobs": {"content": tokens(at, at + 1)}}
        for at, delta in enumerate(deltas)
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None})
    head = {"id": "1", "object": "chat.completion.chunk", "model": "served"}
    events = [f"data: {json.dumps({**head, 'choices': [choice]})}\n\n" for choice in choices]
    return Answer.events([*events, "data: [DONE]\n\n"])


def gemini(stream: bool) -> Answer:
    def told(start: int, end: int) -> dict[str, Any]:
        return {
            "chosenCandidates": [{"token": "a", "logProbability": log(each)} for each in CHOSEN[start:end]],
            "topCandidates": [
                {"candidates": [{"token": "b", "logProbability": log(each)} for each in tops]}
                for tops in LIKELY[start:end]
            ],
        }

    def candidate(text: str, start: int, end: int, **more: Any) -> dict[str, Any]:
        content = {"role": "model", "parts": [{"text": text}]}
        return {"candidates": [{"content": content, "logprobsResult": told(start, end), **more}]}

    if not stream:
        return Answer.of(candidate("One step.", 0, 2, finishReason="STOP"))
    events = [candidate("One ", 0, 1), candidate("step.", 1, 2, finishReason="STOP")]
    return Answer.events([f"data: {json.dumps(event)}\r\n\r\n" for event in events])


def ollama(stream: bool) -> Answer:
    head = {"model": "served", "created_at": "2026-01-01T00:00:00Z"}
    if not stream:
        message = {"role": "assistant", "content": "One step."}
        return Answer.of({**head, "message": message, "logprobs": tokens(), "done": True, "done_reason": "stop"})
    parts: list[dict[str, Any]] = [
        {**head, "message": {"role": "assistant", "content": text}, "logprobs": tokens(at, at + 1), "done": False}
        for at, text in enumerate(("One ", "step."))
    ]
    parts.append({**head, "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"})
    return Answer.events([json.dumps(part) + "\n" for part in parts], "application/x-ndjson")


GIVING = {OPENAI: openai, COMPAT: openai, GEMINI: gemini, OLLAMA: ollama}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wire_", GIVING, ids=str)
def test_every_protocol_tells_the_share_of_each_token_among_the_five_likeliest(wire_: Wire, stream: bool) -> None:
    reply, _, received = exchange(wire_, GIVING[wire_](stream), WANTED, stream=stream)
    assert reply.content == "One step."
    assert reply.logprobs is not None
    assert [exp(each) for each in reply.logprobs] == pytest.approx(SHARES, abs=1e-4)
    body = received.json
    if wire_ is GEMINI:
        assert {"responseLogprobs": True, "logprobs": 5}.items() <= body["generationConfig"].items()
    else:
        assert (body["logprobs"], body["top_logprobs"]) == (True, 5)


@pytest.mark.parametrize("wire_", EVERY, ids=str)
def test_who_does_not_want_them_does_not_ask_for_them(wire_: Wire) -> None:
    reply, _, received = exchange(wire_, Said())
    assert b"logprobs" not in received.body.lower()
    assert reply.logprobs is None


@pytest.mark.parametrize("spec", ["groq:llama", "mistral:large", "together:llama", "anthropic:claude"])
def test_a_provider_that_has_none_is_refused_before_anything_is_sent(spec: str) -> None:
    keys = ("GROQ_API_KEY", "MISTRAL_API_KEY", "TOGETHER_API_KEY", "ANTHROPIC_API_KEY")
    model = open_model(spec, Settings(dict.fromkeys(keys, "sk-secret")), base_url="http://127.0.0.1:9")

    async def ask() -> None:
        try:
            await model.complete(WANTED)
        finally:
            await model.close()

    with pytest.raises(SetupError, match=rf"{spec} gives no log probabilities.*--set value="):
        asyncio.run(ask())


def test_a_model_in_process_that_cannot_tell_them_is_refused_too() -> None:
    with pytest.raises(SetupError, match="hf:folder gives no log probabilities"):
        asyncio.run(HFModel("hf:folder", None, None).complete(WANTED))


@pytest.mark.parametrize("wire_", [COMPAT, OLLAMA, GEMINI], ids=str)
def test_a_server_that_leaves_them_out_gives_none_and_not_certainty(wire_: Wire) -> None:
    assert exchange(wire_, Said(), WANTED)[0].logprobs is None


def test_a_token_that_is_told_without_its_rivals_tells_nothing() -> None:
    alone = [{"token": "a", "logprob": -0.1, "top_logprobs": []}, {"token": "b", "logprob": -0.2}]
    choice = {"index": 0, "message": {"content": "One."}, "finish_reason": "stop", "logprobs": {"content": alone}}
    assert exchange(COMPAT, Answer.of({"choices": [choice]}), WANTED)[0].logprobs is None


@pytest.mark.parametrize("odd", [float("-inf"), float("nan"), -9999.0, float("inf")])
def test_no_number_of_a_provider_makes_one_that_a_file_cannot_hold(odd: float) -> None:
    for chosen, likely in ((odd, [-0.1, -2.0]), (-0.1, [odd, -2.0]), (odd, [odd]), (odd, [])):
        told = wire.among(chosen, likely)
        assert -101 < told <= 0
        assert json.loads(json.dumps(told)) == told


def test_the_place_of_a_reply_changes_only_where_they_are_wanted() -> None:
    request = asked(temperature=0.5, seed=7)
    plain = reply_key("openai:gpt", "solver", request, "chain", 0, 0)
    assert plain == "623e4c2f67d02bf5b428dfec28a5d44e"
    assert reply_key("openai:gpt", "solver", replace(request, logprobs=True), "chain", 0, 0) != plain


def test_berry_tells_how_sure_it_was_and_says_the_same_with_and_without() -> None:
    question = Message(role="user", content="What is 48 + 67?\nStart with the first small step.")

    async def replies() -> Any:
        model: Model = BerryModel()
        cold = Request((question,), temperature=0.0, seed=3, max_tokens=40, logprobs=True)
        hot = replace(cold, temperature=6.0)
        try:
            return [await model.complete(each) for each in (cold, hot, replace(hot, logprobs=False))]
        finally:
            await model.close()

    cold, hot, plain = asyncio.run(replies())
    assert (plain.content, plain.logprobs) == (hot.content, None)
    for told in (cold, hot):
        assert len(told.logprobs) == len(told.token_ids)
        assert all(each <= 0 for each in told.logprobs)
    assert fmean(map(exp, cold.logprobs)) > 0.9 > fmean(map(exp, hot.logprobs))


def test_berry_and_the_providers_mean_the_same_number() -> None:
    scores = np.log(np.array([0.3, 0.04, 0.15, 0.2, 0.05, 0.1, 0.16]))
    for chosen in range(len(scores)):
        told = wire.among(scores[chosen], sorted(scores)[::-1][:5])
        assert _among_likeliest(scores - scores.max(), chosen) == pytest.approx(told, abs=1e-4)
