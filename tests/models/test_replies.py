"""The reply record: asked once, kept before it is used."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from openstrawberry.chat import Message, Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.guard import Guarded
from openstrawberry.models.model import Model
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.replies import Recorded, reply_key
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.models.stack import compose
from tests.making import Memory
from tests.models.wires import ANTHROPIC, COMPAT, GEMINI, OLLAMA, OPENAI, Wire, served
from tests.servers.dialects import SPELLINGS, Said, failure
from tests.servers.http import Answer, Server

REQUEST = Request(messages=(Message(role="user", content="q"),), key="k")


def test_a_recorded_reply_is_not_asked_again() -> None:
    record = Memory()
    model = ScriptedModel(["one", "two"])

    async def twice() -> tuple[Reply, Reply]:
        first = await Recorded(model, record).complete(REQUEST)
        return first, await Recorded(model, record).complete(REQUEST)

    first, second = asyncio.run(twice())
    assert first == second
    assert len(model.requests) == 1


def test_one_key_is_never_on_its_way_twice() -> None:
    calls = 0

    async def slowly(request: Request) -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return "x"

    async def many() -> list[Reply]:
        recorded = Recorded(ScriptedModel(answer=slowly), Memory())
        return await asyncio.gather(*(recorded.complete(REQUEST) for _ in range(20)))

    assert len(set(asyncio.run(many()))) == 1
    assert calls == 1


def test_a_failed_call_is_not_recorded_and_whoever_waits_asks_itself() -> None:
    calls = 0

    async def failing_once(request: Request) -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls == 1:
            raise ProviderError("down", provider="scripted", kind="server")
        return "x"

    async def both() -> list[object]:
        recorded = Recorded(ScriptedModel(answer=failing_once), Memory())
        return await asyncio.gather(*(recorded.complete(REQUEST) for _ in range(2)), return_exceptions=True)

    first, second = asyncio.run(both())
    assert isinstance(first, ProviderError)
    assert isinstance(second, Reply)
    assert calls == 2


def test_a_reply_is_on_record_before_anybody_sees_it() -> None:
    order: list[str] = []

    class Noting(Memory):
        async def keep(self, key: str, reply: Reply) -> None:
            await asyncio.sleep(0)
            order.append("kept")

    async def go() -> None:
        await Recorded(ScriptedModel(["x"]), Noting()).complete(REQUEST)
        order.append("used")

    asyncio.run(go())
    assert order == ["kept", "used"]


def test_a_replay_proves_nothing_about_the_model() -> None:
    record = Memory()
    record.replies["k"] = Reply(content="x")
    recorded = Recorded(ScriptedModel(["y"]), record)
    asyncio.run(recorded.complete(REQUEST))
    assert not recorded.proven


def test_everything_that_decides_a_reply_is_in_its_key() -> None:
    keys = {
        reply_key("m", "solver", REQUEST, "chain", 0, 0), reply_key("n", "solver", REQUEST, "chain", 0, 0),
        reply_key("m", "critic", REQUEST, "chain", 0, 0), reply_key("m", "solver", REQUEST, "other", 0, 0),
        reply_key("m", "solver", REQUEST, "chain", 1, 0), reply_key("m", "solver", REQUEST, "chain", 0, 1),
        *(reply_key("m", "solver", REQUEST, "chain", 0, 0, place) for place in ((1,), (1, 0))),
        *(reply_key("m", "solver", replace(REQUEST, **{name: value}), "chain", 0, 0) for name, value in (
            ("temperature", 0.5), ("top_p", 0.5), ("max_tokens", 5), ("stop", ("x",)), ("seed", 5),
            ("reasoning", "low"), ("response_schema", {"type": "object"}), ("thoughts", True))),
    }  # fmt: skip
    assert len(keys) == 16


@pytest.mark.parametrize("content", ["", "  \n ", "x" * 1_048_576])
def test_nothing_and_a_megabyte_are_malformed(content: str) -> None:
    with pytest.raises(ProviderError) as caught:
        asyncio.run(Guarded(ScriptedModel(answer=lambda request: content)).complete(REQUEST))
    assert caught.value.kind == "malformed"
    assert caught.value.retryable


def test_a_reply_that_was_all_thought_and_then_cut_is_left_alone() -> None:
    cut = Reply(content="", reasoning="hm", finish_reason="length")
    assert asyncio.run(Guarded(ScriptedModel(answer=lambda request: cut)).complete(REQUEST)) == cut


def test_half_a_surrogate_pair_cannot_reach_the_disk() -> None:
    assert Reply(content="ok \ud83d").content.encode("utf-8") == b"ok ?"


def recorded(
    wire: Wire, answers: list[Answer], stream: bool = False
) -> tuple[list[Reply | ProviderError], Memory, int]:
    """Asks as often as there are `answers`, through all wrappers: what came, what was recorded, what was sent."""
    record = Memory()

    async def work(model: Model, server: Server) -> tuple[list[Reply | ProviderError], int]:
        whole = compose(model, record, RetryPolicy(attempts=1), lambda *_: None)
        came: list[Reply | ProviderError] = []
        for _ in answers:
            try:
                came.append(await whole.complete(REQUEST, (lambda delta: None) if stream else None))
            except ProviderError as error:
                came.append(error)
        return came, len(server.requests)

    came, sent = served(wire, answers, work)
    return came, record, sent


every_protocol = pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, GEMINI, OLLAMA], ids=str)
BROKEN: dict[str, Callable[[str], Answer]] = {
    "cut in mid-stream": lambda protocol: replace(
        cut_short(SPELLINGS[protocol](Said("half of it"), True)), fault="cut"
    ),
    "refused": lambda protocol: failure(protocol, 400, "no"),
    "overloaded": lambda protocol: failure(protocol, 503, "busy"),
    "empty": lambda protocol: SPELLINGS[protocol](Said(""), True),
}


def cut_short(answer: Answer) -> Answer:
    """The first half of a stream."""
    assert answer.chunks is not None
    return replace(answer, chunks=answer.chunks[: len(answer.chunks) // 2])


@every_protocol
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_broke_off_is_not_recorded_and_is_asked_again(wire: Wire, broken: Callable[[str], Answer]) -> None:
    answers = [broken(wire.protocol), SPELLINGS[wire.protocol](Said("whole"), True)]
    (first, second), record, asked = recorded(wire, answers, stream=True)
    assert isinstance(first, ProviderError)
    assert isinstance(second, Reply)
    assert asked == 2
    assert record.replies == {"k": second}


@every_protocol
def test_a_reply_cut_at_max_tokens_was_paid_for_and_is_replayed(wire: Wire) -> None:
    cut = SPELLINGS[wire.protocol](Said("half of i", finish="length"), False)
    (first, second), record, asked = recorded(wire, [cut, cut])
    assert isinstance(first, Reply)
    assert first.finish_reason == "length"
    assert (first, asked) == (second, 1)
    assert list(record.replies) == ["k"]


def test_more_room_is_another_reply() -> None:
    keys = {reply_key("m", "solver", replace(REQUEST, max_tokens=limit), "chain", 0, 0) for limit in (100, 100, 200)}
    assert len(keys) == 2


def test_a_filtered_reply_is_not_asked_for_again() -> None:
    filtered = SPELLINGS["openai"](Said("", finish="filter"), False)
    (first, second), _, asked = recorded(COMPAT, [filtered, filtered])
    assert isinstance(first, Reply)
    assert (first, asked) == (second, 1)
