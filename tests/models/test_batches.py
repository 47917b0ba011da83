"""The batch APIs through the real SDKs, against servers that speak as the providers do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from openstrawberry.chat import Reply, Request
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.batch import BATCHING, BatchApi, BatchEntry, Outcome, batches_of
from openstrawberry.models.model import Model
from openstrawberry.models.providers.openai_batches import OpenAIBatches
from openstrawberry.models.registry import open_model
from openstrawberry.settings import Settings
from tests.engine.batch_runs import WIRES
from tests.models.wires import asked
from tests.servers.batches import Answerer, BatchServer, Conversation
from tests.servers.dialects import Said, failure
from tests.servers.http import Answer, Server

T = TypeVar("T")
every_dialect = pytest.mark.parametrize("dialect", WIRES)


def using(dialect: str, answer: Answerer, work: Callable[[BatchApi, BatchServer, Model], Awaitable[T]]) -> T:
    """Runs `work` with the batch API of a provider in front of a server."""

    async def session() -> T:
        handler = BatchServer(dialect, answer, polls=1)
        async with Server(handler) as server:
            model = open_model(WIRES[dialect].spec, WIRES[dialect].settings(server.url))
            try:
                return await work(batches_of(model), handler, model)
            finally:
                await model.close()

    return asyncio.run(session())


def requests(*texts: str, **fields: Any) -> list[Request]:
    return [replace(asked(text, **fields), key=f"{number:032x}") for number, text in enumerate(texts)]


async def fetched(api: BatchApi, batch: str) -> dict[str, Outcome]:
    async with aclosing(api.results(batch)) as results:
        return {key: outcome async for key, outcome in results}


async def through(api: BatchApi, given: list[Request]) -> list[Outcome]:
    """The outcome of each request, through one batch."""
    batch = await api.submit([api.item(request) for request in given], "tag")
    assert (await api.state(batch)).status == "ended"
    found = await fetched(api, batch)
    return [found.get(request.key) for request in given]


def test_the_providers_that_are_named_are_those_that_have_batches() -> None:
    assert set(BATCHING) == set(WIRES)


@pytest.mark.parametrize("spec", ["compat:local@http://127.0.0.1:9/v1", "ollama:mistral", "berry", "deepseek:chat"])
def test_a_provider_without_batches_is_refused_with_those_that_have_them(spec: str) -> None:
    async def work() -> None:
        model = open_model(spec, Settings({"DEEPSEEK_API_KEY": "k"}))
        try:
            with pytest.raises(SetupError, match=r"has no batch API.* choose a --model of openai, azure,.* or mistral"):
                batches_of(model)
        finally:
            await model.close()

    asyncio.run(work())


def worded(conversation: Conversation, key: str) -> Said | Answer | None:
    """Answers by what the last user turn says."""
    turn = conversation[-1]
    content = turn.get("content") or turn["parts"]
    text = content if isinstance(content, str) else content[0]["text"]
    match text:
        case "cut":
            return Said("It goes on and", finish="length")
        case "filter":
            return Said("No.", finish="filter")
        case "expire":
            return None
        case "busy":
            return failure("openai", 529, "busy", "overloaded_error")
        case "wrong":
            return failure("openai", 400, "this one I do not like", "invalid_request_error")
    return Said(f"To {text}.", reasoning="hm")


@every_dialect
def test_each_request_gets_its_own_outcome(dialect: str) -> None:
    async def work(api: BatchApi, server: BatchServer, model: Model) -> list[Outcome]:
        return await through(api, requests("a", "cut", "filter", "expire", "busy", "wrong"))

    said, cut, filtered, expired, busy, wrong = using(dialect, worded, work)
    assert isinstance(said, Reply)
    assert (said.content, said.finish_reason, said.reasoning) == ("To a.", "stop", "hm")
    assert (said.usage.input, said.usage.cached_input, said.usage.output) == (100, 60, 30)
    assert said.model == f"{dialect}:served"
    assert isinstance(cut, Reply)
    assert cut.finish_reason == "length"
    assert isinstance(filtered, Reply)
    assert filtered.finish_reason == "filter"
    assert expired is None
    assert isinstance(busy, ProviderError)
    assert busy.retryable
    assert isinstance(wrong, ProviderError)
    assert (wrong.kind, wrong.retryable) == ("bad_request", False)
    assert "this one I do not like" in str(wrong)


@every_dialect
def test_a_batch_holds_what_would_be_asked_live(dialect: str) -> None:
    (request,) = requests("a", temperature=0.5, top_p=0.9, max_tokens=77, stop=("x",), seed=3)

    async def work(api: BatchApi, server: BatchServer, model: Model) -> tuple[dict[str, Any], dict[str, Any]]:
        await model.complete(request)
        await api.submit([api.item(request)], "tag")
        return server.live[0], next(iter(server.batches.values())).rows[0][1]

    live, row = using(dialect, worded, work)
    if dialect == "mistral":
        live.pop("model")
    assert row == live


@every_dialect
def test_a_batch_is_found_again_by_its_entry(dialect: str) -> None:
    async def work(api: BatchApi, server: BatchServer, model: Model) -> None:
        mine, other = requests("a", "b", "c"), requests("d", "e")
        entry = BatchEntry("tag", "", tuple(request.key for request in mine), created=0.0)
        assert await api.find(entry, ()) is None
        await api.submit([api.item(request) for request in other], "another tag")
        assert await api.find(entry, ()) is None
        batch = await api.submit([api.item(request) for request in mine], "tag")
        assert await api.find(entry, ()) == batch
        assert await api.find(entry, {batch}) is None
        await api.state(batch)
        assert await api.find(entry, ()) == batch

    using(dialect, worded, work)


def test_at_anthropic_an_ended_batch_of_the_same_size_with_other_ids_is_not_ours() -> None:
    async def work(api: BatchApi, server: BatchServer, model: Model) -> str | None:
        theirs = [replace(request, key="f" * 32) for request in requests("a")]
        await api.state(await api.submit([api.item(request) for request in theirs], ""))
        return await api.find(BatchEntry("tag", "", ("0" * 32,), created=0.0), ())

    assert using("anthropic", worded, work) is None


@every_dialect
def test_a_cancelled_batch_keeps_what_it_has_answered(dialect: str) -> None:
    async def work(api: BatchApi, server: BatchServer, model: Model) -> dict[str, Outcome]:
        batch = await api.submit([api.item(request) for request in requests("a", "b", "c", "d")], "tag")
        await api.cancel(batch)
        assert (await api.state(batch)).status == "ended"
        return await fetched(api, batch)

    replies = [outcome for outcome in using(dialect, worded, work).values() if outcome is not None]
    assert [reply.content for reply in replies if isinstance(reply, Reply)] == ["To a.", "To b."]


@pytest.mark.parametrize("dialect", ["openai", "azure", "groq", "mistral", "anthropic"])
def test_a_parameter_that_is_refused_is_left_out_from_then_on(dialect: str) -> None:
    told = "Unsupported parameter: 'temperature' is not supported with this model."

    def picky(conversation: Conversation, key: str) -> Answer:
        return failure(WIRES[dialect].protocol, 400, told, "invalid_request_error")

    async def work(api: BatchApi, server: BatchServer, model: Model) -> None:
        given = requests("a", "b", temperature=0.5)
        assert await through(api, given) == [None, None]
        await api.submit([api.item(request) for request in given], "second")
        first, second = server.batches.values()
        assert all("temperature" in body for _, body in first.rows)
        assert not any("temperature" in body for _, body in second.rows)

    using(dialect, picky, work)


@pytest.mark.parametrize("dialect", ["openai", "azure", "groq", "mistral"])
def test_a_batch_that_is_turned_down_says_why(dialect: str) -> None:
    async def work(api: BatchApi, server: BatchServer, model: Model) -> None:
        server.turn_down = lambda batch: ("token_limit_exceeded", "Enqueued token limit reached.")
        state = await api.state(await api.submit([api.item(request) for request in requests("a")], "tag"))
        assert (state.status, state.error is not None) == ("failed", True)
        assert "Enqueued token limit reached." in str(state.error)
        if dialect != "mistral":  # it gives no code
            assert state.error is not None
            assert state.error.retryable

    using(dialect, worded, work)


@every_dialect
def test_a_batch_that_the_provider_does_not_know_is_an_error(dialect: str) -> None:
    async def work(api: BatchApi, server: BatchServer, model: Model) -> str:
        with pytest.raises(ProviderError) as caught:
            await api.state("batches/nothing" if dialect == "gemini" else "nothing")
        return caught.value.kind

    assert using(dialect, worded, work) == "not_found"


def test_what_azure_calls_its_path_and_mistral_its_jobs() -> None:
    async def paths(dialect: str) -> list[str]:
        handler = BatchServer(dialect, worded)
        async with Server(handler) as server:
            model = open_model(WIRES[dialect].spec, WIRES[dialect].settings(server.url))
            api = batches_of(model)
            assert isinstance(api, OpenAIBatches)
            await api.submit([api.item(request) for request in requests("a")], "tag")
            await model.close()
            return [received.path.partition("?")[0] for received in server.requests]

    assert asyncio.run(paths("azure")) == ["/openai/files", "/openai/batches"]
    assert asyncio.run(paths("mistral")) == ["/v1/files", "/v1/batch/jobs"]
    assert asyncio.run(paths("groq")) == ["/openai/v1/files", "/openai/v1/batches"]
