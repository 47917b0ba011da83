"""Whole conversations through every SDK against a provider simulator that nobody here wrote.

Needs node and npm (the package index for JavaScript); skipped with a reason where they are missing. The simulator is
installed once into the ignored folder `node_modules/` and started on a free port.
"""

import asyncio
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from openstrawberry.chat import Delta, Message, OnDelta, Reply, Request
from openstrawberry.errors import ErrorKind, ProviderError
from openstrawberry.models.batch import BatchEntry, Outcome, batches_of
from openstrawberry.models.gate import Gate
from openstrawberry.models.guard import Guarded
from openstrawberry.models.limits import Limited
from openstrawberry.models.model import Model
from openstrawberry.models.opening import open_members
from openstrawberry.models.registry import open_model
from openstrawberry.models.retry import Retrying, RetryPolicy
from tests.models.wires import ANTHROPIC, AZURE, GEMINI, GROQ, OLLAMA, OPENAI, Wire, asked
from tests.virtual import hastily, now

pytestmark = pytest.mark.aimock

PACKAGE = "@copilotkit/aimock@1.43.0"
HOME = Path(__file__).parents[2] / "node_modules" / "aimock"
WIRES = (OPENAI, AZURE, ANTHROPIC, GEMINI, GROQ, OLLAMA)
TURNS = 6
STATUSES: tuple[tuple[int, ErrorKind], ...] = (
    (400, "bad_request"),
    (401, "auth"),
    (404, "not_found"),
    (429, "rate_limit"),
    (500, "server"),
    (503, "overloaded"),
    (529, "overloaded"),
)
T = TypeVar("T")

every_wire = pytest.mark.parametrize("wire", WIRES, ids=str)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def step(turn: int) -> str:
    return f"Step {turn}: the letters so far are s, t, r; é and “quotes” survive. " * 3


def fixtures() -> list[dict[str, Any]]:
    """What the simulator answers, by the last user message and the number of assistant turns."""
    found: list[dict[str, Any]] = [
        {"match": {"userMessage": "Go on.", "turnIndex": turn}, "response": {"content": step(turn)}}
        for turn in range(TURNS)
    ]
    for status, _ in STATUSES:
        error = {"message": f"Simulated {status}.", "type": "simulated"}
        waiting = {"retryAfter": 3} if status == 429 else {}
        response = {"error": error, "status": status, **waiting}
        found.append({"match": {"userMessage": f"Fail with {status}."}, "response": response})
    for wire in WIRES:
        said = f"Fail once, {wire}."
        error = {"error": {"message": "Simulated.", "type": "simulated"}, "status": 503}
        found.append({"match": {"userMessage": said, "sequenceIndex": 0}, "response": error})
        found.append({"match": {"userMessage": said, "sequenceIndex": 1}, "response": {"content": "Now it works."}})
    cut = {"latency": 60, "chunkSize": 5, "truncateAfterChunks": 4}
    found.append({"match": {"userMessage": "Break off."}, "response": {"content": step(0)}, **cut})
    return found


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running simulator."""
    program = installed()
    folder = tmp_path_factory.mktemp("aimock")
    path = folder / "fixtures.json"
    path.write_text(json.dumps({"fixtures": fixtures()}), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        command = ["node", str(program), "-p", str(port), "-f", str(path)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(f"http://127.0.0.1:{port}/v1/models", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def installed() -> Path:
    """The simulator's program, installed if it is not there."""
    program = HOME / "node_modules" / ".bin" / "llmock"
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    if not program.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(HOME), PACKAGE]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("npm did not finish in 180 seconds")
        if done.returncode:
            pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip()[-200:]}")
    return program


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when something answers at `url`."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    pytest.fail(f"the simulator did not start: {log.read_text(encoding='utf-8')[-500:]}")


def using(simulator: str, wire: Wire, work: Callable[[Model], Awaitable[T]], **headers: str) -> T:
    async def session() -> T:
        model = open_model(wire.spec, wire.settings(simulator), headers=headers)
        try:
            return await work(model)
        finally:
            await model.close()

    return asyncio.run(session())


@both_ways
@every_wire
def test_a_conversation_of_six_turns_runs_to_its_end(simulator: str, wire: Wire, stream: bool) -> None:
    async def work(model: Model) -> tuple[Message, ...]:
        messages = asked("Go on.", "Think.").messages
        for turn in range(TURNS):
            heard: list[Delta] = []
            reply = await model.complete(Request(messages, temperature=0.5), heard.append if stream else None)
            assert reply.content == step(turn)
            assert reply.finish_reason == "stop"
            if wire in (OPENAI, AZURE, GROQ):  # the simulator counts nothing for the others
                assert (reply.usage.output or 0) > 0
            if stream:
                assert "".join(delta.text for delta in heard) == reply.content
                assert len(heard) > 1
            messages += (Message(role="assistant", content=reply.content), Message(role="user", content="Go on."))
        return messages

    assert len(using(simulator, wire, work)) == 2 + 2 * TURNS


@every_wire
def test_eight_conversations_at_once_do_not_mix(simulator: str, wire: Wire) -> None:
    async def one(model: Model) -> list[str]:
        messages, said = asked("Go on.", "Think.").messages, []
        for _ in range(TURNS):
            reply = await model.complete(Request(messages))
            said.append(reply.content)
            messages += (Message(role="assistant", content=reply.content), Message(role="user", content="Go on."))
        return said

    async def work(model: Model) -> list[list[str]]:
        return await asyncio.gather(*(one(model) for _ in range(8)))

    assert using(simulator, wire, work) == [[step(turn) for turn in range(TURNS)]] * 8


@both_ways
@every_wire
def test_each_status_ends_as_its_kind(simulator: str, wire: Wire, stream: bool) -> None:
    async def work(model: Model) -> None:
        for status, kind in STATUSES:
            with pytest.raises(ProviderError) as caught:
                await model.complete(asked(f"Fail with {status}."), (lambda delta: None) if stream else None)
            assert (caught.value.kind, caught.value.status) == (kind, status)
            assert caught.value.retry_after == (3 if status == 429 else None)

    using(simulator, wire, work)


@every_wire
def test_a_failure_that_passes_is_retried(simulator: str, wire: Wire) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def work(model: Model) -> str:
        return (await Retrying(model, sleep=sleep).complete(asked(f"Fail once, {wire}."))).content

    assert using(simulator, wire, work) == "Now it works."
    assert len(waited) == 1


@every_wire
def test_a_stream_that_is_cut_is_a_connection_error(simulator: str, wire: Wire) -> None:
    async def work(model: Model) -> list[Delta]:
        heard: list[Delta] = []
        with pytest.raises(ProviderError) as caught:
            await model.complete(asked("Break off."), heard.append)
        assert (caught.value.kind, caught.value.retryable) == ("connection", True)
        return heard

    assert using(simulator, wire, work)


@pytest.mark.parametrize("wire", [OPENAI, GROQ], ids=str)
def test_a_batch_is_handed_over_found_again_and_read(simulator: str, wire: Wire) -> None:
    given = [replace(asked(f"Question {number}?"), key=f"{number:032x}") for number in range(3)]

    async def work(model: Model) -> dict[str, Outcome]:
        api = batches_of(model)
        tag = f"tag-{wire}"
        entry = BatchEntry(tag, model.spec, tuple(request.key for request in given), created=time.time())
        assert await api.find(entry, ()) is None
        batch = await api.submit([api.item(request) for request in given], tag)
        assert await api.find(entry, ()) == batch
        states = [await api.state(batch) for _ in range(2)]
        assert [state.status for state in states] == ["running", "ended"]
        assert (states[1].done, states[1].total) == (3, 3)
        async with aclosing(api.results(batch)) as results:
            return {key: outcome async for key, outcome in results}

    outcomes = using(simulator, wire, work)
    assert outcomes.keys() == {request.key for request in given}
    for outcome in outcomes.values():
        assert isinstance(outcome, Reply)
        assert (outcome.content, outcome.finish_reason) == ("Mock batch completion", "stop")


@pytest.mark.parametrize("ending", ["expired", "cancelled", "failed"])
@pytest.mark.parametrize("wire", [OPENAI, GROQ], ids=str)
def test_a_batch_that_ends_badly_says_so(simulator: str, wire: Wire, ending: str) -> None:
    async def work(model: Model) -> None:
        api = batches_of(model)
        batch = await api.submit([api.item(replace(asked(), key="k"))], "tag")
        await api.state(batch)
        state = await api.state(batch)
        assert state.status == ("failed" if ending == "failed" else "ended")
        assert (state.error is not None) == (ending == "failed")
        if ending != "failed":
            async with aclosing(api.results(batch)) as results:
                assert [key async for key, _ in results] == []

    using(simulator, wire, work, **{"X-AIMock-Batch-Outcome": ending})


CHAOS: tuple[tuple[str, set[ErrorKind]], ...] = (
    ("dropRate", {"server"}),
    ("malformedRate", {"malformed"}),
    ("disconnectRate", {"connection"}),
    ("rateLimitRate", {"rate_limit"}),
)


@both_ways
@pytest.mark.parametrize(("rate", "kinds"), CHAOS, ids=[rate for rate, _ in CHAOS])
@every_wire
def test_chaos_ends_in_errors_that_may_be_retried(
    simulator: str, wire: Wire, rate: str, kinds: set[ErrorKind], stream: bool
) -> None:
    headers = {"X-Test-Id": f"{wire}-{rate}-{stream}"}
    body = json.dumps({rate: 1.0}).encode()
    switch = urllib.request.Request(
        f"{simulator}/__aimock/chaos", body, {"Content-Type": "application/json", **headers}, method="POST"
    )
    urllib.request.urlopen(switch, timeout=5).close()

    async def work(model: Model) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await model.complete(asked("Go on."), (lambda delta: None) if stream else None)
        return caught.value

    error = using(simulator, wire, work, **headers)
    assert error.kind in kinds
    assert error.retryable


@every_wire
def test_a_tenth_of_every_fault_mixed_loses_no_reply_and_waits_as_it_is_told(simulator: str, wire: Wire) -> None:
    headers = {"X-Test-Id": f"{wire}-mixed"}
    body = json.dumps({rate: 0.1 for rate, _ in CHAOS}).encode()
    switch = urllib.request.Request(
        f"{simulator}/__aimock/chaos", body, {"Content-Type": "application/json", **headers}, method="POST"
    )
    urllib.request.urlopen(switch, timeout=5).close()
    retried: list[ErrorKind] = []

    async def session() -> tuple[set[str], Sendings]:
        def gate(provider: str) -> Gate:
            return Gate(provider, 8, clock=now)

        def note(error: ProviderError, attempt: int, wait: float) -> None:
            assert error.retry_after in (None, wait)
            retried.append(error.kind)

        # The clock runs a hundred times too fast: these are ten minutes for a reply, and twenty seconds to connect.
        patient = {"timeout": 60_000.0, "connect_timeout": 2_000.0}
        _, (member,) = open_members(wire.spec, wire.settings(simulator), gate, headers=headers, **patient)
        sendings = Sendings(member.model)
        limited = Limited(Guarded(sendings), member.gate)
        policy = RetryPolicy(attempts=30, total=1e6)
        model = Retrying(limited, policy, clock=now, on_retry=note, proven=True)
        try:
            replies = await asyncio.gather(*(model.complete(asked("Go on.", "Think.")) for _ in range(80)))
        finally:
            await model.close()
        return {reply.content for reply in replies}, sendings

    contents, sendings = hastily(session)
    assert contents == {step(0)}
    assert set(retried) <= {"server", "malformed", "connection", "rate_limit"}
    assert "rate_limit" in retried
    assert sendings.held
    for told, until in sendings.held:  # nobody was let through meanwhile
        assert not [moment for moment in sendings.moments if told < moment < until]


class Sendings:
    """A model that notes when it is asked, and from when until when nothing may be sent."""

    def __init__(self, model: Model) -> None:
        self.spec = model.spec
        self.moments: list[float] = []
        self.held: list[tuple[float, float]] = []
        self._model = model

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        self.moments.append(now())
        try:
            return await self._model.complete(request, on_delta)
        except ProviderError as error:
            if error.retry_after:
                self.held.append((now(), now() + error.retry_after))
            raise

    async def close(self) -> None:
        await self._model.close()
