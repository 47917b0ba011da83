"""Every fault that a provider can have, met by a whole run through every SDK.

Each ends in a retry that works, in a failed trace that is on record, or in one sentence before anything is written.
"""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from openstrawberry.config import RunConfig
from openstrawberry.errors import SetupError
from openstrawberry.generate import Run
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.store.summary import Summary
from openstrawberry.trace import Trace
from tests.models.wires import ANTHROPIC, COMPAT, EVERY, GEMINI, OLLAMA, Wire
from tests.servers.dialects import SPELLINGS, Said, failure, wants_stream
from tests.servers.http import Answer, Handler, Received, Server

every_wire = pytest.mark.parametrize("wire", EVERY, ids=str)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
FINAL = Said("<final_answer>3</final_answer>")
QUICK = RetryPolicy(attempts=3, base=0.01)
TIMEOUT = 0.5  # seconds; the server of these tests answers within a few milliseconds


@dataclass(frozen=True)
class Fault:
    """What a server does instead of answering, and what becomes of a trace that always meets it.

    `first`: what a run ends with that meets nothing else from its beginning.
    """

    answer: Callable[[Wire, bool], Answer]
    passes: bool
    stop: str = "error"
    kind: str = ""
    first: str = ""


def status(code: int, message: str = "No.", name: str = "", **headers: str) -> Callable[[Wire, bool], Answer]:
    return lambda wire, stream: failure(wire.protocol, code, message, name, **headers)


def cut(wire: Wire, stream: bool) -> Answer:
    whole = SPELLINGS[wire.protocol](FINAL, stream)
    if whole.chunks is None:
        return replace(whole, headers={**whole.headers, "connection": "close"}, chunks=(whole.body[:20],), fault="cut")
    return replace(whole, chunks=whole.chunks[:3], fault="cut")


def said(**fields: str) -> Callable[[Wire, bool], Answer]:
    return lambda wire, stream: SPELLINGS[wire.protocol](Said(**fields), stream)  # type: ignore[arg-type]


def malformed(wire: Wire, stream: bool) -> Answer:
    return Answer(headers={"content-type": "application/json"}, body=b'{"choices": [{"message": {"content": "On')


FAULTS: dict[str, Fault] = {
    "429 with Retry-After": Fault(status(429, retry_after_ms="10"), True, kind="rate_limit", first="429"),
    "429 without": Fault(status(429), True, kind="rate_limit", first="429"),
    "500": Fault(status(500), True, kind="server", first="500"),
    "503": Fault(status(503), True, kind="overloaded", first="503"),
    "529": Fault(status(529), True, kind="overloaded", first="529"),
    "reset before headers": Fault(lambda *_: Answer(fault="reset"), True, kind="connection", first="broke off"),
    "cut in the middle": Fault(cut, True, kind="connection", first="broke off|not its protocol"),
    "hang": Fault(lambda *_: Answer(fault="hang"), True, kind="timeout", first="timed out"),
    "malformed JSON": Fault(malformed, True, kind="malformed", first="not its protocol|broke off"),
    "nothing": Fault(said(text=""), True, kind="malformed", first="answered with nothing"),
    "context too long": Fault(
        status(400, "prompt is too long: the maximum context length is 8192 tokens"), False, "truncated", "context"
    ),
    "filter": Fault(said(text="", finish="filter"), False, "refused"),
    "invalid key": Fault(status(401), False, kind="auth", first="401"),
}
PASSING = [name for name, fault in FAULTS.items() if fault.passes]


def fault_of(wire: Wire, name: str) -> Fault:
    """Ollama's protocol knows no filter: an empty reply is all that there is."""
    return FAULTS["nothing" if wire is OLLAMA and name == "filter" else name]


def asked_about(received: Received) -> str:
    found = re.search(rb"Question ([^?]*)\?", received.body)
    assert found is not None
    return found[1].decode()


async def made(
    folder: Path, wire: Wire, handler: Handler, names: list[str], stream: bool, concurrency: int = 16
) -> tuple[Summary, dict[str, Trace]]:
    """A run with a problem for each name."""
    async with Server(handler) as server:
        config = RunConfig(
            model=wire.spec, out=folder / "run", samples=1, concurrency=concurrency, timeout=TIMEOUT, max_turns=5
        )
        problems = [Problem(question=f"Question {name}?", answer="3") for name in names]
        run = Run(config, wire.settings(server.url), stream=stream, problems=problems, policy=QUICK)
        try:
            summary = await run.run()
        finally:
            await run.close()
    traces = {trace.problem.question[9:-1]: trace for trace in read_traces(folder / "run")}
    return summary, traces


@both_ways
@every_wire
def test_what_passes_costs_a_retry_and_no_trace(tmp_path: Path, wire: Wire, stream: bool) -> None:
    asks: Counter[str] = Counter()

    def handler(received: Received) -> Answer:
        name = asked_about(received)
        asks[name] += 1
        if name in FAULTS and asks[name] == 1:
            return FAULTS[name].answer(wire, wants_stream(received))
        return SPELLINGS[wire.protocol](FINAL, wants_stream(received))

    async def session() -> Summary:
        first, _ = await made(tmp_path, wire, handler, ["zero"], stream)  # something has worked
        assert first.failed == 0
        return (await made(tmp_path, wire, handler, ["one", *PASSING], stream, concurrency=1))[0]

    summary = asyncio.run(session())
    assert (summary.failed, summary.statuses) == (0, {"correct": len(PASSING) + 2})
    assert {name: count for name, count in asks.items() if count != 2} == {"zero": 1, "one": 1}


@both_ways
@every_wire
def test_what_stays_costs_its_own_trace_alone_and_says_what_it_was(tmp_path: Path, wire: Wire, stream: bool) -> None:
    asks: Counter[str] = Counter()

    def handler(received: Received) -> Answer:
        name = asked_about(received)
        asks[name] += 1
        if name in FAULTS:
            return fault_of(wire, name).answer(wire, wants_stream(received))
        return SPELLINGS[wire.protocol](FINAL, wants_stream(received))

    names = ["zero", *FAULTS, "last"]
    summary, traces = asyncio.run(made(tmp_path, wire, handler, names, stream, concurrency=1))
    assert {traces[name].verdict.status for name in ("zero", "last")} == {"correct"}
    ends = {name: (traces[name].stop, traces[name].error.kind) for name in FAULTS}
    wanted = {name: (fault_of(wire, name).stop, fault_of(wire, name).kind) for name in FAULTS}
    whole_cut = {"connection", "malformed"}  # a body that is cut may reach the SDK as half a JSON object
    if not stream and ends["cut in the middle"][1] in whole_cut:
        wanted["cut in the middle"] = ends["cut in the middle"]
    if stream and ends["malformed JSON"][1] in whole_cut:  # a stream without an end
        wanted["malformed JSON"] = ends["malformed JSON"]
    assert ends == wanted
    assert summary.failed == sum(end == "error" for end, _ in ends.values())
    for name, trace in traces.items():
        assert (trace.verdict.status in ("correct", "incorrect")) == (name in ("zero", "last"))
        if trace.stop in ("error", "truncated"):
            assert trace.error.message.endswith(".")
            assert "sk-secret" not in trace.to_line()
        tries = QUICK.attempts if name in FAULTS and fault_of(wire, name).passes else 1
        assert asks[name] == tries, name


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.first])
@pytest.mark.parametrize("wire", [ANTHROPIC, GEMINI, OLLAMA, COMPAT], ids=str)
def test_a_fault_from_the_first_request_on_is_one_sentence_and_nothing_written(
    tmp_path: Path, wire: Wire, name: str
) -> None:
    fault = FAULTS[name]
    with pytest.raises(SetupError, match=fault.first) as caught:
        asyncio.run(made(tmp_path, wire, lambda _: fault.answer(wire, False), ["a", "b"], stream=False))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert not (tmp_path / "run").exists()


@every_wire
def test_a_refused_connection_at_the_start_is_one_sentence_and_nothing_written(tmp_path: Path, wire: Wire) -> None:
    async def session(url: str) -> None:
        config = RunConfig(model=wire.spec, out=tmp_path / "run", samples=1)
        run = Run(config, wire.settings(url), problems=[Problem(question="Question?", answer="3")])
        try:
            await run.run()
        finally:
            await run.close()

    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(SetupError, match="could not be reached"):
            asyncio.run(session(f"http://127.0.0.1:{reserved.getsockname()[1]}"))
    assert not (tmp_path / "run").exists()


def test_a_server_that_is_away_for_a_moment_costs_no_trace(tmp_path: Path) -> None:
    answer = SPELLINGS["openai"](FINAL, False)

    async def session() -> Summary:
        up = asyncio.Event()
        asks = 0

        async def handler(received: Received) -> Answer:
            nonlocal asks
            asks += 1
            if asks == 10:
                up.set()
            await asyncio.sleep(0.005)
            return answer

        async with Server(handler) as first:
            port = first.port
            config = RunConfig(model=f"compat:m@{first.url}/v1", out=tmp_path / "run", samples=1, concurrency=4)
            problems = [Problem(question=f"Question {number}?", answer="3") for number in range(40)]
            policy = RetryPolicy(attempts=50, base=0.02, longest=0.05)
            run = Run(config, Settings({}), problems=problems, policy=policy)
            running = asyncio.create_task(run.run())
            await up.wait()
        await asyncio.sleep(0.1)
        async with Server(handler, port):
            summary = await running
            await run.close()
        return summary

    summary = asyncio.run(session())
    assert (summary.failed, summary.statuses) == (0, {"correct": 40})
