import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from openstrawberry.evaluation.report import read_report
from openstrawberry.prompts import load_prompts
from tests.cli.commands import Outcome, Shell


def evaluate(shell: Shell, *arguments: object) -> Outcome:
    """`strawberry eval` with the scripted model by two methods, the two problems and a folder of its own."""
    return shell.strawberry(
        "eval", "--model", f"scripted:{shell.script}", "--method", "zero-shot", "--method", "strawberry", "--problems",
        shell.problems, "--out", shell.folder / "eval", *arguments,
    )  # fmt: skip


@pytest.fixture
def place(shell: Shell) -> Shell:
    shell.script.write_text("rules:\n  - {when: confident, say: <final_answer>3</final_answer>}\nturns: [a, b, c]\n")
    return shell


def test_the_report_is_shown_and_written(place: Shell) -> None:
    done = evaluate(place)
    assert done.code == 0
    assert "1 of 2  script.yaml zero-shot" in done.out
    assert "script.yaml strawberry against script.yaml zero-shot: no difference seen: +50.0 points" in " ".join(
        done.out.split()
    )
    for name in ("report.json", "report.md", "report.html"):
        assert str(place.folder / "eval" / name) in done.out.replace("\n", "")
        assert (place.folder / "eval" / name).stat().st_size > 500


def test_json_is_one_object_per_line_and_the_report_is_the_last(place: Shell) -> None:
    events = evaluate(place, "--json").events
    assert [event["name"] for event in events if event["event"] == "row"] == [
        "script.yaml zero-shot",
        "script.yaml strawberry",
    ]
    assert sum(event["event"] == "trace" for event in events) == 4
    assert events[-1]["event"] == "report"
    assert events[-1]["rows"] == json.loads((place.folder / "eval" / "report.json").read_text())["rows"]


def test_the_same_command_again_costs_nothing(place: Shell) -> None:
    evaluate(place)
    again = evaluate(place, "--json").events
    assert [event["replies_asked"] for event in again if event["event"] == "summary"] == [0, 0]


def test_a_used_up_quota_ends_in_a_sentence_and_the_same_command_goes_on(place: Shell) -> None:
    whole = place.script.read_text()
    place.script.write_text(
        "rules:\n  - {question: '2.2', say: {error: quota, retry_after: 7200}}\n"
        "turns: [<final_answer>3</final_answer>]\n"
    )
    stopped = evaluate(place, "--concurrency", 1)
    assert stopped.code == 1
    assert "It resumes at" in stopped.err
    assert not (place.folder / "eval" / "report.json").exists()
    place.script.write_text(whole)
    events = evaluate(place, "--json").events
    assert [event["made"] for event in events if event["event"] == "summary"] == [1, 2]


def test_failed_traces_give_exit_code_three(place: Shell) -> None:
    place.script.write_text(
        "rules:\n  - {question: '2.2', say: {error: bad_request}}\nturns: [<final_answer>3</final_answer>]\n"
    )
    done = evaluate(place, "--concurrency", 1)
    assert done.code == 3
    assert "2 traces failed: the same command tries again." in " ".join(done.out.split())


def test_every_setting_can_stand_in_a_file_and_the_command_line_wins(place: Shell) -> None:
    config = place.folder / "eval.yaml"
    config.write_text(
        f"models: ['scripted:{place.script}']\nmethods: [cot, zero-shot]\nproblems: {place.problems}\nsamples: 5\n"
    )
    done = place.strawberry("eval", "--config", config, "--samples", 2, "--out", place.folder / "eval")
    assert done.code == 0
    report = read_report(place.folder / "eval")
    assert [row.method for row in report.rows] == ["cot", "zero-shot"]
    assert report.samples == 2
    config.write_text(config.read_text() + "json: true\n")
    again = place.strawberry("eval", "--config", config, "--samples", 2, "--out", place.folder / "eval")
    assert again.events[-1]["event"] == "report"
    config.write_text("dry-run: true\n")  # which there is none of: it must not be asked for in vain
    wrong = evaluate(place, "--config", config)
    assert (wrong.code, "dry_run" in wrong.err) == (2, True)


WRONG = {
    "method": (2, ["--method", "coot"], "did you mean 'cot'"),
    "option": (2, ["--method", "strawberry:turns=3"], "max_turns"),
    "reference": (2, ["--against", "nobody"], "There is no row"),
    "baseline": (1, ["--baseline", "none.json"], "none.json"),
    "samples": (2, ["--samples", "0"], "--samples"),
    "effort": (2, ["--reasoning", "foo"], "choose 'off', 'low', 'medium' or 'high'."),
    "config": (1, ["--config", "none.yaml"], "none.yaml"),
    "k": (2, ["--k", "3"], "--samples 3"),
}


@pytest.mark.parametrize(("code", "arguments", "advice"), WRONG.values(), ids=WRONG)
def test_bad_input_is_one_sentence_with_its_exit_code_and_nothing_written(
    place: Shell, code: int, arguments: list[str], advice: str
) -> None:
    done = evaluate(place, *arguments)
    assert done.code == code
    assert done.err.startswith("strawberry: ")
    assert done.err.count("\n") == 1
    assert done.err.rstrip().endswith((".", "?"))
    assert advice in done.err
    assert not (place.folder / "eval").exists()


@pytest.mark.parametrize("method", ["mcts", "beam", "vote:base=mcts"])
def test_no_prompt_file_brings_the_known_answers_into_a_measurement(place: Shell, method: str) -> None:
    prompts = place.folder / "prompts"
    prompts.mkdir()
    for name in ("mcts", "beam"):
        shipped = load_prompts(name, "brief").entries
        (prompts / f"{name}.yaml").write_text(yaml.safe_dump({"brief": {**shipped, "value": "check"}}))
    done = evaluate(place, "--method", method, "--prompts", prompts, "--prompt-set", "brief")
    assert done.code == 1
    assert "/brief names no way to value steps under 'value': write one of rollouts, prm, judge, confidence" in done.err


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def test_bare_it_compares_the_newest_trained_model_with_its_base_and_says_the_whole_command(place: Shell) -> None:
    script = f"scripted:{place.script}"
    (place.folder / "models" / "new").mkdir(parents=True)
    (place.folder / "other.yaml").write_text("turns: [<final_answer>4</final_answer>]\n")
    card = {"base": script, "spec": f"scripted:{place.folder}/other.yaml", "created": "2026-01-01T00:00:00+00:00"}
    (place.folder / "models" / "new" / "strawberry.json").write_text(json.dumps(card))
    done = subprocess.run(
        [sys.executable, "-m", "openstrawberry", "eval", "--problems", str(place.problems)],
        cwd=place.folder, env=environment(place.folder), check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()[:2]
    assert first == "The newest trained model in models/, other.yaml, beside its base, script.yaml."
    assert second.startswith(f"strawberry eval --model {script} --model {card['spec']} --method strawberry --problems ")
    assert list((place.folder / "evals").glob("*/report.html"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_evaluation_goes_on_with_the_same_command(place: Shell, how: signal.Signals) -> None:
    place.script.write_text(
        "rules:\n  - {turn: 3, say: {content: <final_answer>3</final_answer>, delay: 60}}\n"
        "turns: [first step, second step]\n"
    )
    arguments = [sys.executable, "-m", "openstrawberry", "eval", "--model", f"scripted:{place.script}",
                 "--method", "strawberry", "--method", "strawberry:temperature=0.5",
                 "--problems", str(place.problems), "--json"]  # fmt: skip
    with subprocess.Popen(arguments, env=environment(place.folder), cwd=place.folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout is not None
        told = 0
        for line in process.stdout:
            told += json.loads(line)["event"] == "turn"
            if told == 6:  # all but the two that keep it waiting
                process.send_signal(how)
                break
        _, said = process.communicate(timeout=30)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Go on with: strawberry eval" in said
        assert said.count("\n") == 1
    place.script.write_text(place.script.read_text().replace(", delay: 60", ""))
    done = subprocess.run(arguments, cwd=place.folder, env=environment(place.folder), check=False,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    first, second = [event for event in events if event["event"] == "summary"]
    assert done.returncode == 0, done.stderr
    assert len(list((place.folder / "evals").iterdir())) == 1
    assert first["replies_replayed"] == 6
    assert first["replies_asked"] == 2
    assert second["replies_asked"] == 8
    assert len(events[-1]["rows"]) == 2
