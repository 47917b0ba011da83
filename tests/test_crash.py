"""`kill -9` in the middle of a run, then the same command: nothing lost, nothing asked or kept twice."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.servers.openai_server", "--latency", "0.01", "--final-at", "7"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
        server.terminate()


def requests_so_far(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        return int(json.load(answer)["requests"])


def start(folder: Path, url: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "openstrawberry", "generate", "--model", f"compat:served@{url}", "--problems",
               str(folder / "problems.jsonl"), "--samples", "4", "--concurrency", "32", "--json"]  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def test_a_killed_run_of_200_traces_goes_on_without_losing_or_repeating_anything(tmp_path: Path, url: str) -> None:
    rows = [json.dumps({"question": f"How much is {number} + 1?", "answer": 3}) for number in range(50)]
    (tmp_path / "problems.jsonl").write_text("\n".join(rows))

    finished = 0
    with start(tmp_path, url) as first:
        assert first.stdout is not None
        for line in first.stdout:
            finished += json.loads(line)["event"] == "trace"
            if finished == 80:
                os.kill(first.pid, signal.SIGKILL)
                break
    assert first.returncode == -signal.SIGKILL

    (run,) = (tmp_path / "traces").iterdir()
    with sqlite3.connect(run / "replies.sqlite") as record:
        on_disk = record.execute("select count(*) from replies").fetchone()[0]
    assert on_disk >= 80 * 7
    before = requests_so_far(url)

    with start(tmp_path, url) as second:
        said, _ = second.communicate(timeout=120)
    assert second.returncode == 0
    summary = json.loads(said.splitlines()[-1])
    lines = [json.loads(line) for file in run.glob("traces-*.jsonl") for line in file.read_text("utf-8").splitlines()]
    assert len(lines) == len({line["id"] for line in lines}) == 200
    assert len({(line["problem"]["id"], line["sample"]) for line in lines}) == 200
    replies = sum(turn["role"] == "assistant" for line in lines for turn in line["messages"])
    assert replies == 200 * 7
    assert requests_so_far(url) - before == replies - on_disk == summary["replies_asked"]
    assert [path.name for path in (tmp_path / "traces").iterdir()] == [run.name]
