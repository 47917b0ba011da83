"""What each provider needs to find the cached beginning of a conversation, as it goes over the wire."""

import asyncio
import itertools
from typing import Any

import pytest

from openstrawberry.chat import Message, Request
from openstrawberry.models.model import Model
from openstrawberry.models.providers.gemini import _CAUGHT, GeminiModel
from openstrawberry.models.providers.gemini_cache import LIFE, GeminiCaches
from tests.models.wires import ANTHROPIC, AZURE, GEMINI, GROQ, OLLAMA, OPENAI, SHAPED, Wire, asked, exchange, served
from tests.servers.dialects import Said, failure, gemini
from tests.servers.http import Answer, Received, Server

KEYS = {"together": "TOGETHER_API_KEY", "huggingface": "HF_TOKEN", "replicate": "REPLICATE_API_TOKEN"}
SHAPED_WIRES = [
    Wire(f"{name}:m", "openai", f"{name.upper()}_BASE_URL", KEYS.get(name, f"{name.upper()}_API_KEY"), "/v1")
    for name in SHAPED
]
KEYED = ("openai", "azure", "mistral")
MARK = {"type": "ephemeral"}
LONG = "You are careful. " * 300  # 5,100 bytes, more than 1,024 tokens


@pytest.mark.parametrize("wire", [OPENAI, AZURE, GROQ, *SHAPED_WIRES], ids=str)
def test_a_cache_key_is_sent_to_those_who_route_by_it_and_to_nobody_else(wire: Wire) -> None:
    _, _, received = exchange(wire, Said(), asked(cache_key="trace-1"))
    assert received.json.get("prompt_cache_key") == ("trace-1" if str(wire) in KEYED else None)
    assert (b"trace-1" in received.body) == (str(wire) in KEYED)


@pytest.mark.parametrize("wire", SHAPED_WIRES, ids=str)
def test_each_request_begins_with_the_bytes_of_the_one_before(wire: Wire) -> None:
    async def work(model: Model, server: Server) -> list[bytes]:
        messages = asked().messages
        for _ in range(5):
            reply = await model.complete(Request(messages, temperature=0.5, seed=1, cache_key="trace-1"))
            messages += (Message(role="assistant", content=reply.content), Message(role="user", content="Go on."))
        return [received.body for received in server.requests]

    for before, after in itertools.pairwise(served(wire, [Said("Ja, größer.")], work)):
        assert after.startswith(before.removesuffix(b"]}"))


def test_claude_behind_openrouter_gets_anthropics_two_marks_and_other_models_none() -> None:
    wire = Wire("openrouter:anthropic/claude-sonnet-4.5", "openai", "OPENROUTER_BASE_URL", "OPENROUTER_API_KEY")
    messages = (
        *asked("a", "Think.").messages,
        Message(role="assistant", content="b"),
        Message(role="user", content="c"),
    )
    _, _, received = exchange(wire, Said(), Request(messages), cache_ttl="1h")
    mark = {**MARK, "ttl": "1h"}
    system, first, reply, last = (message["content"] for message in received.json["messages"])
    assert system == [{"type": "text", "text": "Think.", "cache_control": mark}]
    assert (first, reply) == ("a", "b")
    assert last == [{"type": "text", "text": "c", "cache_control": mark}]
    other = Wire("openrouter:openai/gpt-5", "openai", "OPENROUTER_BASE_URL", "OPENROUTER_API_KEY")
    assert b"cache_control" not in exchange(other, Said(), Request(messages))[2].body


def test_an_hour_is_asked_for_at_both_of_anthropics_marks() -> None:
    _, _, received = exchange(ANTHROPIC, Said(), asked(), cache_ttl="1h")
    blocks = [*received.json["system"], *received.json["messages"][-1]["content"]]
    assert [block["cache_control"] for block in blocks] == [{**MARK, "ttl": "1h"}] * 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_ollama_keeps_the_model_loaded_between_turns_unless_told_otherwise(stream: bool) -> None:
    assert exchange(OLLAMA, Said(), stream=stream)[2].json["keep_alive"] == "30m"
    assert exchange(OLLAMA, Said(), stream=stream, keep_alive="-1")[2].json["keep_alive"] == "-1"


class Google:
    """Gemini's caches and conversations; `refuses` is answered where its key is in the path or body."""

    def __init__(self, **refuses: Answer) -> None:
        self.refuses = {key.encode(): answer for key, answer in refuses.items()}
        self.made = itertools.count(1)

    def __call__(self, received: Received) -> Answer:
        for sign, answer in self.refuses.items():
            if sign in received.path.encode() + received.body:
                return answer
        if received.path.endswith("/cachedContents"):
            return Answer.of({"name": f"cachedContents/c{next(self.made)}", "model": "models/m"})
        return Answer.of({}) if received.method == "DELETE" else gemini(Said(), stream=False)


def talk(google: Google, system: str, requests: int, at_once: bool = False) -> list[Received]:
    """`requests` requests with one system prompt, and what the server received until the model was closed."""
    seen: list[Received] = []

    async def work(model: Model, server: Server) -> None:
        calls = [model.complete(asked(f"Question {number}?", system)) for number in range(requests)]
        if at_once:
            await asyncio.gather(*calls)
        else:
            for call in calls:
                await call

    def noting(received: Received) -> Answer:
        seen.append(received)
        return google(received)

    served(GEMINI, noting, work)
    return seen


def steps(seen: list[Received]) -> list[str]:
    """What happened, in a word each."""
    words = {"DELETE": "deleted", "/v1beta/cachedContents": "made"}
    return [words.get(one.method) or words.get(one.path) or _asked(one.json) for one in seen]


def _asked(body: dict[str, Any]) -> str:
    assert ("cachedContent" in body) != ("systemInstruction" in body)
    return "cached" if "cachedContent" in body else "whole"


def test_gemini_gets_a_cache_of_a_long_prompt_when_it_comes_again_and_it_is_deleted_at_the_end() -> None:
    seen = talk(Google(), LONG, 4)
    assert steps(seen) == ["whole", "made", "cached", "cached", "cached", "deleted"]
    made = seen[1].json
    assert made["systemInstruction"]["parts"] == [{"text": LONG}]
    assert (made["model"], made["ttl"]) == ("models/gemini-2.5-flash", "3600s")
    assert {one.json["cachedContent"] for one in seen[2:5]} == {"cachedContents/c1"}
    assert seen[5].path == "/v1beta/cachedContents/c1"


def test_a_short_prompt_and_a_single_request_get_none() -> None:
    assert steps(talk(Google(), "You are careful.", 4)) == ["whole"] * 4
    assert steps(talk(Google(), LONG, 1)) == ["whole"]


def test_many_requests_at_once_make_one_cache() -> None:
    seen = steps(talk(Google(), LONG, 20, at_once=True))
    assert (seen.count("made"), seen.count("deleted"), seen.count("cached")) == (1, 1, 19)


def test_a_cache_that_cannot_be_made_is_done_without() -> None:
    told = failure("gemini", 400, "Cached content is too small. total_token_count=900, min_total_token_count=1024")
    assert steps(talk(Google(ttl=told), LONG, 4)) == ["whole", "made", "whole", "whole", "whole"]


def test_a_cache_that_is_gone_costs_one_refused_request() -> None:
    told = failure("gemini", 403, "CachedContent not found (or permission denied)", code="PERMISSION_DENIED")
    google = Google(**{'"cachedContent"': told})
    assert steps(talk(google, LONG, 4)) == ["whole", "made", "cached", "whole", "whole", "whole"]


def test_a_cache_is_made_anew_before_its_life_is_over() -> None:
    times = [0.0, 1.0, LIFE / 2, LIFE - 600, LIFE]

    async def work(model: Model, server: Server) -> list[str]:
        assert isinstance(model, GeminiModel)
        caches = GeminiCaches(model._client, "gemini-2.5-flash", _CAUGHT, clock=lambda: times[0])
        names = []
        while times:
            names.append(await caches.name(LONG))
            times.pop(0)
        return names

    names = served(GEMINI, Google(), work)
    assert names == ["", "cachedContents/c1", "cachedContents/c1", "cachedContents/c2", "cachedContents/c2"]
