"""Single stages of a loop, with a scripted model in the place of the student."""

from pathlib import Path

import pytest

from openstrawberry.bootstrap.config import Loop, Sampling
from openstrawberry.bootstrap.ladder import Rung
from openstrawberry.bootstrap.stages import Stages
from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces

ASKED = [(Rung("add", 0, "2"), Problem(question=f"What is {number} + 1?", answer="3")) for number in range(10, 30)]


def play(folder: Path, script: str) -> Path:
    """The stage of sampling, in `folder`."""
    (folder / "script.yaml").write_text(script)
    stages = Stages(Loop(sampling=Sampling(concurrency=1)), Settings({}), lambda event: None, 1, ())
    return stages.play("sample", f"scripted:{folder / 'script.yaml'}", ASKED, 1, 0, folder / "samples")


ANSWER = "turns: [<final_answer>3</final_answer>]"


def test_a_used_up_quota_stops_the_loop_with_a_sentence_and_the_stage_goes_on_later(tmp_path: Path) -> None:
    quota = "rules:\n  - {question: What is 15, say: {error: quota, status: 429, retry_after: 7200}}\n"
    with pytest.raises(SetupError, match="It resumes at") as caught:
        play(tmp_path, quota + ANSWER)
    assert "of this stage failed" not in str(caught.value)
    assert sum(trace.correct for trace in read_traces(tmp_path / "samples")) == 5
    play(tmp_path, ANSWER)
    assert sum(trace.correct for trace in read_traces(tmp_path / "samples")) == 20


def test_a_stage_of_which_too_much_failed_says_how_much_and_how_to_go_on(tmp_path: Path) -> None:
    refused = "rules:\n  - {question: What is 15, say: {error: bad_request, status: 400}}\n"
    with pytest.raises(SetupError, match=r"1 of 20 traces of this stage failed \(.*\): run the same command to try ag"):
        play(tmp_path, refused + ANSWER)
