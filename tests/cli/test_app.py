"""Start-up, help and the small commands."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Shell

HEAVY = {
    "openai",
    "anthropic",
    "google.genai",
    "groq",
    "ollama",
    "torch",
    "transformers",
    "onnxruntime",
    "numpy",
    "pydantic",
    "rich",
    "tokenizers",
    "math_verify",
}


def test_help_imports_no_sdk_and_nothing_heavy() -> None:
    code = (
        "import sys, json\nfrom openstrawberry.cli.app import main\ntry:\n    main(['--help'])\n"
        "except SystemExit:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not (HEAVY - {"rich"}) & set(json.loads(done.stderr))


@pytest.mark.parametrize("command", ["generate", "ask", "problems", "verify", "doctor"])
def test_every_command_explains_itself(shell: Shell, command: str) -> None:
    done = shell.strawberry(command, "--help")
    assert done.code == 0
    assert "Usage: " in done.out


MISUSED = {
    "command": (["generte"], "No such command 'generte'. Did you mean 'generate'?"),
    "flag": (
        ["generate", "--sample", 3],
        "No such option: --sample (Possible options: --samples, --set): see strawber",
    ),
    "kind of value": (["generate", "-n", "x"], "The value 'x' of --samples does not fit: write a whole number."),
    "value": (["problems", "--limit", 0], "The value '0' of --limit does not fit: write a number of at least 1."),
    "no value": (["generate", "--samples"], "Option '--samples' requires an argument: see strawberry"),
    "argument": (["generate", "x"], "Got unexpected extra argument(s) (x): see strawberry generate --help."),
}


@pytest.mark.parametrize(("arguments", "told"), MISUSED.values(), ids=MISUSED)
def test_a_command_line_that_cannot_be_read_is_one_sentence_and_code_two(
    shell: Shell, arguments: list[object], told: str
) -> None:
    done = shell.strawberry(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"strawberry: {told}")


def test_a_bare_command_shows_what_there_is(shell: Shell) -> None:
    done = shell.strawberry()
    assert (done.code, done.err) == (2, "")
    assert "generate" in done.out


def test_verify_checks_again_without_a_model_and_the_new_verdict_counts(shell: Shell) -> None:
    shell.problems.write_text('{"question": "a", "answer": "3.0", "verifier": "exact"}\n')
    shell.generate("--samples", 2)
    shell.script.unlink()
    done = shell.strawberry("verify", shell.run, "--verifier", "numeric", "--json")
    assert done.code == 0
    assert done.events == [{"event": "verdicts", "before": "incorrect", "after": "correct", "traces": 2}]
    again = shell.strawberry("verify", shell.run, "--verifier", "numeric", "--json")
    assert again.events[0]["before"] == "correct"


def test_verify_of_what_is_no_run_is_one_sentence(shell: Shell) -> None:
    for place in (shell.folder, shell.folder / "nothing"):
        done = shell.strawberry("verify", place)
        assert done.code == 1
        assert "no run directory" in done.err


def test_problems_shows_what_would_be_asked(shell: Shell) -> None:
    assert "How many r in strawberry?" in shell.strawberry("problems", shell.problems).out
    rows = shell.strawberry("problems", shell.problems, "--json", "--limit", 1).events
    assert [(row["answer"], row["verifier"]) for row in rows] == [("3", "numeric")]


def test_verify_leaves_alone_what_was_asked_without_a_known_answer(shell: Shell) -> None:
    shell.strawberry("ask", "Why?", "--model", f"scripted:{shell.script}", "--out", shell.run)
    assert shell.strawberry("verify", shell.run, "--json").events == []


def test_a_damaged_line_of_verdicts_costs_only_itself(shell: Shell) -> None:
    shell.generate("--samples", 1)
    (shell.run / "verdicts-exact.jsonl").write_text('{"id": broken\n')
    assert shell.strawberry("verify", shell.run).code == 0


def test_bare_verify_and_select_take_the_newest_run_and_no_question_that_was_asked(shell: Shell) -> None:
    with contextlib.chdir(shell.folder):
        model = f"scripted:{shell.script}"
        asked = ["ask", "How many r in strawberry?", "--answer", 3, "--model", model]
        shell.strawberry(*asked)
        nothing = shell.strawberry("verify")
        assert (nothing.code, "There is no run in traces" in nothing.err) == (1, True)
        made = shell.strawberry("generate", "--model", model, "--problems", shell.problems, "--json").events[0]
        shell.strawberry(*asked)
        assert made["path"] in shell.strawberry("verify").out
        (event,) = shell.strawberry("select", "--format", "sft", "--json").events
        assert Path(event["file"]).parent == Path(made["path"])
        question = next(path for path in Path("traces").iterdir() if path != Path(made["path"]))
        assert str(question) in shell.strawberry("verify", question).out


def test_an_unfinished_question_is_no_run_to_go_on_with(shell: Shell) -> None:
    with contextlib.chdir(shell.folder):
        command = ["--model", f"scripted:{shell.script}", "--json"]
        shell.strawberry("ask", "How many r in strawberry?", *command)
        (question,) = Path("traces").iterdir()
        document = json.loads((question / "run.json").read_text())
        (question / "run.json").write_text(json.dumps({**document, "finished": ""}))
        (run, *_) = shell.strawberry("generate", "--problems", "builtin:demo", "--limit", 1, *command).events
        assert (run["resumed"], Path(run["path"]) == question) == (False, False)


PLUGIN = """
raise KeyError("a fault that nobody foresaw")
"""


def test_what_nobody_foresaw_is_one_sentence_and_its_traceback_is_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "faulty.py").write_text(PLUGIN)
    (tmp_path / "faulty-1.0.dist-info").mkdir()
    (tmp_path / "faulty-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    points = "[openstrawberry.strategies]\nfaulty = faulty:Faulty\n"
    (tmp_path / "faulty-1.0.dist-info" / "entry_points.txt").write_text(points)
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-m", "openstrawberry", "generate", "--strategy", "faulty"],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    (log,) = tmp_path.glob("strawberry-*.log")
    assert done.returncode == 1
    assert done.stderr.startswith("strawberry: Something went wrong that should not (KeyError: 'a fault that nobody")
    assert done.stderr.endswith(f"report it with {log}.\n")
    assert done.stderr.count("\n") == 1
    assert "Traceback" in log.read_text()
    assert 'raise KeyError("a fault that nobody foresaw")' in log.read_text()
