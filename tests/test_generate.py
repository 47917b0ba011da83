"""The whole path against a loopback server: what bad servers do to a run, and what reaches the disk."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.config import RunConfig
from openstrawberry.errors import SetupError
from openstrawberry.generate import FIRST_WAVE, Run
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.store.summary import Summary
from tests.servers.dialects import Said, anthropic, openai
from tests.servers.http import Answer, Received, Server

FINAL = openai(Said("<final_answer>3</final_answer>"), stream=False)
BAD = {
    "nothing": (openai(Said(""), stream=False), "answered with nothing"),
    "a megabyte": (openai(Said("x" * 1_048_576), stream=False), "1,048,576 characters"),
    "broken UTF-8": (Answer(headers={"content-type": "application/json"}, body=b'{"choices": "\xff\xfe"}'), "protocol"),
    "broken JSON": (Answer(headers={"content-type": "application/json"}, body=b'{"choices": ['), "protocol"),
    "a web page": (Answer(headers={"content-type": "text/html"}, body=b"<html>Welcome</html>"), "protocol"),
    "a rejected key": (Answer.of({"error": {"message": "no"}}, 401), "401"),
    "an unknown model": (Answer.of({"error": {"message": "no such model"}}, 404), "--model"),
}


def generate(
    folder: Path,
    handler: Callable[[Received], Answer],
    problems: int = 1,
    samples: int = 1,
    concurrency: int = 1,
    **more: Any,
) -> Summary:
    """Runs against `handler`, one attempt per call."""

    async def session() -> Summary:
        async with Server(handler) as server:
            config = RunConfig(model=f"compat:served@{server.url}/v1", out=folder / "run", samples=samples, attempts=1,
                               concurrency=concurrency, **more)  # fmt: skip
            asked = [Problem(question=f"Question {number}?", answer="3") for number in range(problems)]
            run = Run(config, Settings({}), problems=asked)
            try:
                return await run.run()
            finally:
                await run.close()

    return asyncio.run(session())


@pytest.mark.parametrize(("answer", "told"), BAD.values(), ids=BAD)
def test_a_server_that_never_works_ends_the_command_and_leaves_nothing(
    tmp_path: Path, answer: Answer, told: str
) -> None:
    with pytest.raises(SetupError) as caught:
        generate(tmp_path, lambda received: answer)
    assert told in str(caught.value)
    assert str(caught.value).endswith((".", "?"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("answer", "told"), BAD.values(), ids=BAD)
def test_the_same_trouble_later_costs_only_its_trace(tmp_path: Path, answer: Answer, told: str) -> None:
    summary = generate(tmp_path, lambda received: answer if b"Question 1?" in received.body else FINAL, problems=3)
    assert (summary.traces, summary.failed) == (3, 1)
    assert told in summary.first_error
    (failed,) = [trace for trace in read_traces(tmp_path / "run") if trace.stop == "error"]
    assert failed.verdict.status == "unknown"
    healed = generate(tmp_path, lambda received: FINAL, problems=3)
    assert (healed.made, healed.failed, healed.statuses) == (1, 0, {"correct": 3})


def test_every_request_of_a_trace_extends_the_one_before(tmp_path: Path) -> None:
    seen: list[list[dict[str, str]]] = []

    def stepping(received: Received) -> Answer:
        seen.append(received.json["messages"])
        return FINAL if len(seen) == 20 else openai(Said(f"Step {len(seen)}."), stream=False)

    generate(tmp_path, stepping)
    assert len(seen) == 20
    for number, (before, after) in enumerate(itertools.pairwise(seen), start=1):
        assert after[:-1] == [*before, {"role": "assistant", "content": f"Step {number}."}]
        assert after[-1]["role"] == "user"


def test_one_bad_request_in_the_first_wave_is_not_the_set_up(tmp_path: Path) -> None:
    refusal = Answer.of({"error": {"message": "this one I do not like"}}, 400)

    def picky(received: Received) -> Answer:
        return refusal if b"Question 0?" in received.body else replace(FINAL, latency=0.05)

    first = generate(tmp_path, picky, problems=6, concurrency=6)
    assert (first.failed, first.statuses) == (1, {"correct": 5})
    again = generate(tmp_path, picky, problems=6, concurrency=1)
    assert (again.made, again.failed) == (1, 1)


def test_a_first_wave_that_fails_whole_is_the_set_up(tmp_path: Path) -> None:
    asked = []

    def refusing(received: Received) -> Answer:
        asked.append(received)
        return Answer.of({"error": {"message": "unknown field"}}, 400)

    with pytest.raises(SetupError, match="unknown field"):
        generate(tmp_path, refusing, problems=50, concurrency=5)
    assert len(asked) <= 10
    assert not (tmp_path / "run").exists()


def test_the_life_of_a_cached_prompt_reaches_the_wire(tmp_path: Path) -> None:
    async def session() -> list[Received]:
        final = anthropic(Said("<final_answer>3</final_answer>"), stream=False)
        async with Server(lambda received: final) as server:
            settings = Settings({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": server.url})
            config = RunConfig(model="anthropic:claude", out=tmp_path / "run", samples=1, cache_ttl="1h")
            run = Run(config, settings, problems=[Problem(question="Question?", answer="3")])
            await run.run()
            await run.close()
            return server.requests

    (received,) = asyncio.run(session())
    assert received.body.count(b'"cache_control":{"type":"ephemeral","ttl":"1h"}') == 2


def test_a_used_up_quota_ends_the_run_softly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    asked: list[Received] = []
    said = "Rate limit reached on tokens per day (TPD): Limit 100000. Please try again in 2h3m."
    empty = Answer.of({"error": {"message": said}}, 429)

    def until_empty(received: Received) -> Answer:
        asked.append(received)
        return FINAL if len(asked) <= 20 else empty

    first = generate(tmp_path, until_empty, problems=200, concurrency=4)
    assert "It resumes at" in first.stopped
    assert first.stopped.endswith(": run the same command then.")
    assert (first.statuses, first.traces - first.failed) == ({"correct": 20}, 20)
    assert 1 <= first.failed <= 4
    assert len(asked) <= 20 + 4  # what was on its way when the quota ended
    healed = generate(tmp_path, lambda received: FINAL, problems=200, concurrency=4)
    assert (healed.stopped, healed.statuses, healed.made) == ("", {"correct": 200}, 180)


def test_a_quota_that_is_used_up_from_the_start_leaves_nothing(tmp_path: Path) -> None:
    empty = Answer.of({"error": {"message": "Daily limit reached."}}, 429, retry_after="7200")
    with pytest.raises(SetupError, match=r"It resumes at .* UTC"):
        generate(tmp_path, lambda received: empty, problems=10)
    assert not (tmp_path / "run").exists()


def test_several_models_share_a_run_and_each_turn_says_who_answered(tmp_path: Path) -> None:
    def named(name: str, handler: Callable[[int], Answer]) -> Callable[[Received], Answer]:
        asks = itertools.count()

        def answer(received: Received) -> Answer:
            said = handler(next(asks))
            return replace(said, body=said.body.replace(b'"served"', f'"{name}"'.encode()))

        return answer

    async def session(first: Callable[[int], Answer]) -> Summary:
        async with Server(named("one", first)) as one, Server(named("two", lambda _: FINAL)) as two:
            config = RunConfig(model=f"compat:a@{one.url}/v1,compat:b@{two.url}/v1", out=tmp_path / "run", samples=1)
            problems = [Problem(question=f"Question {number}?", answer="3") for number in range(40)]
            run = Run(config, Settings({}), problems=problems)
            try:
                return await run.run()
            finally:
                await run.close()

    empty = Answer.of({"error": {"message": "Daily limit reached."}}, 429, retry_after="7200")
    summary = asyncio.run(session(lambda ask: FINAL if ask < 5 else empty))
    assert (summary.failed, summary.stopped, summary.statuses) == (0, "", {"correct": 40})
    traces = list(read_traces(tmp_path / "run"))
    who = Counter(trace.messages[-1].model for trace in traces)
    assert who == {"compat:one": 5, "compat:two": 35}
    assert {trace.model for trace in traces} == {"compat:a,compat:b"}


def test_worker_processes_send_what_the_run_asks_for(tmp_path: Path) -> None:
    summary = generate(tmp_path, lambda received: FINAL, problems=40, concurrency=16, workers=2)
    assert (summary.statuses, summary.failed) == ({"correct": 40}, 0)
    with pytest.raises(SetupError, match="leave it out with berry"):
        Run(RunConfig(out=tmp_path / "other", workers=2), Settings({}))


def test_the_flag_for_requests_a_minute_paces_a_run(tmp_path: Path) -> None:
    moments: list[float] = []

    def answer(received: Received) -> Answer:
        moments.append(time.monotonic())
        return FINAL

    generate(tmp_path, answer, problems=24, concurrency=24, requests_per_minute=600)
    assert moments[-1] - moments[0] >= 1.0  # a second's worth at once, and then ten a second


@pytest.mark.parametrize("spec", ["", " , "])
def test_no_model_at_all_is_said_in_one_sentence(tmp_path: Path, spec: str) -> None:
    with pytest.raises(SetupError, match="No model is named: write --model"):
        Run(RunConfig(model=spec, out=tmp_path / "run"), Settings({}))


def test_a_wide_run_of_which_nothing_works_does_not_wait_for_all_that_it_has_asked(tmp_path: Path) -> None:
    asked, refusal = itertools.count(1), Answer.of({"error": {"message": "unknown field"}}, 400)
    began = time.monotonic()
    with pytest.raises(SetupError, match="unknown field"):
        generate(
            tmp_path,
            lambda received: refusal if next(asked) <= FIRST_WAVE else replace(refusal, latency=60),
            problems=2 * FIRST_WAVE,
            concurrency=2 * FIRST_WAVE,
        )
    assert time.monotonic() - began < 55
    assert not (tmp_path / "run").exists()


def test_a_quota_that_is_still_used_up_ends_the_next_command_softly_too(tmp_path: Path) -> None:
    asked: list[Received] = []
    empty = Answer.of({"error": {"message": "Daily limit reached."}}, 429, retry_after="7200")

    def until_empty(received: Received) -> Answer:
        asked.append(received)
        return FINAL if len(asked) <= 3 else empty

    first = generate(tmp_path, until_empty, problems=10)
    assert (first.statuses, bool(first.stopped)) == ({"correct": 3}, True)
    again = generate(tmp_path, lambda received: empty, problems=10)
    assert "It resumes at" in again.stopped
    assert again.statuses == {"correct": 3}


def test_a_model_that_cannot_be_closed_leaves_no_lock_behind(tmp_path: Path) -> None:
    async def session() -> None:
        (tmp_path / "script.yaml").write_text("turns: [<final_answer>3</final_answer>]")
        config = RunConfig(model=f"scripted:{tmp_path / 'script.yaml'}", out=tmp_path / "run", samples=1)
        problems = [Problem(question="Question?", answer="3")]
        run = Run(config, Settings({}), problems=problems)
        await run.run()

        class Stuck:
            async def close(self) -> None:
                raise RuntimeError("it is gone")

        run.verifiers = Stuck()  # type: ignore[assignment]
        with pytest.raises(RuntimeError, match="it is gone"):
            await run.close()
        again = Run(config, Settings({}), problems=problems)
        assert again.directory.resumed
        await again.close()

    asyncio.run(session())
