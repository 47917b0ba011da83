"""`--fresh`, and what a repeated command asks for: each reply is paid for once, unless somebody wants it anew."""

import json
import os
import shlex
import signal
import subprocess
import sys
from typing import Any

import pytest

from openstrawberry.cli.generate import resuming
from openstrawberry.config import RunConfig
from tests.cli.commands import Shell


def counts(shell: Shell, *arguments: object) -> tuple[int, int, int]:
    """Traces made, replies asked for, and replies replayed, by `strawberry generate`."""
    done = shell.generate(*arguments, "--json")
    assert done.code == 0, done.err
    summary = done.events[-1]
    return summary["made"], summary["replies_asked"], summary["replies_replayed"]


def reopen(shell: Shell) -> None:
    """The run counts as unfinished, as if it had been killed."""
    file = shell.run / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "finished": ""}))


def test_more_samples_and_more_problems_are_all_that_is_asked_for(shell: Shell) -> None:
    made, asked, _ = counts(shell, "--samples", 2)
    assert (made, counts(shell, "--samples", 2)) == (4, (0, 0, 0))
    more, asked_more, replayed = counts(shell, "--samples", 3)
    assert (more, replayed) == (2, 0)
    assert 0 < asked_more < asked
    rows = shell.problems.read_text() + '{"question": "How many e in cheese?", "answer": 3}\n'
    shell.problems.write_text(rows)
    assert counts(shell, "--samples", 3)[::2] == (3, 0)


def test_another_verifier_asks_for_nothing_that_is_there(shell: Shell) -> None:
    shell.generate("--samples", 2, "--verifier", "exact")
    assert counts(shell, "--samples", 2, "--verifier", "numeric") == (0, 0, 0)
    made, asked, replayed = counts(shell, "--samples", 3, "--verifier", "numeric")
    assert (made, replayed) == (2, 0)
    assert asked > 0


def test_a_trace_that_is_lost_is_replayed_and_costs_nothing(shell: Shell) -> None:
    _, asked, _ = counts(shell, "--samples", 2)
    for file in shell.run.glob("traces-*.jsonl"):
        file.unlink()
    (shell.run / "index.sqlite").unlink()
    assert counts(shell, "--samples", 2) == (4, 0, asked)


def test_fresh_begins_a_run_of_its_own_and_leaves_the_old_one_alone(shell: Shell, monkeypatch: Any) -> None:
    monkeypatch.chdir(shell.folder)
    command = [
        "generate",
        "--model",
        f"scripted:{shell.script}",
        "--problems",
        shell.problems,
        "--samples",
        1,
        "--json",
    ]
    first = shell.strawberry(*command).events
    shell.run = shell.folder / first[0]["path"]
    reopen(shell)
    before = {file.name: file.read_bytes() for file in shell.run.iterdir()}
    fresh = shell.strawberry(*command, "--fresh").events
    assert fresh[0]["path"] != first[0]["path"]
    assert not fresh[0]["resumed"]
    assert (fresh[-1]["replies_asked"], fresh[-1]["replies_replayed"]) == (first[-1]["replies_asked"], 0)
    assert {file.name: file.read_bytes() for file in shell.run.iterdir()} == before


def test_fresh_never_goes_on_with_the_run_that_is_named(shell: Shell) -> None:
    shell.generate("--samples", 1)
    before = (shell.run / "traces-00000.jsonl").read_bytes()
    done = shell.generate("--samples", 1, "--fresh")
    assert done.code == 1
    assert "--fresh" in done.err
    assert "--out" in done.err
    assert (shell.run / "traces-00000.jsonl").read_bytes() == before
    shell.run = shell.folder / "another"
    assert counts(shell, "--samples", 1, "--fresh")[0] == 2


def test_an_interrupted_fresh_run_goes_on_without_paying_twice(shell: Shell) -> None:
    shell.script.write_text("turns: [a step, {content: another, delay: 60}]")
    arguments = ["generate", "--model", f"scripted:{shell.script}", "--problems", str(shell.problems), "--samples", "1",
                 "--fresh", "--json"]  # fmt: skip
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = {**kept, "HOME": str(shell.folder), "PYTHONUNBUFFERED": "1"}
    started: dict[str, Any] = {"cwd": shell.folder, "env": environment, "text": True}
    with subprocess.Popen([sys.executable, "-m", "openstrawberry", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **started) as process:  # fmt: skip
        assert process.stdout is not None
        steps = 0
        for line in process.stdout:  # until both first steps are there
            steps += "a step" in line
            if steps == 2:
                process.send_signal(signal.SIGINT)
                break
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    again = shlex.split(said.partition("Go on with: ")[2])
    assert again[0] == "strawberry"
    assert "--fresh" not in again
    shell.script.write_text("turns: [never asked for, <final_answer>3</final_answer>]")
    done = subprocess.run(
        [sys.executable, "-m", "openstrawberry", *again[1:]], capture_output=True, check=False, **started
    )
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, summary["replies_replayed"], summary["replies_asked"]) == (0, 2, 2)
    assert len(list((shell.folder / "traces").iterdir())) == 1


@pytest.mark.parametrize(
    ("fresh", "arguments", "expected"),
    [
        (False, ["generate", "--samples", "2"], ["generate", "--samples", "2"]),
        (True, ["generate", "--fresh"], ["generate", "--no-fresh"]),
        (True, ["generate", "--config", "run.yaml"], ["generate", "--config", "run.yaml", "--no-fresh"]),
    ],
    ids=["plain", "flag", "file"],
)
def test_the_command_that_goes_on_does_not_begin_afresh(fresh: bool, arguments: list[str], expected: list[str]) -> None:
    assert resuming(arguments, RunConfig(fresh=fresh)) == expected


def test_a_fresh_run_that_failed_in_part_says_how_to_go_on_with_it(shell: Shell) -> None:
    shell.script.write_text(
        "rules:\n - {question: '2', turn: 2, say: {error: bad_request, status: 400}}\n"
        " - {when: confident, say: <final_answer>3</final_answer>}\nturns: [a, b]"
    )
    done = shell.generate("--samples", 1, "--fresh")
    assert done.code == 3
    assert done.err.startswith("strawberry: Go on with this run, and not with a fresh one: strawberry ")
    assert done.err.rstrip().endswith("--no-fresh")
