"""`strawberry select` and `strawberry generate --until-decided`, as a user meets them."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.problems.families import recognise
from openstrawberry.selection.steps import is_clean
from openstrawberry.store.reading import read_traces
from tests.cli.commands import Shell

SOMETIMES = """
rules:
  - {when: confident, question: sometimes, say: [<final_answer>3</final_answer>, <final_answer>4</final_answer>]}
  - {when: confident, question: never, say: <final_answer>4</final_answer>}
  - {when: confident, say: <final_answer>3</final_answer>}
turns: [[one, eins, un], [two, zwei, deux]]
"""
QUESTIONS = ["Would it sometimes be right?", "Is it sometimes right too?", "Never right, never?", "Always right?"]


@pytest.fixture
def sometimes(shell: Shell) -> Shell:
    """A model that is right at times about two of four problems."""
    shell.script.write_text(SOMETIMES)
    shell.problems.write_text("".join(json.dumps({"question": text, "answer": 3}) + "\n" for text in QUESTIONS))
    return shell


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_pairs_are_made_from_a_run_and_the_next_command_is_said(sometimes: Shell) -> None:
    sometimes.generate("--samples", 8)
    pairs = sometimes.folder / "pairs.jsonl"
    done = sometimes.strawberry("select", sometimes.run, "--out", pairs)
    assert done.code == 0
    assert f"strawberry train-dpo {pairs} --model hf:PATH" in done.out
    assert "1 always right" in done.out
    assert "1 never right" in done.out
    status = {trace.id: trace.verdict.status for trace in read_traces(sometimes.run)}
    assert {row["question"] for row in rows(pairs)} == set(QUESTIONS[:2])
    assert {status[row["chosen_trace"]] for row in rows(pairs)} == {"correct"}
    assert {status[row["rejected_trace"]] for row in rows(pairs)} == {"incorrect"}
    report = json.loads((sometimes.folder / "pairs.jsonl.report.json").read_text())
    assert report["rows"] == len(rows(pairs))


def test_bare_it_takes_the_newest_run_and_writes_into_it(sometimes: Shell) -> None:
    with contextlib.chdir(sometimes.folder):
        for seed in (1, 2):
            model = f"scripted:{sometimes.script}"
            sometimes.strawberry("generate", "--model", model, "--problems", sometimes.problems, "--seed", seed)
        done = sometimes.strawberry("select", "--format", "sft", "--json")
        (event,) = done.events
        file = Path(event["file"])
        assert (event["event"], event["rows"], file.name) == ("selection", len(rows(file)), "conversations.jsonl")
        assert json.loads((file.parent / "run.json").read_text())["config"]["seed"] == 2


def test_a_dry_run_shows_the_report_and_writes_nothing(sometimes: Shell) -> None:
    sometimes.generate("--samples", 8)
    before = sorted(path.name for path in sometimes.run.iterdir())
    done = sometimes.strawberry("select", sometimes.run, "--dry-run")
    assert done.code == 0
    assert "dry run" in done.out
    assert sorted(path.name for path in sometimes.run.iterdir()) == before


def test_flags_stand_in_a_file_and_the_command_line_wins(sometimes: Shell) -> None:
    sometimes.generate("--samples", 8)
    config = sometimes.folder / "select.yaml"
    config.write_text("skew: 0\nper-problem: 1\nno-such: 1\n")
    wrong = sometimes.strawberry("select", sometimes.run, "--config", config)
    assert (wrong.code, "no_such" in wrong.err) == (2, True)
    config.write_text("skew: 0\nper-problem: 1\nformat: kto\n")
    (event,) = sometimes.strawberry("select", sometimes.run, "--config", config, "-f", "trl", "--json").events
    assert (event["options"]["skew"], event["rows"], event["format"]) == (0, 2, "trl")
    assert all(row["offset"] == 0 for row in rows(Path(event["file"])))
    config.write_text("dry-run: true\njson: true\n")
    before = sorted(path.name for path in sometimes.run.iterdir())
    (event,) = sometimes.strawberry("select", sometimes.run, "--config", config).events
    assert event["event"] == "selection"
    assert sorted(path.name for path in sometimes.run.iterdir()) == before


BAD = {
    "no run": (1, ["nowhere"], "name one made by generate"),
    "unknown unit": (2, ["--unit", "stp"], "choose 'trace', 'step' or 'correction'."),
    "unknown format": (2, ["--format", "csv"], "--format"),
    "negative skew": (2, ["--skew", "-1"], "--skew"),
    "upside down": (2, ["--low", "0.9"], "--low"),
    "openai chat": (2, ["--format", "openai"], "--rendering flat"),
    "no evaluation set": (1, ["--evaluation", "nowhere.jsonl"], "nowhere.jsonl"),
    "no place": (1, ["--out", "/proc/none/pairs.jsonl"], "--out"),
    "no pairs": (1, ["--unit", "correction"], "--unit trace"),
    "evaluated": (1, ["--evaluation", "PROBLEMS"], "4 of the 4 problems"),
}


@pytest.mark.parametrize(("code", "arguments", "advice"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    sometimes: Shell, code: int, arguments: list[str], advice: str
) -> None:
    sometimes.generate("--samples", 8)
    before = sorted(path.name for path in sometimes.run.iterdir())
    given = [str(sometimes.problems) if text == "PROBLEMS" else text for text in arguments]
    done = sometimes.strawberry("select", *([] if given[0] == "nowhere" else [sometimes.run]), *given)
    assert done.code == code
    assert done.err.startswith("strawberry: ")
    assert done.err.count("\n") == 1
    assert advice in done.err
    assert sorted(path.name for path in sometimes.run.iterdir()) == before


def test_evaluated_problems_can_be_left_out(sometimes: Shell) -> None:
    sometimes.generate("--samples", 8)
    evaluation = sometimes.folder / "evaluation.jsonl"
    evaluation.write_text(json.dumps({"question": QUESTIONS[0].upper(), "answer": 3}))
    flags = ["--evaluation", evaluation, "--drop-evaluated", "--json"]
    (event,) = sometimes.strawberry("select", sometimes.run, *flags).events
    assert {row["question"] for row in rows(Path(event["file"]))} == {QUESTIONS[1]}
    assert event["dropped_problems"]["in an evaluation set"] == 1


# generate --until-decided


def drawn(run: Path) -> dict[str, list[int]]:
    """The samples of each question."""
    found: dict[str, list[int]] = {question: [] for question in QUESTIONS}
    for trace in read_traces(run):
        found[trace.problem.question].append(trace.sample)
    return {question: sorted(samples) for question, samples in found.items()}


def test_sampling_stops_when_a_problem_is_decided(sometimes: Shell) -> None:
    done = sometimes.generate("--until-decided")
    assert done.code == 0
    samples = drawn(sometimes.run)
    assert samples[QUESTIONS[2]] == list(range(20))
    assert samples[QUESTIONS[3]] == list(range(16))
    for question in QUESTIONS[:2]:
        statuses = {trace.verdict.status for trace in read_traces(sometimes.run) if trace.problem.question == question}
        before = {trace.verdict.status for trace in read_traces(sometimes.run)
                  if trace.problem.question == question and trace.sample < samples[question][-1]}  # fmt: skip
        assert (len(statuses), len(before)) == (2, 1)
    saved = 80 - sum(map(len, samples.values()))
    assert f"{saved} traces, about " in done.out
    assert "up to 20 samples" in done.out
    assert "16/16 Always right?" in done.out


def test_what_was_asked_for_is_in_the_run_and_in_the_summary(sometimes: Shell) -> None:
    config = sometimes.folder / "run.yaml"
    config.write_text("until-decided: true\nsamples: 5\n")
    summary = sometimes.generate("--config", config, "--json").events[-1]
    assert summary["saved_traces"] == 20 - sum(map(len, drawn(sometimes.run).values()))
    assert summary["saved_calls"] > summary["saved_traces"]
    asked = json.loads((sometimes.run / "run.json").read_text())["config"]
    assert (asked["until_decided"], asked["samples"]) == (True, 5)
    assert sometimes.generate("--samples", 5, "--json").events[-1]["saved_traces"] == -1


@pytest.mark.parametrize("kept", [0, 1, 5, 9, 17, 40])
def test_a_run_that_was_cut_comes_to_the_same_decisions(sometimes: Shell, kept: int) -> None:
    sometimes.generate("--until-decided", "--concurrency", 3)
    whole = drawn(sometimes.run)
    (file,) = sometimes.run.glob("traces-*.jsonl")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:kept]))
    (sometimes.run / "index.sqlite").unlink()
    again = sometimes.generate("--until-decided", "--concurrency", 7, "--json").events[-1]
    assert drawn(sometimes.run) == whole
    assert again["made"] == sum(map(len, whole.values())) - kept
    assert again["replies_asked"] == 0
    assert sometimes.generate("--until-decided", "--json").events[-1]["made"] == 0


def test_an_ordinary_run_is_taken_up_and_an_unfinished_one_stays_unfinished(sometimes: Shell) -> None:
    sometimes.generate("--samples", 3)
    document = json.loads((sometimes.run / "run.json").read_text())
    (sometimes.run / "run.json").write_text(json.dumps({**document, "finished": ""}))
    sometimes.generate("--until-decided")
    assert drawn(sometimes.run)[QUESTIONS[2]] == list(range(20))
    document = json.loads((sometimes.run / "run.json").read_text())
    assert (document["finished"], document["config"]["until_decided"]) == ("", False)


def test_a_problem_that_fails_is_retried_and_the_others_go_on(sometimes: Shell) -> None:
    fault = "question: Never, say: {error: bad_request, status: 400}}"
    sometimes.script.write_text(SOMETIMES.replace("question: never, say: <final_answer>4</final_answer>}", fault))
    failed = sometimes.generate("--until-decided", "--samples", 4, "--attempts", 1)
    assert failed.code == 3
    sometimes.script.write_text(SOMETIMES)
    healed = sometimes.generate("--until-decided", "--samples", 4, "--json")
    assert (healed.code, healed.events[-1]["made"]) == (0, 4)


def test_the_embedded_model_from_problems_to_rows(shell: Shell) -> None:
    source = "builtin:add?size=2&n=3&split=train"
    flags = ["--samples", 2, "--max-tokens", 48, "--out", shell.run, "--json"]
    summary = shell.strawberry("generate", "--until-decided", "--problems", source, *flags).events[-1]
    assert summary["saved_traces"] + summary["made"] == 6
    (event,) = shell.strawberry("select", shell.run, "--format", "sft", "--json").events
    assert event["clean_guard"].startswith("on")
    clean = {trace.id for trace in read_traces(shell.run) if trace.correct and is_clean(trace)}
    made = rows(Path(event["file"]))
    assert made
    assert {row["trace"] for row in made} <= clean
    for row in made:
        item = recognise(row["question"])
        assert item is not None
        assert (item.split, row["family"], row["difficulty"]) == ("train", "add", 2.0)


def test_a_file_that_no_selection_wrote_is_never_replaced(sometimes: Shell) -> None:
    sometimes.generate("--samples", 8)
    notes = sometimes.folder / "notes.yaml"
    notes.write_text("mine: true\n")
    done = sometimes.strawberry("select", sometimes.run, "--out", notes)
    assert (done.code, notes.read_text()) == (1, "mine: true\n")
    assert done.err.strip().endswith("choose another file with --out.")


def test_step_labels_are_written_from_the_values_of_a_search(sometimes: Shell) -> None:
    sometimes.generate("--samples", 1, "--strategy", "omega", "--set", "max_branches=12", "--final-every", 3)
    done = sometimes.strawberry("select", sometimes.run, "--format", "prm")
    assert done.code == 0
    file = sometimes.run / "steps.jsonl"
    assert f"strawberry train-prm {file} --model hf:PATH" in done.out
    found = rows(file)
    assert {tuple(sorted(set(row["labels"]))) for row in found} == {(True,), (False, True)}
    assert "Never right, never?" not in {row["question"] for row in found}
    assert "without any step of worth" in done.out


def test_step_labels_are_made_from_ordinary_samples_of_problems_with_both_outcomes(sometimes: Shell) -> None:
    sometimes.generate("--samples", 8)
    done = sometimes.strawberry("select", sometimes.run, "--format", "prm")
    assert done.code == 0
    found = rows(sometimes.run / "steps.jsonl")
    assert {row["question"] for row in found} == set(QUESTIONS[:2])
    assert {row["labels"][-1] for row in found} == {True, False}
    assert "1 always right" in done.out
    assert "1 never right" in done.out


def test_a_search_without_the_known_answer_gives_no_step_labels_and_is_told_what_does(sometimes: Shell) -> None:
    sometimes.generate("--samples", 1, "--strategy", "beam", "--set", "value=rollouts", "--set", "depth=1")
    done = sometimes.strawberry("select", sometimes.run, "--format", "prm")
    assert done.code == 1
    assert "4 valued without the known answer" in done.err
    assert "strawberry generate --strategy omega" in done.err
