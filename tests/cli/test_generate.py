"""`strawberry generate`, as a user meets it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openstrawberry.store.reading import read_traces
from tests.cli.commands import Shell


def test_it_makes_checks_and_keeps_every_trace(shell: Shell) -> None:
    done = shell.generate("--samples", 3)
    assert done.code == 0
    assert "3 of 6" in done.out
    assert str(shell.run) in done.out.replace("\n", "")
    traces = list(read_traces(shell.run))
    assert len({trace.id for trace in traces}) == 6
    assert sum(trace.correct for trace in traces) == 3


def test_a_repeated_command_asks_only_for_the_difference(shell: Shell) -> None:
    shell.generate("--samples", 2, "--json")
    again = shell.generate("--samples", 2, "--json").events[-1]
    assert (again["made"], again["replies_asked"]) == (0, 0)
    more = shell.generate("--samples", 5, "--json").events[-1]
    assert more["made"] == 6
    assert len({trace.id for trace in read_traces(shell.run)}) == 10


def test_json_is_one_object_per_line_with_turns_traces_and_a_summary(shell: Shell) -> None:
    events = shell.generate("--samples", 1, "--json").events
    assert [event["event"] for event in (events[0], events[-1])] == ["run", "summary"]
    assert sum(event["event"] == "trace" for event in events) == 2
    assert sum(event["event"] == "turn" for event in events) == events[-1]["replies_asked"]


def test_every_flag_can_stand_in_a_file_and_the_command_line_wins(shell: Shell) -> None:
    config = shell.folder / "run.yaml"
    config.write_text(
        f"model: 'scripted:{shell.script}'\nproblems: {shell.problems}\nsamples: 9\nmax-turns: 12\n"
        "set: {temperature_start: 0.5}\n"
    )
    done = shell.strawberry("generate", "--config", config, "--samples", 1, "--out", shell.run)
    assert done.code == 0
    run = json.loads((shell.run / "run.json").read_text())
    assert (run["config"]["samples"], run["config"]["max_turns"]) == (1, 12)
    assert run["identity"]["options"]["temperature_start"] == 0.5


def test_more_turns_continue_what_ran_out_of_them(shell: Shell) -> None:
    first = shell.generate("--samples", 1, "--max-turns", 3, "--json").events[-1]
    assert first["stops"] == {"max_turns": 2}
    second = shell.generate("--samples", 1, "--max-turns", 30, "--json").events[-1]
    assert second["stops"] == {"final_answer": 2}
    assert second["replies_replayed"] == 6


def test_failed_traces_give_exit_code_three_and_are_retried(shell: Shell) -> None:
    shell.script.write_text(
        "rules:\n - {question: '2', turn: 2, say: {error: bad_request, status: 400}}\n"
        " - {when: confident, say: <final_answer>3</final_answer>}\nturns: [a, b]"
    )
    failed = shell.generate("--samples", 1)
    assert failed.code == 3
    assert "1 traces failed" in failed.out
    assert (shell.run / "failed-00000.jsonl").read_text().count("\n") == 1
    shell.script.write_text("rules:\n - {when: confident, say: <final_answer>4</final_answer>}\nturns: [a, b]")
    healed = shell.generate("--samples", 1, "--json")
    assert healed.code == 0
    assert (healed.events[-1]["made"], healed.events[-1]["stops"]) == (1, {"final_answer": 2})


def test_a_used_up_quota_begins_nothing_new_and_says_how_to_go_on(shell: Shell) -> None:
    shell.script.write_text(
        "rules:\n - {question: '2', turn: 2, say: {error: quota, status: 429, retry_after: 7200}}\n"
        " - {when: confident, say: <final_answer>3</final_answer>}\nturns: [a, b]"
    )
    shell.problems.write_text("".join(f'{{"question": "{number}+{number}?", "answer": 3}}\n' for number in range(30)))
    stopped = shell.generate("--samples", 1, "--concurrency", 1)
    assert stopped.code == 3
    assert "Stopped early: " in stopped.out
    assert "run the same command then." in stopped.out
    assert len(list(read_traces(shell.run))) == 3  # 0+0, 1+1 and what 2+2 came to
    shell.script.write_text("rules:\n - {when: confident, say: <final_answer>3</final_answer>}\nturns: [a, b]")
    healed = shell.generate("--samples", 1, "--json")
    assert healed.code == 0
    assert (healed.events[-1]["stopped"], healed.events[-1]["stops"]) == ("", {"final_answer": 30})


BAD = {
    "no requests a minute": (["--requests-per-minute", "0"], "--requests-per-minute"),
    "a model twice": (["--model", "ollama:a,ollama:a"], "name each model once"),
    "one unknown of two": (["--model", "ollama:a,olama:b"], "did you mean 'ollama'"),
    "unknown provider": (["--model", "olama:mistral"], "did you mean 'ollama'"),
    "missing key": (["--model", "openai:gpt-5-mini"], "set OPENAI_API_KEY in the environment or in .env"),
    "no model name": (["--model", "anthropic"], "--model anthropic:NAME"),
    "unknown strategy": (["--strategy", "strawbery"], "did you mean 'strawberry'"),
    "unknown option": (["--set", "final_evry=3"], "did you mean 'final_every'"),
    "option without a value": (["--set", "final_every"], "--set key=value"),
    "wrong value": (["--samples", "0"], "--samples"),
    "unknown verifier": (["--verifier", "numerik"], "did you mean 'numeric'"),
    "missing file": (["--problems", "no-such.jsonl"], "no-such.jsonl"),
    "unknown preset": (["--problems", "gsm9k"], "gsm8k"),
    "missing prompts": (["--prompt-set", "tiny"], "--prompt-set"),
    "missing script": (["--model", "scripted:nothing.yaml"], "nothing.yaml"),
    "unreachable server": (["--model", "compat:x@http://127.0.0.1:9/v1"], "127.0.0.1:9"),
    "missing config": (["--config", "nothing.yaml"], "--config"),
}


@pytest.mark.parametrize(("arguments", "advice"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_exit_code_one_and_nothing_written(
    shell: Shell, arguments: list[str], advice: str
) -> None:
    done = shell.generate(*arguments)
    assert done.code == 1
    assert done.err.startswith("strawberry: ")
    assert done.err.count("\n") == 1
    assert done.err.rstrip().endswith((".", "?"))
    assert advice in done.err
    assert not shell.run.exists()


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "no problems"),
        ('{"question": "a", "answer": 1}\n{"question": "b", "ans', "line 2"),
        ('{"question": "a"}\n', "answer"),
        ('{"frage": "a", "antwort": 1}\n', "--question-column"),
        ('{"question": "a", "answer": null}\n', "line 1"),
    ],
)
def test_a_broken_problem_file_is_found_before_anything_is_asked(shell: Shell, text: str, advice: str) -> None:
    shell.problems.write_text(text)
    done = shell.generate()
    assert done.code == 1
    assert advice in done.err
    assert not shell.run.exists()


def test_bad_rows_can_be_left_out_and_are_counted(shell: Shell) -> None:
    shell.problems.write_text('{"question": "a", "answer": 1}\nbroken\n{"question": "b", "answer": 3}\n')
    done = shell.generate("--skip-bad-rows", "--samples", 1)
    assert done.code == 0
    assert "1 rows" in done.out
    assert len(list(read_traces(shell.run))) == 2


def test_another_configuration_is_refused_and_nothing_is_lost(shell: Shell) -> None:
    shell.generate("--samples", 1)
    before = (shell.run / "traces-00000.jsonl").read_bytes()
    done = shell.generate("--samples", 1, "--seed", 5)
    assert done.code == 1
    assert "seed was 0 and is now 5" in done.err
    assert (shell.run / "traces-00000.jsonl").read_bytes() == before


def test_model_text_is_shown_as_text(shell: Shell) -> None:
    shell.script.write_text(r'turns: ["[red]not markup[/] \e[2J <final_answer>3</final_answer>"]')
    done = shell.generate("--samples", 1)
    assert "[red]not markup[/]" in done.out
    assert "\x1b[2J" not in done.out


def test_two_problems_that_are_the_same_are_one(shell: Shell) -> None:
    shell.problems.write_text('{"question": "a", "answer": 3}\n' * 3)
    assert shell.generate("--samples", 2, "--json").events[-1]["made"] == 2


def strawberry(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "openstrawberry", *arguments],
        cwd=folder,
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_out_an_unfinished_run_goes_on_and_a_finished_one_stays(shell: Shell) -> None:
    command = ["generate", "--model", f"scripted:{shell.script}", "--problems", str(shell.problems), "--samples", "1"]
    first = strawberry(*command, folder=shell.folder)
    second = strawberry(*command, folder=shell.folder)
    assert (first.returncode, second.returncode) == (0, 0)
    runs = list((shell.folder / "traces").iterdir())
    assert len(runs) == 2
    for run in runs[1:]:
        document = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**document, "finished": ""}))
    third = strawberry(*command, folder=shell.folder)
    assert "Going on with" in third.stdout
    assert len(list((shell.folder / "traces").iterdir())) == 2


@pytest.mark.parametrize("command", ["generate", "ask"])
def test_ctrl_c_says_how_to_go_on(shell: Shell, command: str) -> None:
    shell.script.write_text("turns: [a step, {content: another, delay: 60}]")
    arguments = [command, "--model", f"scripted:{shell.script}", "--out", str(shell.run)]
    arguments += ["--problems", str(shell.problems), "--json"] if command == "generate" else []
    environment = {"PATH": os.environ["PATH"], "HOME": str(shell.folder), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-m", "openstrawberry", *arguments], env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:  # until the first step is there
            if "a step" in line:
                process.send_signal(signal.SIGINT)
                break
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.startswith("strawberry: Interrupted")
    assert said.count("\n") == 1
    assert (shell.run / "replies.sqlite").exists()


def test_a_reader_that_goes_away_stops_the_run_and_fails_no_trace(shell: Shell) -> None:
    command = [sys.executable, "-m", "openstrawberry", "generate", "--model", f"scripted:{shell.script}", "--problems",
               str(shell.problems), "--out", str(shell.run), "--samples", "50", "--json"]  # fmt: skip
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 130
    assert said.count("\n") == 1
    assert not list(shell.run.glob("failed-*"))
    assert shell.generate("--samples", 50).code == 0


ODD = [
    ["--set", "final_every=["],
    ["--max-turns", "9" * 30],
    ["--seed", "9" * 30],
    ["--prompts", "nowhere"],
    ["--out", "x" * 300],
    ["--out", "/proc/none/run"],
]


@pytest.mark.parametrize("arguments", ODD)
def test_odd_values_are_one_sentence_too(shell: Shell, arguments: list[str]) -> None:
    done = shell.strawberry("generate", "--model", f"scripted:{shell.script}", "--problems", shell.problems, *arguments)
    assert done.code in (1, 2)
    assert "Traceback" not in done.err


def test_a_directory_whose_name_looks_like_markup_is_shown_as_it_is(shell: Shell) -> None:
    shell.run = shell.folder / "o[" / "3]"
    shell.generate("--samples", 1)
    assert "o[/3]" in shell.generate("--samples", 2).out.replace("\n", "")
