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


def test_the_line_of_a_problem_counts_what_an_earlier_command_made_of_it(shell: Shell) -> None:
    first = shell.generate("--samples", 2).out
    assert ("2/2 How many r in strawberry?" in first, "0/2 2+2?" in first) == (True, True)
    again = shell.generate("--samples", 3).out
    assert f"Going on with {shell.run}, which has 4 traces." in again.replace("\n", "")
    assert ("3/3 How many r in strawberry?" in again, "0/3 2+2?" in again) == (True, True)


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


def test_what_is_shown_can_stand_in_the_file_too_and_the_command_line_wins(shell: Shell) -> None:
    config = shell.folder / "run.yaml"
    config.write_text("json: true\ndry-run: true\nsamples: 1\nreasoning: off\n")
    (event,) = shell.generate("--config", config).events
    assert event["event"] == "dry-run"
    assert not shell.run.exists()
    done = shell.generate("--config", config, "--no-dry-run")
    assert (done.code, done.events[-1]["event"]) == (0, "summary")
    assert json.loads((shell.run / "run.json").read_text())["identity"]["reasoning"] == "off"
    assert "2 problems × 1 sample ·" in shell.generate("--config", config, "--no-dry-run", "--no-json").out
    config.write_text("dry_run: soon\n")
    wrong = shell.generate("--config", config)
    assert (wrong.code, "--dry-run does not fit: write true or false." in wrong.err) == (2, True)
    config.write_text("dryrun: true\n")
    assert "did you mean 'dry_run'" in shell.generate("--config", config).err


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
    assert "1 trace failed" in failed.out
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


USAGE = {
    "no requests a minute": (["--requests-per-minute", "0"], "--requests-per-minute does not fit: write a number of"),
    "a model twice": (["--model", "ollama:a,ollama:a"], "name each model once"),
    "one unknown of two": (["--model", "ollama:a,olama:b"], "did you mean 'ollama'"),
    "unknown provider": (["--model", "olama:mistral"], "did you mean 'ollama'"),
    "unknown strategy": (["--strategy", "strawbery"], "did you mean 'strawberry'"),
    "unknown option": (["--set", "final_evry=3"], "did you mean 'final_every'"),
    "wrong value of an option": (["--set", "final_every=soon"], "of --set final_every does not fit"),
    "option without a value": (["--set", "final_every"], "--set key=value"),
    "wrong value": (["--samples", "0"], "--samples does not fit: write a number of at least 1."),
    "unknown effort": (["--reasoning", "foo"], "choose 'off', 'low', 'medium' or 'high'."),
    "unknown verifier": (["--verifier", "numerik"], "did you mean 'numeric'"),
    "unknown preset": (["--problems", "gsm9k"], "gsm8k"),
    "unknown key of a source": (["--problems", "builtin:add?sise=3"], "did you mean 'size'"),
    "no such set of prompts": (["--prompt-set", "tiny"], "--prompt-set"),
    "workers without a network": (["--workers", "2"], "leave it out with scripted"),
}
SET_UP = {
    "missing key": (["--model", "openai:gpt-5-mini"], "set OPENAI_API_KEY in the environment or in .env"),
    "no model name": (["--model", "anthropic"], "--model anthropic:NAME"),
    "missing file": (["--problems", "no-such.jsonl"], "no-such.jsonl"),
    "missing prompts": (["--prompts", "nowhere"], "--prompts"),
    "missing script": (["--model", "scripted:nothing.yaml"], "nothing.yaml"),
    "unreachable server": (["--model", "compat:x@http://127.0.0.1:9/v1"], "127.0.0.1:9"),
    "missing config": (["--config", "nothing.yaml"], "--config"),
}

UNSEEN = {
    "openai:gpt-5-mini",
    "scripted:nothing.yaml",
    "compat:x@http://127.0.0.1:9/v1",
}  # by a dry run


@pytest.mark.parametrize(
    ("code", "arguments", "advice"),
    [*((2, *case) for case in USAGE.values()), *((1, *case) for case in SET_UP.values())],
    ids=[*USAGE, *SET_UP],
)
def test_bad_input_is_one_sentence_with_its_exit_code_and_nothing_written(
    shell: Shell, code: int, arguments: list[str], advice: str
) -> None:
    done = shell.generate(*arguments)
    assert done.code == code
    if not set(arguments) & UNSEEN:
        dry = shell.generate(*arguments, "--dry-run")
        assert (dry.code, dry.err) == (code, done.err)
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
    assert "Left out: 1 row that" in done.out
    assert len(list(read_traces(shell.run))) == 2


CHANGES = {
    "one flag": (["--seed", "5"], "(--seed 0 -> 5)"),
    "two flags": (["--top-p", "0.5", "--max-tokens", "9"], "(--max-tokens 4096 -> 9, --top-p unset -> 0.5)"),
    "a flag of the strategy": (["--temperature", "0.5"], "(--temperature unset -> 0.5)"),
    "an option": (["--set", "temperature_start=0.5"], "(--set temperature_start=0.3 -> 0.5)"),
    "the prompts": (["--prompt-set", "brief"], "(--prompt-set full -> brief)"),
    "another strategy, and all that follows": (["--strategy", "cot"], "(--strategy strawberry -> cot)"),
    "a strategy and a flag": (["--strategy", "cot", "--seed", "1"], "(--strategy strawberry -> cot, --seed 0 -> 1)"),
}


@pytest.mark.parametrize(("flags", "told"), CHANGES.values(), ids=CHANGES)
def test_other_settings_are_refused_in_the_words_of_the_flags_and_nothing_is_lost(
    shell: Shell, flags: list[str], told: str
) -> None:
    shell.generate("--samples", 1)
    before = (shell.run / "traces-00000.jsonl").read_bytes()
    for dry in ([], ["--dry-run"]):
        done = shell.generate("--samples", 1, *flags, *dry)
        assert done.code == 1
        assert told in done.err
        assert done.err.rstrip().endswith("or give this run a folder of its own with --out.")
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


REFUSED_TOO: dict[str, tuple[int, list[str], str]] = {
    "what berry does not know": (1, ["--model", "berry"], "berry, the embedded model, only knows"),
    "a deadline alone": (2, ["--deadline", "3"], "add --engine batch"),
    "no batch API": (2, ["--engine", "batch"], "has no batch API"),
    "a folder of something else": (1, ["--out", "."], "is no run directory"),
}


@pytest.mark.parametrize(("code", "arguments", "advice"), REFUSED_TOO.values(), ids=REFUSED_TOO)
def test_a_dry_run_refuses_what_the_run_refuses(shell: Shell, code: int, arguments: list[str], advice: str) -> None:
    shell.problems.write_text('{"question": "Who wrote Faust?", "answer": "Goethe"}\n')
    given = [str(shell.folder) if word == "." else word for word in arguments]
    for dry in ([], ["--dry-run"]):
        done = shell.generate(*given, *dry)
        assert (done.code, done.err.count("\n")) == (code, 1)
        assert advice in done.err


def test_a_dry_run_of_a_fresh_run_refuses_the_folder_of_another(shell: Shell) -> None:
    shell.generate("--samples", 1)
    assert shell.generate("--samples", 2, "--dry-run").code == 0
    for dry in ([], ["--dry-run"]):
        assert "--fresh asks for a new one" in shell.generate("--fresh", *dry).err


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
