"""`strawberry evolve`, as a user meets it."""

import json
from typing import Any

import pytest

from openstrawberry.problems.families import recognise
from openstrawberry.store.reading import read_traces
from tests.cli.commands import Shell

SCRIPT = """
rules:
  - {when: "Problem B:", say: '{"asks_something_new": true, "answerable": true}'}
  - {when: new_problem, say: "<new_problem>How many times do r and e stand in strawberry?</new_problem>"}
turns: [<final_answer>4</final_answer>]
"""
TARGET = "turns: [[<final_answer>4</final_answer>, <final_answer>3</final_answer>]]"


@pytest.fixture
def scripted(shell: Shell) -> Shell:
    """A shell whose scripted model writes, judges and solves, and one more that tries."""
    shell.script.write_text(SCRIPT)
    (shell.folder / "target.yaml").write_text(TARGET)
    shell.problems.write_text('{"question": "How many r in strawberry?", "answer": 3}\n')
    return shell


def evolve(shell: Shell, *flags: object) -> Any:
    target = f"scripted:{shell.folder / 'target.yaml'}"
    return shell.strawberry(
        "evolve", shell.problems, "--model", f"scripted:{shell.script}", "--target-model", target,
        "--out", shell.folder / "new.jsonl", *flags,
    )  # fmt: skip


def test_it_says_who_does_what_and_what_came_of_it(scripted: Shell) -> None:
    done = evolve(scripted, "--rounds", 2)
    assert done.code == 0
    told = " ".join(done.out.split())
    assert "an answer is known where 80% of 5 solvers" in told
    assert "kept 1 problem (1 answer agreed on)" in told
    assert "not 1 copy" in told
    assert "strawberry generate --problems" in told
    problems = scripted.strawberry("problems", scripted.folder / "new.jsonl", "--json").events
    assert [(each["question"], each["answer"]) for each in problems] == [
        ("How many times do r and e stand in strawberry?", "4")
    ]
    again = evolve(scripted, "--rounds", 2)
    assert "2 of 2 are done" in again.out
    assert "(0 replies)" in again.out


def test_where_nothing_is_kept_it_says_how_to_go_on(scripted: Shell) -> None:
    (scripted.folder / "target.yaml").write_text("turns: [<final_answer>7</final_answer>]")
    done = evolve(scripted, "--rounds", 1)
    assert done.code == 0
    told = " ".join(done.out.split())
    assert "1 problem × 1 round" in told
    assert "kept 0 problems not 1 never right" in told
    assert "next go on with more --rounds" in told
    assert not (scripted.folder / "new.jsonl").exists()


def test_json_is_one_object_per_line(scripted: Shell) -> None:
    events = evolve(scripted, "--rounds", 2, "--json").events
    assert [event["event"] for event in events] == ["evolution", "problem", "problem", "summary"]
    assert [event["reason"] for event in events[1:3]] == ["", "copy"]
    assert events[1]["evidence"]["votes"] == 5
    assert (events[3]["kept"], events[3]["eliminated"]) == (1, {"copy": 1})
    assert events[3]["file"] == str(scripted.folder / "new.jsonl")


def test_a_dry_run_shows_the_first_request_and_sends_nothing(scripted: Shell) -> None:
    done = evolve(scripted, "--dry-run", "--operators", "constrain", "--rounds", 3)
    assert done.code == 0
    assert "add one further condition" in done.out
    assert "How many r in strawberry?" in done.out
    assert "at most 51 calls" in done.out  # 3 × (1 to write, 3 to judge, 5 to solve, 8 to try)
    told = evolve(scripted, "--dry-run", "--json").events[-1]
    assert (told["event"], told["problems"], told["most"]) == ("dry-run", 1, 34)
    assert [message["role"] for message in told["messages"]] == ["system", "user"]
    assert not (scripted.folder / "new.work").exists()
    bare = scripted.strawberry("evolve", "--dry-run", "--json").events[-1]
    assert (bare["generated"], bare["messages"], list(bare["calls"])) == (20, [], ["target"])


def test_every_flag_can_stand_in_a_file(scripted: Shell) -> None:
    config = scripted.folder / "evolve.yaml"
    config.write_text("rounds: 1\nsamples: 0\noperators: [broaden, deepen]\nsolver-strategy: zero-shot\n")
    done = evolve(scripted, "--config", config, "--json").events
    assert done[1]["operator"] in ("broaden", "deepen")
    assert (done[1]["evidence"]["solver_strategy"], done[1]["evidence"]["target"]) == ("zero-shot", "")


@pytest.mark.parametrize("verified", [False, True])
def test_the_tries_are_training_data_for_select_and_nothing_else_is(scripted: Shell, verified: bool) -> None:
    evolve(scripted, "--rounds", 1)
    if verified:
        moved = scripted.strawberry("verify", scripted.folder / "new.work", "--json").events
        assert all(event["before"] == event["after"] for event in moved)
    done = scripted.strawberry("select", scripted.folder / "new.work", "--out", scripted.folder / "pairs.jsonl")
    assert done.code == 0
    pairs = [json.loads(line) for line in (scripted.folder / "pairs.jsonl").read_text().splitlines()]
    assert pairs
    for pair in pairs:
        assert "How many times do r and e stand in strawberry?" in pair["prompt"][-1]["content"]
        assert "<final_answer>4" in pair["chosen"][-1]["content"]
        assert "<final_answer>3" in pair["rejected"][-1]["content"]


def test_a_judge_is_not_asked_about_what_is_no_answer(scripted: Shell) -> None:
    evolve(scripted, "--rounds", 1)
    (scripted.folder / "judge.yaml").write_text("replies: [<verdict>right</verdict>]")
    judge = ("--verifier", "judge", "--judge-model", f"scripted:{scripted.folder / 'judge.yaml'}")
    moved = scripted.strawberry("verify", scripted.folder / "new.work", *judge, "--json").events
    written = [trace for trace in read_traces(scripted.folder / "new.work") if trace.strategy == "evolve"]
    others = sum(trace.strategy != "evolve" for trace in read_traces(scripted.folder / "new.work"))
    assert [trace.verdict.verifier for trace in written] == [""]
    assert sum(event["traces"] for event in moved) == others


def test_berry_makes_sums_of_its_own_harder(shell: Shell) -> None:
    done = shell.strawberry(
        "evolve", "builtin:add?size=5&n=3&split=train", "--rounds", 1, "--operators", "deepen,reason", "--samples", 4,
        "--out", shell.folder / "sums.jsonl", "--json",
    )  # fmt: skip
    assert done.code == 0
    assert done.events[0]["generated"] == 3
    made = [event for event in done.events if event["event"] == "problem"]
    assert len(made) == 3
    for event in made:
        item = recognise(event["question"])
        assert item is not None
        assert item.size == {"deepen": 6, "reason": 7}[event["operator"]]
        assert item.answer == event["answer"]
        assert 1 <= event["evidence"]["right"] + event["evidence"]["wrong"] + event["evidence"]["other"] <= 4
    assert {trace.strategy for trace in read_traces(shell.folder / "sums.work")} == {"strawberry"}


def test_a_failed_call_gives_exit_code_three_and_the_same_command_heals(scripted: Shell) -> None:
    (scripted.folder / "target.yaml").write_text("turns: [{error: bad_request, status: 400}]")
    failed = evolve(scripted, "--rounds", 1)
    assert failed.code == 3
    assert "Run the same command to retry" in failed.out
    (scripted.folder / "target.yaml").write_text(TARGET)
    assert evolve(scripted, "--rounds", 1).code == 0


def test_a_used_up_budget_says_how_to_go_on(scripted: Shell) -> None:
    (scripted.folder / "prices.yaml").write_text('"scripted:*": {input: 10, output: 100}')
    money = ("--prices", scripted.folder / "prices.yaml", "--max-tokens", 50, "--rounds", 1)
    stopped = evolve(scripted, *money, "--budget-usd", "0.02")
    assert stopped.code == 3
    assert "--budget-usd" in stopped.err
    assert stopped.err.count("\n") == 1
    assert evolve(scripted, *money, "--budget-usd", "50").code == 0


BAD = {
    "unknown operator": (["--operators", "deepn"], "did you mean 'deepen'", 2),
    "no agreement needed": (["--agree", "0.2"], "--agree", 2),
    "one try": (["--samples", "1"], "ask for 2 or more", 2),
    "one solver": (["--solvers", "1"], "--solvers", 2),
    "solvers that draw the same": (["--temperature", "0"], "--temperature", 2),
    "unknown effort": (["--reasoning", "foo"], "choose 'off', 'low', 'medium' or 'high'.", 2),
    "unknown solver": (["--solver-model", "olama:x"], "did you mean 'ollama'", 2),
    "missing key": (["--target-model", "openai:gpt-5-mini"], "OPENAI_API_KEY", 1),
    "unknown strategy": (["--strategy", "strawbery"], "did you mean 'strawberry'", 2),
    "unknown option": (["--set", "shots=3"], "shots", 2),
    "missing prompts": (["--prompts", "nowhere"], "--prompts", 1),
    "unpriced": (["--budget-usd", "1", "--target-model", "compat:x@http://127.0.0.1:9/v1"], "--prices", 1),
}


@pytest.mark.parametrize(("arguments", "advice", "code"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    scripted: Shell, arguments: list[str], advice: str, code: int
) -> None:
    done = evolve(scripted, *arguments)
    assert done.code == code
    assert done.err.startswith("strawberry: ")
    assert done.err.count("\n") == 1
    assert done.err.rstrip().endswith((".", "?"))
    assert advice in done.err
    assert not (scripted.folder / "new.work").exists()
