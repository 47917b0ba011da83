"""Several models or keys share one spec's load, and a trace stays with one of them while it can."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from openstrawberry.chat import Delta, Message, Reply, Request
from openstrawberry.errors import ErrorKind, ProviderError, SetupError
from openstrawberry.models.gate import Gate, Pace
from openstrawberry.models.limits import Limited
from openstrawberry.models.model import Model, specs_in, without_address
from openstrawberry.models.opening import open_members
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.spread import Spread
from openstrawberry.models.stack import Member
from openstrawberry.settings import Settings
from tests.models.wires import OPENAI, asked
from tests.servers.dialects import Said, openai
from tests.servers.http import Answer, Received, Server
from tests.virtual import now, virtually

REQUEST = Request((Message(role="user", content="How many?"),))
NO_PACE = Pace()


def request(trace: int) -> Request:
    return replace(REQUEST, cache_key=f"trace {trace}")


def trouble(kind: ErrorKind, retry_after: float | None = None) -> ProviderError:
    return ProviderError("No.", provider="test", kind=kind, retry_after=retry_after, hint="Wait.")


def member(name: str, *items: str | ProviderError, pace: Pace = NO_PACE, latency: float = 1.0) -> Limited:
    """A member that says or raises `items` one after the other; the last repeats."""
    left = list(items or (name,))

    async def answer(request: Request) -> Reply:
        await asyncio.sleep(latency)
        item = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(item, ProviderError):
            raise item
        return Reply(content=item, finish_reason="stop", model=name)

    clock = asyncio.get_running_loop().time
    return Limited(ScriptedModel(answer=answer, spec=name), Gate("test", 64, pace, clock=clock))


def spread(*members: Limited) -> Spread:
    return Spread(members, members, ",".join(each.spec for each in members))


def preferring(first: int, of: int = 2) -> Request:
    """A request of a trace whose first choice is the member at that place."""

    async def work() -> Request:
        model = spread(*(member(str(number)) for number in range(of)))
        for trace in range(100):
            if (await model.complete(request(trace))).content == str(first):
                return request(trace)
        raise AssertionError("no trace prefers it")

    return virtually(work)


def test_traces_are_shared_out_and_each_stays_where_its_cache_is() -> None:
    async def work() -> list[set[str]]:
        model = spread(member("a"), member("b"), member("c"))
        return [{(await model.complete(request(trace))).model for _ in range(5)} for trace in range(60)]

    answered = virtually(work)
    assert all(len(who) == 1 for who in answered)
    counts = Counter(name for who in answered for name in who)
    assert min(counts[name] for name in "abc") >= 10


@pytest.mark.parametrize("kind", ["rate_limit", "overloaded", "server", "connection", "timeout", "malformed", "quota"])
def test_a_failure_that_may_pass_elsewhere_moves_the_trace_on_at_once(kind: ErrorKind) -> None:
    async def work() -> tuple[str, float]:
        model = spread(member("a", trouble(kind, retry_after=60), "a"), member("b"))
        return (await model.complete(preferred)).model, now()

    preferred = preferring(0)
    assert virtually(work) == ("b", 2)


@pytest.mark.parametrize("kind", ["auth", "not_found", "bad_request", "context"])
def test_a_failure_that_would_be_the_same_elsewhere_or_needs_the_user_is_raised(kind: ErrorKind) -> None:
    async def work() -> None:
        model = spread(member("a", trouble(kind)), member("b"))
        with pytest.raises(ProviderError) as caught:
            await model.complete(preferred)
        assert caught.value.kind == kind

    preferred = preferring(0)
    virtually(work)


def test_a_member_that_is_held_back_is_passed_by_until_it_is_free_again() -> None:
    async def work() -> list[str]:
        model = spread(member("a", trouble("rate_limit", retry_after=30), "a"), member("b"))
        said = [(await model.complete(preferred)).model for _ in range(3)]
        await asyncio.sleep(30)
        return [*said, (await model.complete(preferred)).model]

    preferred = preferring(0)
    assert virtually(work) == ["b", "b", "b", "a"]


def test_a_member_without_quota_is_not_asked_again() -> None:
    async def work() -> tuple[list[str], int]:
        asks: list[Request] = []
        empty = member("a", trouble("quota"))
        model = spread(empty, member("b"))
        for trace in range(40):
            asks.append(request(trace))
        said = [(await model.complete(each)).model for each in asks]
        inner = empty._model
        assert isinstance(inner, ScriptedModel)
        return said, len(inner.requests)

    said, asks = virtually(work)
    assert (set(said), asks) == ({"b"}, 1)


def test_when_nobody_has_quota_it_says_who_is_back_first() -> None:
    async def work() -> list[float | None]:
        model = spread(member("a", trouble("quota", 7200)), member("b", trouble("quota", 3600)))
        told = []
        for _ in range(2):
            with pytest.raises(ProviderError, match="It resumes at") as caught:
                await model.complete(REQUEST)
            assert caught.value.kind == "quota"
            told.append(caught.value.retry_after)
        return told

    assert virtually(work) == [3600, 3600]


def test_while_one_may_answer_later_it_is_no_quota() -> None:
    async def work() -> ProviderError:
        model = spread(member("a", trouble("quota", 3600)), member("b", trouble("overloaded", 5)))
        with pytest.raises(ProviderError) as caught:
            await model.complete(REQUEST)
        return caught.value

    error = virtually(work)
    assert (error.kind, error.retry_after) == ("overloaded", 5)


def test_two_keys_carry_twice_the_load() -> None:
    async def work() -> float:
        pace = Pace(requests_per_minute=60)
        model = spread(member("a", pace=pace), member("b", pace=pace))
        await asyncio.gather(*(model.complete(request(trace)) for trace in range(240)))
        return now()

    assert virtually(work) < 1.05 * 120 / 0.98


def test_what_one_member_would_keep_waiting_goes_to_the_other_even_if_nobody_prefers_it() -> None:
    async def work() -> tuple[float, Counter[str]]:
        pace = Pace(requests_per_minute=60)
        model = spread(member("a", pace=pace), member("b", pace=pace))
        replies = await asyncio.gather(*(model.complete(preferred) for _ in range(60)))
        return now(), Counter(reply.model for reply in replies)

    preferred = preferring(0)
    ended, who = virtually(work)
    assert ended < 35
    assert who["a"] in (30, 31)


def test_a_stream_that_moves_on_takes_back_what_was_heard() -> None:
    heard: list[Delta] = []

    class Breaking:
        spec = "breaking"

        async def complete(self, request: Request, on_delta: object = None) -> Reply:
            assert callable(on_delta)
            on_delta(Delta("half a"))
            raise trouble("connection")

        async def close(self) -> None: ...

    async def work() -> Reply:
        first: Model = Breaking()
        gate = Gate("test", 1, clock=asyncio.get_running_loop().time)
        return await spread(Limited(first, gate), member("b", "whole")).complete(preferred, heard.append)

    preferred = preferring(0)
    assert virtually(work).content == "whole"
    assert [delta.channel for delta in heard] == ["content", "restart", "content"]


# What is written after --model, and in the key variables.


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("groq:llama,cerebras:llama", ("groq:llama", "cerebras:llama")),
        ("groq:llama , cerebras", ("groq:llama", "cerebras")),
        ("ollama:mistral:v0.3", ("ollama:mistral:v0.3",)),
        ("compat:a@http://h/v1,compat:b@https://h:8/v1", ("compat:a@http://h/v1", "compat:b@https://h:8/v1")),
        ("scripted:/tmp/a,b.yaml", ("scripted:/tmp/a,b.yaml",)),
    ],
)
def test_specs_are_parted_at_commas_between_them(text: str, specs: tuple[str, ...]) -> None:
    assert specs_in(text) == specs


def test_the_spec_of_the_whole_is_what_was_written_and_keeps_no_address() -> None:
    assert without_address("compat:a@http://h/v1,compat:b@https://h:8/v1") == "compat:a,compat:b"
    assert without_address("compat:org/m:1@http://127.0.0.1:8000/v1") == "compat:org/m:1"


def opened(text: str, **variables: str) -> tuple[str, list[Member]]:
    spec, members = open_members(text, Settings(variables), lambda provider: Gate(provider, 4))
    for each in members:
        asyncio.run(each.model.close())
    return spec, members


def test_every_model_and_every_key_becomes_a_member_with_limits_of_its_own() -> None:
    spec, members = opened(
        "groq:llama, openai", GROQ_API_KEY="gsk", OPENAI_API_KEY="[sk-a, sk-b]", OPENAI_MODEL_NAME="[gpt, other]"
    )
    assert spec == "groq:llama,openai:gpt"
    assert [each.model.spec for each in members] == ["groq:llama", "openai:gpt", "openai:gpt"]
    assert len({id(each.gate) for each in members}) == 3
    assert [each.gate.provider for each in members] == ["groq", "openai", "openai"]


def test_several_keys_of_one_model_leave_its_spec_as_it_was() -> None:
    assert opened("openai:gpt", OPENAI_API_KEY="sk-a, sk-b")[0] == "openai:gpt"


@pytest.mark.parametrize("keys", ["[sk-a, sk-b", "[sk-a sk-b]", "sk-a, sk-a", "['sk-a, sk-b]"])
def test_keys_that_cannot_be_read_are_refused_and_not_shown(keys: str) -> None:
    with pytest.raises(SetupError) as caught:
        opened("openai:gpt", OPENAI_API_KEY=keys)
    assert str(caught.value).endswith('Write it as OPENAI_API_KEY="[first-key, second-key]".')
    assert "sk-a" not in str(caught.value)


def test_a_model_that_stands_twice_is_refused() -> None:
    with pytest.raises(SetupError, match="name each model once"):
        opened("openai:gpt,openai:gpt", OPENAI_API_KEY="k")


def test_both_keys_reach_the_wire_and_neither_shows() -> None:
    async def session() -> tuple[Counter[str], list[str]]:
        seen: Counter[str] = Counter()
        errors: list[str] = []

        def answer(received: Received) -> Answer:
            key = received.headers["authorization"]
            seen[key] += 1
            return openai(Said(), False) if key.endswith("sk-b") else Answer.of({"error": {"message": f"{key}?"}}, 503)

        async with Server(answer) as server:
            settings = OPENAI.settings(server.url, OPENAI_API_KEY='["sk-a", "sk-b"]')
            spec, members = open_members("openai:gpt", settings, lambda provider: Gate(provider, 4))
            limited = [Limited(each.model, each.gate) for each in members]
            model = Spread(limited, limited, spec)
            for trace in range(20):
                await model.complete(replace(asked(), cache_key=f"{trace}"))
            try:
                await limited[0].complete(asked())
            except ProviderError as error:
                errors += [str(error), repr(error), repr(members)]
            await model.close()
        return seen, errors

    seen, errors = asyncio.run(session())
    assert seen["Bearer sk-b"] == 20
    assert 2 <= seen["Bearer sk-a"] <= 20
    assert errors
    assert "sk-a" not in "".join(errors)


@pytest.mark.parametrize("kind", ["auth", "not_found"])
def test_a_key_or_a_model_that_is_taken_away_in_mid_run_leaves_the_load_to_the_others(kind: ErrorKind) -> None:
    async def work() -> list[str]:
        model = spread(member("a", "a", trouble(kind)), member("b"))
        return [(await model.complete(preferred)).model for _ in range(3)]

    preferred = preferring(0)
    assert virtually(work) == ["a", "b", "b"]


def test_an_empty_account_without_a_date_is_no_reason_to_say_when_it_resumes() -> None:
    async def work() -> float | None:
        model = spread(member("a", trouble("quota")), member("b", trouble("quota", 3600)))
        with pytest.raises(ProviderError, match="It resumes at") as caught:
            await model.complete(REQUEST)
        return caught.value.retry_after

    assert virtually(work) == 3600
