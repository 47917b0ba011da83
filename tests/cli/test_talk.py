"""The conversation strategies as a user meets them on the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import Shell

TOLD = "the correct answer is"


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def traces(shell: Shell) -> list[dict[str, object]]:
    return [json.loads(line) for line in (shell.run / "traces-00000.jsonl").read_text().splitlines()]


def test_a_run_of_distill_says_that_its_model_shows_no_thoughts(shell: Shell) -> None:
    done = shell.generate("--strategy", "distill", "--samples", 1)
    assert done.code == 0
    assert "2 no answer (the model shows no thoughts: choose one that does" in done.out


def test_turns_is_a_flag(shell: Shell) -> None:
    assert shell.generate("--strategy", "llamaberry", "--turns", 1, "--samples", 1, "--limit", 1).code == 0
    (trace,) = traces(shell)
    assert sum(turn["role"] == "assistant" for turn in trace["messages"]) == 2  # type: ignore[attr-defined]
    assert json.loads(str(trace["params"]))["turns"] == 1


def test_measuring_a_strategy_that_sees_the_answers_is_refused(shell: Shell) -> None:
    done = shell.strawberry("eval", "--model", f"scripted:{shell.script}", "--method", "rationalize")
    assert done.code != 0
    assert "looks at the known answers" in done.err


def test_what_was_found_with_a_hint_can_be_learnt_from_or_left_out(shell: Shell) -> None:
    shell.script.write_text(f"""
rules:
  - {{when: "{TOLD}", say: "Two and two more, counted one by one, are four. <final_answer>4</final_answer>"}}
  - {{when: "2\\\\+2", say: "<final_answer>5</final_answer>"}}
""")
    shell.problems.write_text('{"question": "2+2?", "answer": 4}\n')
    done = shell.generate("--strategy", "rationalize", "--samples", 1)
    assert done.code == 0
    assert "0 of 1" in done.out
    assert "1 right only with a hint" in done.out
    file = shell.folder / "rows.jsonl"
    kept = shell.strawberry("select", shell.run, "--format", "sft", "--out", file)
    assert kept.code == 0
    (row,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert row["hinted"] is True
    assert TOLD not in json.dumps(row)
    left = shell.strawberry("select", shell.run, "--format", "sft", "--no-hinted", "--out", shell.folder / "none.jsonl")
    assert left.code != 0


@pytest.mark.parametrize(
    ("options", "replies", "longest"),
    [
        (["g1"], 101, 1200),
        (["g1", "--set", "max_steps=5"], 21, 1200),
        (["llamaberry", "--turns", "4"], 5, 8000),
        (["deep-think"], 1, 8192),
        (["distill", "--max-tokens", "100"], 1, 100),
        (["rationalize"], 5, 4096),
        (["rationalize", "--set", "base=strawberry", "--set", "base_options={max_turns: 6}"], 30, 4096),
    ],
    ids=str,
)
def test_a_dry_run_knows_the_most_that_it_can_take(
    shell: Shell, options: list[str], replies: int, longest: int
) -> None:
    done = shell.generate("--strategy", *options, "--samples", 1, "--dry-run", "--json")
    assert done.code == 0, done.err
    (planned,) = done.events
    assert (planned["most"]["turns"], planned["most"]["reply"]) == (replies, longest)
