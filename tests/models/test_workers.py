"""Requests that worker processes send."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from openstrawberry.chat import Delta, Message, OnDelta, Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.registry import open_with, openings
from openstrawberry.models.worker import Worker
from openstrawberry.models.workers import Workers, read_frame
from tests.models.wires import ANTHROPIC, OPENAI, Wire, asked
from tests.servers.dialects import Said, Speaker
from tests.servers.http import Answer, Handler, Received, Server

T = TypeVar("T")


def working(
    handler: Handler,
    work: Callable[[Workers, Server], Awaitable[T]],
    wire: Wire = OPENAI,
    count: int = 2,
    **options: object,
) -> T:
    """Run `work` with workers in front of a server."""

    async def session() -> T:
        async with Server(handler) as server:
            (opening,) = openings(wire.spec, wire.settings(server.url), **options)
            model = Workers(open_with(opening), opening, count)
            try:
                return await work(model, server)
            finally:
                await model.close()

    return asyncio.run(session())


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC], ids=str)
def test_replies_pieces_and_headers_come_back_from_the_workers(wire: Wire) -> None:
    headers: list[str] = []
    pieces: list[Delta] = []

    async def talk(model: Workers, _: Server) -> tuple[str, str]:
        whole = await model.complete(asked("One?", cache_key="a"))
        streamed = await model.complete(asked("Two?", cache_key="b"), pieces.append)
        return whole.content, streamed.content

    said = Speaker(wire.protocol, [Said("first"), Said("second")])
    assert working(said, talk, wire, heard=headers.extend) == ("first", "second")
    assert "".join(piece.text for piece in pieces) == "second"
    assert "content-type" in headers


def test_a_conversation_arrives_whole_though_only_its_new_turns_cross_over() -> None:
    bodies: list[bytes] = []
    speaker = Speaker("openai", [Said("ok")] * 4)

    async def hear(received: Received) -> Answer:
        bodies.append(received.body)
        return speaker(received)

    async def talk(model: Workers, _: Server) -> None:
        first = asked("One?", cache_key="a")
        await model.complete(first)
        longer = (*first.messages, Message(role="assistant", content="ok"), Message(role="user", content="Two?"))
        for messages in (longer, longer[:2], longer):  # another branch, and back
            await model.complete(replace(first, messages=messages))

    working(hear, talk)
    assert [body.count(b'"role"') for body in bodies] == [2, 4, 2, 4]
    assert bodies[1] == bodies[3]


def test_an_error_crosses_over_with_all_that_the_retry_needs() -> None:
    async def busy(_: Received) -> Answer:
        return Answer.of({"error": {"message": "slow down"}}, status=429, retry_after="7")

    async def talk(model: Workers, _: Server) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await model.complete(asked())
        return caught.value

    error = working(busy, talk)
    assert (error.kind, error.status, error.retry_after, error.provider) == ("rate_limit", 429, 7.0, "openai")
    assert error.unbilled
    assert str(error).endswith(error.hint)


def test_a_worker_that_is_killed_costs_its_requests_and_is_started_anew() -> None:
    arrived = asyncio.Event()
    speaker = Speaker("openai", [Said("ok")] * 2)

    async def hear(received: Received) -> Answer:
        if not arrived.is_set():
            arrived.set()
            await asyncio.Event().wait()
        return speaker(received)

    async def talk(model: Workers, _: Server) -> str:
        asking = asyncio.create_task(model.complete(asked()))
        await arrived.wait()
        (process,) = [worker.process for worker in model.workers if worker.process]
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(ProviderError, match="worker process ended") as caught:
            await asking
        assert caught.value.retryable
        return (await model.complete(asked())).content

    assert working(hear, talk) == "ok"


class Faulty:
    """A model with a fault of its own."""

    spec = "faulty"

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        raise ZeroDivisionError("a fault")

    async def close(self) -> None: ...


def test_a_fault_in_a_worker_reaches_whoever_waits() -> None:
    async def session() -> tuple[str, int, str]:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=ours)
        reader, other = await asyncio.open_connection(sock=theirs)
        worker = Worker(Faulty(), writer)
        worker.take(("ask", 1, replace(asked(), messages=()), 0, [("user", "One?", "")], False))
        told: tuple[str, int, str] = await asyncio.wait_for(read_frame(reader), 10)
        await worker.close()
        for each in (writer, other):
            each.close()
            await each.wait_closed()
        return told

    assert asyncio.run(session()) == ("fault", 1, "ZeroDivisionError: a fault")


class Endless:
    """A model that never answers, and says whether it was told to stop."""

    spec = "endless"

    def __init__(self) -> None:
        self.asked, self.stopped = asyncio.Event(), asyncio.Event()

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()
        raise AssertionError

    async def close(self) -> None: ...


def test_a_worker_drops_a_request_that_nobody_waits_for() -> None:
    async def session() -> None:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=ours)
        model = Endless()
        worker = Worker(model, writer)
        worker.take(("ask", 1, replace(asked(), messages=()), 0, [("user", "One?", "")], False))
        await asyncio.wait_for(model.asked.wait(), 10)
        worker.take(("cancel", 1))
        await asyncio.wait_for(model.stopped.wait(), 10)
        await worker.close()
        writer.close()
        await writer.wait_closed()
        theirs.close()

    asyncio.run(session())


def test_a_cancelled_request_leaves_the_worker_free() -> None:
    speaker = Speaker("openai", [Said("ok")])
    arrived = asyncio.Event()

    def hear(received: Received) -> Answer:
        if not arrived.is_set():
            arrived.set()
            return Answer(fault="hang")
        return speaker(received)

    async def talk(model: Workers, _: Server) -> str:
        asking = asyncio.create_task(model.complete(asked()))
        await arrived.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return (await model.complete(asked())).content

    assert working(hear, talk, count=1) == "ok"
