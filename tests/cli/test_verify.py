"""`strawberry verify` with a judge and with --audit, as a user meets it."""

import pytest

from tests.cli.commands import Shell

JUDGE = """
rules:
  - {when: "<answer>\\n4\\n", say: "<verdict>wrong</verdict>"}
  - {when: "<answer>", say: "<verdict>right</verdict>"}
  - {say: "<critique>Fine.</critique><score>5</score>"}
"""


@pytest.fixture
def made(shell: Shell) -> Shell:
    """A shell with a run of four traces, and a judge who takes every 3 for right but where 4 is known."""
    shell.generate("--samples", 2)
    (shell.folder / "judge.yaml").write_text(JUDGE)
    return shell


def judge(shell: Shell) -> str:
    return f"scripted:{shell.folder / 'judge.yaml'}"


def test_the_judge_needs_a_model_and_is_asked_about_the_run(made: Shell) -> None:
    lone = made.strawberry("verify", made.run, "--verifier", "judge")
    assert lone.code == 2
    assert lone.err == "strawberry: The verifier 'judge' asks a model: name it with --judge-model provider:NAME.\n"
    done = made.strawberry("verify", made.run, "--verifier", "judge", "--judge-model", judge(made))
    assert done.code == 0
    assert "0 of 4 verdicts changed" in done.out
    assert "3 replies of the judge" in done.out  # 3 and 3 look the same in both orders


def test_an_audit_is_a_table_two_figures_and_a_list(made: Shell) -> None:
    made.problems.write_text('{"question": "How many r in strawberry?", "answer": "Three", "verifier": "exact"}\n')
    made.run = made.folder / "other"
    made.generate("--samples", 3)
    done = made.strawberry("verify", made.run, "--verifier", "judge", "--judge-model", judge(made), "--audit")
    assert done.code == 0
    assert "judge against kept" in done.out
    assert "agree  0.0% (95% interval 0.0% to" in done.out
    assert "3 traces of 1 problems" in done.out
    assert done.out.count("correct against incorrect  '3', known 'Three'  How many r in strawberry?") == 3
    assert not list(made.run.glob("verdicts-*"))


def test_an_audit_for_programs_is_one_line_and_one_for_each_disagreement(made: Shell) -> None:
    done = made.strawberry("verify", made.run, "--verifier", "exact", "--against", "numeric", "--audit", "--json")
    (first,) = done.events
    assert first["event"] == "audit"
    assert first["table"] == [
        {"first": "correct", "second": "correct", "traces": 2},
        {"first": "incorrect", "second": "incorrect", "traces": 2},
    ]
    assert (first["decided"], first["problems"], first["failed"]) == (4, 2, 0)
    assert first["kappa"]["mean"] == 1.0
    assert 0 < first["share"]["low"] < first["share"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("flags", "told", "code"),
    [
        (["--against", "exact"], "belong to --audit", 2),
        (["--budget-usd", "1"], "name one with --judge-model", 2),
        (["--audit", "--verifier", "exact", "--against", "exact"], "name another with --against", 2),
        (["--audit", "--against", "exat"], "did you mean 'exact'", 2),
        (["--verifier", "judge", "--judge-model", "opnai:x"], "did you mean 'openai'", 2),
        (["--verifier", "judge", "--judge-model", "openai:gpt-5-mini"], "set OPENAI_API_KEY", 1),
        (["--verifier", "judge", "--judge-model", "berry", "--prompts", "nowhere"], "--prompts", 1),
    ],
)
def test_what_cannot_be_done_is_one_sentence(made: Shell, flags: list[str], told: str, code: int) -> None:
    done = made.strawberry("verify", made.run, *flags)
    assert done.code == code
    assert done.err.count("\n") == 1
    assert told in done.err


def test_traces_that_could_not_be_judged_are_told_and_the_rest_counts(made: Shell) -> None:
    fault = '  - {when: "<answer>\\n4\\n", say: {error: server, status: 500}}\n'
    (made.folder / "judge.yaml").write_text(JUDGE.replace("rules:\n", "rules:\n" + fault))
    done = made.strawberry("verify", made.run, "--verifier", "judge", "--judge-model", judge(made), "--attempts", 1)
    assert done.code == 3
    assert done.err.startswith("strawberry: 2 traces could not be judged (")
    assert done.err.rstrip().endswith("Run the same command to ask again.")
    assert "0 of 2 verdicts changed" in done.out


def test_generate_and_ask_take_a_judge_and_a_critic(made: Shell) -> None:
    made.run = made.folder / "other"
    done = made.generate("--samples", 1, "--verifier", "judge", "--judge-model", judge(made), "--strategy", "critic",
                         "--critic-model", judge(made), "--json")  # fmt: skip
    assert done.code == 0
    assert done.events[-1]["statuses"] == {"correct": 1, "incorrect": 1}
    assert {event["channel"] for event in done.events if event["event"] == "turn"} == {"main", "critic"}
    made.run = made.folder / "third"
    asked = made.strawberry("ask", "How many r?", "--model", f"scripted:{made.script}", "--verifier", "judge",
                            "--judge-model", judge(made), "--out", made.run)  # fmt: skip
    assert asked.code == 0
    assert "(right)" in asked.out
