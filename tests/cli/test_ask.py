"""`strawberry ask`: one question, from the command line or from a pipe."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from openstrawberry.cli.ask import QUESTION
from tests.cli.commands import Shell


def test_ask_streams_steps_checks_the_answer_and_keeps_the_trace(shell: Shell) -> None:
    done = shell.strawberry(
        "ask", "How many r in strawberry?", "--answer", 3, "--model", f"scripted:{shell.script}", "--out", shell.run
    )
    assert done.code == 0
    assert "r is r." in done.out
    assert "right" in done.out
    assert (shell.run / "traces-00000.jsonl").exists()


def test_ask_without_an_answer_does_not_pretend_to_know(shell: Shell) -> None:
    done = shell.strawberry("ask", "Why?", "--model", f"scripted:{shell.script}", "--out", shell.run, "--json")
    assert json.loads(done.out)["verdict"]["status"] == "unknown"


def test_ask_of_berry_outside_its_families_says_what_it_knows(shell: Shell) -> None:
    done = shell.strawberry("ask", "What is the capital of France?", "--out", shell.run)
    assert done.code == 1
    assert "--model" in done.err
    assert not shell.run.exists()


def test_an_empty_question_is_refused(shell: Shell) -> None:
    done = shell.strawberry("ask", " ", "--model", f"scripted:{shell.script}", "--out", shell.run)
    assert (done.code, done.err) == (
        2,
        "strawberry: The question is empty: write it after `strawberry ask`, or pipe it in.\n",
    )


def ask(shell: Shell, *arguments: str, **stdin: str | int | IO[str]) -> "subprocess.CompletedProcess[str]":
    """`strawberry ask` as a process with a stdin of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "openstrawberry", "ask", *arguments, "--model", f"scripted:{shell.script}"],
        cwd=shell.folder, env={**kept, "HOME": str(shell.folder)}, text=True, timeout=120, check=False,
        capture_output=True, **stdin,
    )  # fmt: skip


def asked(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    question: str = json.loads(done.stdout)["problem"]["question"]
    return question


def test_a_question_is_read_from_a_pipe_or_a_file(shell: Shell) -> None:
    text = "How many r's\nare in “Erdbeere”?"
    assert asked(ask(shell, "--json", input=f"{text}\n")) == text
    assert asked(ask(shell, "-", "--json", input=f"{text}\n")) == text
    (shell.folder / "question.txt").write_text(text, encoding="utf-8")
    with (shell.folder / "question.txt").open(encoding="utf-8") as file:
        assert asked(ask(shell, "--json", stdin=file)) == text


def test_what_is_written_goes_before_a_pipe_and_silence_leaves_the_usual_question(shell: Shell) -> None:
    assert asked(ask(shell, "Why?", "--json", input="never read")) == "Why?"
    assert asked(ask(shell, "--json", input="")) == QUESTION
    assert asked(ask(shell, "--json", stdin=subprocess.DEVNULL)) == QUESTION
    empty = ask(shell, "-", stdin=subprocess.DEVNULL)
    assert (empty.returncode, empty.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("out", [[], ["--out", "mine"]])
def test_its_last_line_says_where_the_trace_is_kept(shell: Shell, out: list[str]) -> None:
    done = ask(shell, "Why?", *out, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    word, where = done.stdout.splitlines()[-1].split(" in ")
    assert word == "kept"
    assert list((shell.folder / where).glob("traces-*.jsonl"))
    assert Path(where) == Path("mine") if out else Path(where).parent == Path("traces")
