"""When a call is tried again, how long is waited before, and what a listener is told; the clock is the test's own."""

import asyncio
from typing import Any

import pytest

from openstrawberry.chat import Delta, Message, Reply, Request
from openstrawberry.errors import RETRYABLE, SETUP_KINDS, ErrorKind, ProviderError
from openstrawberry.models.model import Model
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.retry import UNPROVEN_ATTEMPTS, Retrying, RetryPolicy
from tests.models.wires import EVERY, OLLAMA, Wire, asked, served
from tests.servers.dialects import SPELLINGS, Said, failure
from tests.servers.http import Answer, Server

REQUEST = Request((Message(role="user", content="How many?"),))


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def fault(kind: str, **fields: Any) -> dict[str, Any]:
    return {"error": kind, **fields}


def tried(
    replies: list[Any], policy: RetryPolicy | None = None, *, jitter: float = 1.0, proven: bool = True
) -> tuple[Reply | ProviderError, list[float], int]:
    """How a call ends, what was waited, and how often the model was asked."""
    clock, model = Clock(), ScriptedModel(replies)
    retrying = Retrying(model, policy, sleep=clock.sleep, clock=clock, jitter=lambda: jitter, proven=proven)
    try:
        return asyncio.run(retrying.complete(REQUEST)), clock.slept, len(model.requests)
    except ProviderError as error:
        return error, clock.slept, len(model.requests)


def test_what_passes_is_tried_again_until_it_works() -> None:
    reply, _, calls = tried([fault("overloaded"), fault("server"), fault("timeout"), fault("malformed"), "done"])
    assert isinstance(reply, Reply)
    assert (reply.content, calls) == ("done", 5)


def test_the_wait_is_a_full_jitter_under_a_ceiling_that_doubles_up_to_its_limit() -> None:
    policy = RetryPolicy(attempts=6, base=2.0, longest=10.0)
    faults = [fault("server")] * 5
    assert tried([*faults, "done"], policy)[1] == [2, 4, 8, 10, 10]
    assert tried([*faults, "done"], policy, jitter=0.25)[1] == [0.5, 1, 2, 2.5, 2.5]


def test_retry_after_is_waited_exactly_even_beyond_the_limit() -> None:
    policy = RetryPolicy(longest=10.0)
    faults = [fault("rate_limit", retry_after=61.5), fault("overloaded", retry_after=0)]
    assert tried([*faults, "ok"], policy)[1] == [61.5, 0]


def test_attempts_run_out() -> None:
    error, slept, calls = tried([fault("overloaded")], RetryPolicy(attempts=3, base=1.0))
    assert isinstance(error, ProviderError)
    assert (error.kind, slept, calls) == ("overloaded", [1, 2], 3)


def test_time_runs_out_before_a_wait_that_would_end_too_late() -> None:
    error, slept, calls = tried([fault("rate_limit", retry_after=40)], RetryPolicy(total=100))
    assert isinstance(error, ProviderError)
    assert (slept, calls) == ([40, 40], 3)


@pytest.mark.parametrize("kind", sorted({"auth", "bad_request", "context", "not_found", "quota"}))
@pytest.mark.parametrize("proven", [False, True])
def test_what_will_not_pass_is_never_tried_again(kind: ErrorKind, proven: bool) -> None:
    assert kind not in RETRYABLE
    error, slept, calls = tried([fault(kind), "done"], proven=proven)
    assert isinstance(error, ProviderError)
    assert (error.kind, slept, calls) == (kind, [], 1)


@pytest.mark.parametrize("kind", sorted(SETUP_KINDS))
def test_before_the_first_success_an_error_of_the_set_up_is_raised_at_once(kind: ErrorKind) -> None:
    error, _, calls = tried([fault(kind, unbilled=True), "done"], proven=False)
    assert isinstance(error, ProviderError)
    assert (error.is_setup, calls) == (True, 1)


def test_a_server_that_was_reached_but_broke_off_is_asked_again_before_the_first_success() -> None:
    reply, _, calls = tried([fault("connection"), fault("connection"), "done"], proven=False)
    assert isinstance(reply, Reply)
    assert calls == 3
    error, _, calls = tried([fault("connection")] * 8 + ["done"], proven=False)
    assert isinstance(error, ProviderError)
    assert calls == UNPROVEN_ATTEMPTS


def test_a_limit_is_waited_out_even_before_the_first_success() -> None:
    reply, slept, _ = tried([fault("rate_limit", retry_after=3), "done"], proven=False)
    assert isinstance(reply, Reply)
    assert slept == [3]


def test_after_the_first_success_a_lost_connection_is_tried_again() -> None:
    clock, model = Clock(), ScriptedModel(["one", fault("connection"), "two"])
    retrying = Retrying(model, sleep=clock.sleep, clock=clock)

    async def session() -> list[str]:
        return [(await retrying.complete(REQUEST)).content for _ in range(2)]

    assert asyncio.run(session()) == ["one", "two"]
    assert retrying.proven
    assert len(clock.slept) == 1


def test_each_retry_is_reported_with_its_error_number_and_wait() -> None:
    told: list[tuple[str, int, float]] = []
    clock = Clock()
    retrying = Retrying(
        ScriptedModel([fault("overloaded"), fault("rate_limit", retry_after=5), "done"]),
        sleep=clock.sleep,
        clock=clock,
        jitter=lambda: 1.0,
        on_retry=lambda error, attempt, wait: told.append((error.kind, attempt, wait)),
    )
    asyncio.run(retrying.complete(REQUEST))
    assert told == [("overloaded", 1, 1.0), ("rate_limit", 2, 5.0)]


def test_a_mistake_of_ours_is_not_tried_again() -> None:
    def broken(request: Request) -> str:
        raise KeyError("ours")

    model = ScriptedModel(answer=broken)
    with pytest.raises(KeyError):
        asyncio.run(Retrying(model, proven=True).complete(REQUEST))
    assert len(model.requests) == 1


@pytest.mark.parametrize("wire", EVERY, ids=str)
def test_a_stream_that_breaks_off_starts_again_and_says_so(wire: Wire) -> None:
    whole = SPELLINGS[wire.protocol](Said("One step."), True)
    assert whole.chunks is not None
    broken = Answer(headers=whole.headers, chunks=whole.chunks[:-2], fault="cut")
    heard: list[Delta] = []
    clock = Clock()

    async def work(model: Model, server: Server) -> Reply:
        retrying = Retrying(model, sleep=clock.sleep, clock=clock, proven=True)
        return await retrying.complete(asked(), heard.append)

    reply = served(wire, [broken, Said("Another step.")], work)
    restart = heard.index(Delta("", "restart"))
    assert restart > 0
    assert "".join(delta.text for delta in heard[restart:]) == reply.content == "Another step."


def test_a_stream_that_never_began_has_nothing_to_take_back() -> None:
    heard: list[Delta] = []
    clock = Clock()

    async def work(model: Model, server: Server) -> Reply:
        return await Retrying(model, sleep=clock.sleep, clock=clock).complete(asked(), heard.append)

    served(OLLAMA, [failure("ollama", 429, "Busy.", retry_after="2"), Said("ok")], work)
    assert [delta.text for delta in heard] == ["ok"]
    assert clock.slept == [2]
