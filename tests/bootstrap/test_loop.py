"""A whole loop on the embedded model, small: what it leaves, what it refuses, and that no kill changes how it ends."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("trl", reason="needs the extra `train`")

from openstrawberry.bootstrap.config import Choosing, Exam, Family, Loop, Sampling
from openstrawberry.bootstrap.events import RoundEnded, StageStarted
from openstrawberry.bootstrap.loop import Bootstrap
from openstrawberry.engine.events import TraceEnded
from openstrawberry.errors import SetupError
from openstrawberry.problems.families import recognise
from openstrawberry.settings import Settings
from openstrawberry.store.ledger import spent_below
from openstrawberry.store.reading import read_traces
from openstrawberry.training.card import trained_on
from openstrawberry.training.progress import Step
from openstrawberry.training.recipe import Recipe

# trl still asks transformers by the old name.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")]

SOURCE = "builtin:add?size={size}&n={n}&seed={seed}&split="
SMALL = Loop(
    rounds=2,
    ladder=[Family(name="add", train=SOURCE + "train", heldout=SOURCE + "held-out", sizes="3-9", easy="4-5")],
    sampling=Sampling(problems=8, samples=4, max_tokens=64, set={"max_turns": 18}),
    choosing=Choosing(easy_problems=3, fewest_pairs=1),
    exam=Exam(problems=14, easy_problems=4, margin=0.9, level=0.9, reach=1),
    recipes=[[Recipe(batch_size=8, steps=2), Recipe(method="sft", batch_size=8, steps=6, save_every=2)]],
)


def climb(folder: Path, hear=lambda _: None, **changes):
    loop = SMALL.model_copy(update={"out": folder, **changes})
    bootstrap = Bootstrap(loop, Settings.load(), hear)
    try:
        return bootstrap.run()
    finally:
        bootstrap.close()


def scores(lineage):
    rounds = [(record.number, record.band, record.pairs, record.conversations) for record in lineage.rounds]
    return lineage.ended, rounds, [(number, dict(found)) for number, _, found in lineage.accepted]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "loop"
    heard = []
    return folder, climb(folder, heard.append), heard


def test_a_loop_leaves_its_lineage_and_a_report(whole):
    folder, lineage, heard = whole
    document = json.loads((folder / "lineage.json").read_text())
    assert document["model"] == lineage.model
    assert document["ended"] == lineage.ended != ""
    first = document["rounds"][0]
    assert first["sizes"] == ["add 6"]
    for name in ("pairs", "conversations"):
        lines = (folder / first[name]["file"]).read_text().splitlines()
        assert len(lines) == first[name]["rows"] > 0
    assert (folder / first["traces"] / "run.json").is_file()
    assert "<svg" in (folder / "report.html").read_text()
    assert "| size | round 0 |" in (folder / "report.md").read_text()
    assert [e.stage for e in heard if isinstance(e, StageStarted)][:3] == ["measure", "probe", "sample"]
    assert any(isinstance(e, RoundEnded) for e in heard)


def test_nothing_held_out_is_ever_learnt_and_no_problem_comes_back(whole):
    folder, lineage, _ = whole
    exam = {trace.problem.id for run in folder.glob("**/heldout*") for trace in read_traces(run)}
    rounds = []
    for record in lineage.rounds:
        run = folder / f"round-{record.number:02d}"
        files = [run / f"{name}.jsonl" for name in ("pairs", "conversations")]
        rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        assert {recognise(row["question"]).split for row in rows} == {"train"}
        rounds.append({trace.problem.id for trace in read_traces(run / "samples")})
        for attempt in record.attempts:
            assert not exam & trained_on(Path(attempt.model.removeprefix("berry:")))
    assert exam
    assert not set.intersection(*rounds) or len(rounds) == 1


def test_a_finished_loop_does_nothing_again(whole):
    folder, lineage, _ = whole
    heard = []
    assert scores(climb(folder, heard.append)) == scores(lineage)
    assert not [e for e in heard if isinstance(e, TraceEnded | Step)]


def test_killed_in_every_stage_it_ends_as_without(whole, tmp_path):
    _, lineage, _ = whole
    killed = set()

    def kill(event):
        """Once per kind of stage: at its start, in the middle of sampling, and in the middle of training."""
        place = ""
        if isinstance(event, StageStarted):
            place = f"{event.round} {event.stage}"
        elif isinstance(event, Step) and event.step == 3:
            place = f"step {event.steps}"
        elif isinstance(event, TraceEnded):
            place = "trace"
        if place and place not in killed:
            killed.add(place)
            raise KeyboardInterrupt

    for _ in range(60):
        try:
            found = climb(tmp_path / "loop", kill)
            break
        except KeyboardInterrupt:
            continue
    assert {"trace", "step 6", "1 sample", "1 select", "1 train", "1 measure"} <= killed
    ended, rounds, accepted = scores(found)
    assert (ended, rounds) == scores(lineage)[:2]
    assert accepted == scores(lineage)[2]


def test_killed_by_signal_9_in_every_stage_a_round_is_the_same_as_without(whole, tmp_path):
    folder, out, config, killed = whole[0], tmp_path / "loop", tmp_path / "loop.yaml", set()
    config.write_text(yaml.safe_dump(SMALL.model_copy(update={"out": out, "rounds": 1}).model_dump(mode="json")))
    command = [sys.executable, "-m", "openstrawberry", "bootstrap", "--config", str(config), "--json"]

    def ended() -> bool:
        """Whether the command came to its end: each kind of stage, of trace and of training step kills it once."""
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                event = json.loads(line)
                place = {"StageStarted": event.get("stage"), "trace": "trace", "Step": "step"}.get(event["event"])
                if place and place not in killed:
                    killed.add(place)
                    process.kill()
            return process.wait() == 0

    for _ in range(20):
        if ended():
            break
    assert killed == {"measure", "probe", "sample", "select", "replay", "train", "trace", "step"}
    first, again = (json.loads((each / "lineage.json").read_text()) for each in (folder, out))
    assert again["student"]["scores"] == first["student"]["scores"]
    for name in ("pairs", "conversations"):
        file = first["rounds"][0][name]["file"]
        assert (out / file).read_bytes() == (folder / file).read_bytes()
    for name in ("accepted", "reason", "gain", "easy", "scores"):
        assert again["rounds"][0]["attempts"][0][name] == first["rounds"][0]["attempts"][0][name]


def test_two_processes_never_climb_in_one_folder(whole):
    folder, _, _ = whole
    first = Bootstrap(SMALL.model_copy(update={"out": folder}), Settings.load(), lambda _: None)
    with pytest.raises(SetupError, match="Another process is writing"):
        climb(folder)
    first.close()


def test_other_settings_do_not_go_on_with_a_loop(whole):
    folder, _, _ = whole
    with pytest.raises(SetupError, match=r"holds a loop with other settings \(sampling, seed\): undo"):
        climb(folder, seed=7, sampling=SMALL.sampling.model_copy(update={"samples": 5}))


def test_a_loop_that_is_older_than_a_setting_goes_on(whole, tmp_path):
    folder, lineage, _ = whole
    shutil.copytree(folder, tmp_path / "loop")
    settings = json.loads((folder / "loop.json").read_text())
    del settings["recipes"][0][0]["heldout"]
    (tmp_path / "loop" / "loop.json").write_text(json.dumps(settings))
    assert len(climb(tmp_path / "loop").rounds) == len(lineage.rounds)


def test_a_budget_holds_over_the_whole_loop_and_with_more_it_ends_as_without(whole, tmp_path):
    folder, lineage, _ = whole
    before, everything = (spent_below(each).counted_tokens for each in (folder / "round-00", folder))
    cap = (before + everything) // 2
    stopped = climb(tmp_path / "loop", budget_tokens=cap)
    assert stopped.ended == f"the token budget is used up ({cap:,})"
    assert before < spent_below(tmp_path / "loop").counted_tokens <= cap
    assert scores(climb(tmp_path / "loop", budget_tokens=10 * everything)) == scores(lineage)


def test_a_loop_that_is_done_needs_no_time_to_say_so(whole):
    folder, lineage, _ = whole
    assert scores(climb(folder, hours=1e-9)) == scores(lineage)


def test_a_student_that_solves_nothing_is_refused(tmp_path):
    family = SMALL.ladder[0].model_copy(update={"sizes": "20-22", "easy": "20"})
    with pytest.raises(SetupError, match="solves nothing on this ladder"):
        climb(tmp_path / "loop", ladder=[family], sampling=replace_turns(SMALL.sampling, 6))


def replace_turns(sampling, turns):
    return sampling.model_copy(update={"set": {"max_turns": turns}})


def test_where_nobody_says_which_sizes_are_easy_they_are_measured_replayed_and_guarded(tmp_path):
    family = SMALL.ladder[0].model_copy(update={"sizes": "4-7", "easy": None})
    exam = SMALL.exam.model_copy(update={"easy_problems": 14})
    lineage = climb(tmp_path / "loop", ladder=[family], exam=exam, rounds=1)
    easy = {int(trace.problem.difficulty) for trace in read_traces(tmp_path / "loop" / "round-00" / "easy")}
    assert easy == {4, 5}
    assert lineage.accepted[-1][0] == 1
    assert "Easy sizes pooled" in (tmp_path / "loop" / "report.md").read_text()
