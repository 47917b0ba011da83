"""`strawberry train-dpo`, `train-sft`, `train-prm` and `bootstrap`, as a user meets them."""

import json

import pytest
import yaml

from openstrawberry.bootstrap.config import Loop
from tests.cli.commands import Shell


def test_the_settings_of_a_loop_are_printed_as_yaml_that_can_be_read_back(shell: Shell) -> None:
    done = shell.strawberry("bootstrap", "--show-config", "--rounds", 7, "--student", "hf:some/model")
    assert done.code == 0
    loop = Loop(**yaml.safe_load(done.out))
    assert (loop.rounds, loop.student) == (7, "hf:some/model")
    assert loop.ladder == Loop().ladder
    file = shell.folder / "loop.yaml"
    file.write_text(done.out)
    again = shell.strawberry("bootstrap", "--config", file, "--show-config")
    assert again.out == done.out


def test_a_setting_that_does_not_exist_is_one_sentence(shell: Shell) -> None:
    file = shell.folder / "loop.yaml"
    file.write_text("raunds: 3\n")
    done = shell.strawberry("bootstrap", "--config", file)
    assert (done.code, done.out) == (2, "")
    assert "raunds" in done.err
    assert "rounds" in done.err


class TestTraining:
    """What needs torch and trl."""

    @pytest.fixture(autouse=True)
    def _needed(self) -> None:
        pytest.importorskip("torch", reason="needs the extra `train`")
        pytest.importorskip("trl", reason="needs the extra `train`")

    @pytest.mark.parametrize("verb", ["train-dpo", "train-sft", "train-prm"])
    def test_a_file_of_another_shape_is_one_sentence_with_its_line(self, shell: Shell, verb: str) -> None:
        file = shell.folder / "rows.jsonl"
        file.write_text('{"question": "?"}\n')
        done = shell.strawberry(verb, file, "--model", "berry", "--out", shell.folder / "out")
        assert done.code == 1
        assert done.err.startswith("strawberry: Line 1 of")
        assert "strawberry select" in done.err
        assert not list(shell.folder.glob("out*"))

    def test_a_remote_model_cannot_be_trained_here(self, shell: Shell) -> None:
        done = shell.strawberry("train-dpo", shell.problems, "--model", "openai:gpt-5")
        assert done.code == 1
        assert "weights are elsewhere" in done.err

    def test_a_dry_run_shows_what_is_learnt_and_writes_nothing(self, shell: Shell) -> None:
        talk = [{"role": "user", "content": "What is 4 + 6?"}, {"role": "assistant", "content": "Left 4+6"}]
        file = shell.folder / "rows.jsonl"
        file.write_text(json.dumps({"messages": talk}) + "\n")
        done = shell.strawberry("train-sft", file, "--model", "berry", "--out", shell.folder / "out", "--dry-run")
        assert done.code == 0
        assert "What is 4 + 6?<|assistant|>⟦Left 4+6<|end|>⟧" in done.out
        assert not list(shell.folder.glob("out*"))

    def test_a_dry_run_of_a_process_reward_shows_where_the_targets_stand(self, shell: Shell) -> None:
        row = {"prompt": [{"role": "user", "content": "What is 4 + 6?"}], "completions": ["Left 4+6", "Done. Got 10"],
               "asked": ["", "Next step?"], "labels": [True, True], "values": [0.5, 1.0]}  # fmt: skip
        file = shell.folder / "steps.jsonl"
        file.write_text(json.dumps({**row, "problem": "a"}) + "\n" + json.dumps({**row, "problem": "b"}) + "\n")
        done = shell.strawberry("train-prm", file, "--model", "berry", "--out", shell.folder / "out", "--dry-run")
        assert done.code == 0
        assert "Left 4+6⟦<|end|>⟧<|user|>Next step?<|assistant|>Done. Got 10⟦<|end|>⟧" in done.out
        assert not list(shell.folder.glob("out*"))

    def test_a_process_reward_model_is_trained_graded_and_named(self, shell: Shell) -> None:
        rows = [
            {"prompt": [{"role": "user", "content": f"What is {n} + 6?"}], "completions": [f"Left {n}+{6 - bad}"],
             "asked": [""], "labels": [not bad], "values": [float(not bad)], "problem": f"p{n}"}
            for n in range(1, 7) for bad in (0, 1)
        ]  # fmt: skip
        file, out = shell.folder / "steps.jsonl", shell.folder / "out"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        common = [file, "--model", "berry", "--labels", "hard", "--heldout", 0.4, "--steps", 2]
        done = shell.strawberry("train-prm", *common, "--out", out)
        assert done.code == 0
        assert "process reward, hard labels · 8 rows" in done.out
        assert "held out: AUC" in done.out
        assert "4 steps of 2 problems" in done.out
        assert f"--prm prm:{out}" in done.out
        piped = shell.strawberry("train-prm", *common, "--out", shell.folder / "again", "--json").events
        assert [event["event"] for event in piped] == ["start", "step", "step", "grade", "trained"]
        assert piped[3]["problems"] == 2
        assert piped[4]["spec"] == f"prm:{shell.folder / 'again'}"
        wrong = shell.strawberry("train-prm", *common, "--labels", "sofd", "--out", shell.folder / "more")
        assert wrong.code == 2
        assert "of --labels does not fit: choose 'soft' or 'hard'" in wrong.err

    def test_a_loop_over_a_remote_student_is_refused_before_anything_is_made(self, shell: Shell) -> None:
        out = shell.folder / "loop"
        done = shell.strawberry("bootstrap", "--student", "openai:gpt-5", "--out", out)
        assert done.code == 1
        assert "weights are elsewhere" in done.err
        assert not out.exists()

    @pytest.mark.parametrize(
        ("flags", "told"),
        [
            (["--teacher", "openai:gpt-5"], "set OPENAI_API_KEY"),
            (["--teacher", "compat:x@http://127.0.0.1:9/v1", "--budget-usd", 1], "name it with --prices FILE"),
            (["--budget-tokens", 10], "The budget of 10 tokens does not cover another request"),
        ],
    )
    def test_a_teacher_or_a_budget_that_cannot_do_is_found_before_anything_is_asked(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch, flags: list[object], told: str
    ) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        done = shell.strawberry("bootstrap", *flags, "--out", shell.folder / "loop")
        assert (done.code, told in done.err) == (1, True)
        assert done.err.count("\n") == 1
        assert not list(shell.folder.glob("loop/*/*/traces*"))
