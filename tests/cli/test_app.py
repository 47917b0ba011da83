"""Start-up, help and the small commands."""

import json
import subprocess
import sys

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


def test_a_mistyped_command_or_flag_is_wrong_usage_with_the_nearest_name(shell: Shell) -> None:
    done = shell.strawberry("generte")
    assert done.code == 2
    assert "generate" in done.err
    done = shell.generate("--sample", 3)
    assert done.code == 2
    assert "--samples" in done.err


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


def test_verify_leaves_alone_what_was_asked_without_a_known_answer(shell: Shell) -> None:
    shell.strawberry("ask", "Why?", "--model", f"scripted:{shell.script}", "--out", shell.run)
    assert shell.strawberry("verify", shell.run, "--json").events == []


def test_a_damaged_line_of_verdicts_costs_only_itself(shell: Shell) -> None:
    shell.generate("--samples", 1)
    (shell.run / "verdicts-exact.jsonl").write_text('{"id": broken\n')
    assert shell.strawberry("verify", shell.run).code == 0
