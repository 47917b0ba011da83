"""`strawberry generate --engine batch`, as a user meets it."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Shell
from tests.servers.batches import BatchServer, stepping
from tests.servers.http import Server


def command(folder: Path, *more: str) -> list[str]:
    (folder / "problems.jsonl").write_text('{"question": "1 + 2?", "answer": 3}\n{"question": "0 + 3?", "answer": 3}\n')
    return ["-m", "openstrawberry", "generate", "--engine", "batch", "--model", "openai:gpt", "--problems",
            str(folder / "problems.jsonl"), "--samples", "2", "--out", str(folder / "run"), *more]  # fmt: skip


async def started(folder: Path, url: str, *more: str) -> asyncio.subprocess.Process:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": url,
                   "NO_COLOR": "1", "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command(folder, *more),
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def test_ctrl_c_leaves_batches_running_and_the_same_command_picks_them_up(tmp_path: Path) -> None:
    async def session() -> tuple[int | None, str, int | None, str, BatchServer]:
        handler = BatchServer("openai", stepping(1), polls=1, stage="polling")
        async with Server(handler) as server:
            first = await started(tmp_path, f"{server.url}/v1")
            await asyncio.wait_for(handler.reached.wait(), 60)
            first.send_signal(signal.SIGINT)
            _, trouble = await asyncio.wait_for(first.communicate(), 60)
            second = await started(tmp_path, f"{server.url}/v1")
            said, _ = await asyncio.wait_for(second.communicate(), 60)
            return first.returncode, trouble.decode(), second.returncode, said.decode(), handler

    first, trouble, second, said, handler = asyncio.run(session())
    assert first == 130
    assert trouble.startswith("strawberry: Interrupted; everything so far is kept, and one batch goes on at the provid")
    assert trouble.count("\n") == 1
    assert second == 0
    assert "batch openai-2 found: 3 requests" in said
    assert "batch openai-2 ended: 3 requests" in said
    assert "4 of 4" in said
    assert (handler.sizes, len(handler.live)) == ([3], 1)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    states = [line["state"] for line in log if line["event"] == "batch" and line["state"] != "running"]
    assert states == ["submitted", "found", "ended"]


def test_json_tells_of_batches_too(tmp_path: Path) -> None:
    async def session() -> str:
        async with Server(BatchServer("openai", stepping(1), polls=1)) as server:
            process = await started(tmp_path, f"{server.url}/v1", "--json")
            said, _ = await asyncio.wait_for(process.communicate(), 60)
            return said.decode()

    events = [json.loads(line) for line in asyncio.run(session()).splitlines()]
    batches = [event for event in events if event["event"] == "batch"]
    assert batches[0] == {"event": "batch", "batch": "openai-2", "state": "submitted", "done": 0, "total": 3}
    assert batches[-1] == {"event": "batch", "batch": "openai-2", "state": "ended", "done": 3, "total": 3}
    assert sum(event["event"] == "turn" for event in events) == 4
    assert events[-1]["statuses"] == {"correct": 4}


BAD = {
    "no batch API": (["--engine", "batch"], "choose a --model of openai, azure, anthropic, gemini, groq or mistral"),
    "unknown engine": (["--engine", "batsh"], "--engine"),
    "a deadline alone": (["--deadline", "3"], "add --engine batch"),
    "no time at all": (["--engine", "batch", "--deadline", "0"], "--deadline"),
}


@pytest.mark.parametrize(("arguments", "advice"), BAD.values(), ids=BAD)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(
    shell: Shell, arguments: list[str], advice: str
) -> None:
    done = shell.generate(*arguments)
    assert done.code == 2
    assert done.err.startswith("strawberry: ")
    assert done.err.count("\n") == 1
    assert advice in done.err
    assert not shell.run.exists()


def test_engine_and_deadline_are_no_part_of_a_runs_identity(tmp_path: Path) -> None:
    async def session() -> tuple[int | None, int | None, BatchServer]:
        handler = BatchServer("openai", stepping(1), polls=1)
        async with Server(handler) as server:
            first = await started(tmp_path, f"{server.url}/v1", "--limit", "1", "--deadline", "5")
            await asyncio.wait_for(first.communicate(), 60)
            second = await started(tmp_path, f"{server.url}/v1", "--engine", "live")
            await asyncio.wait_for(second.communicate(), 60)
            return first.returncode, second.returncode, handler

    first, second, handler = asyncio.run(session())
    assert (first, second) == (0, 0)
    assert (handler.sizes, len(handler.live)) == ([1], 3)
