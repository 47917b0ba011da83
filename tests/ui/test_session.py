"""A question asked in the background: events become blocks, stopping keeps what was said, going on replays it."""

import gc
import threading
import time
from pathlib import Path

import yaml

from openstrawberry.config import load_config
from openstrawberry.settings import Settings
from openstrawberry.store.browsing import Browser
from openstrawberry.ui.session import Conversation

PATIENCE = 30.0
SLOW = 0.05  # seconds a scripted reply takes, so that there is something to stop


def script(folder: Path, **parts: object) -> str:
    file = folder / "script.yaml"
    file.write_text(yaml.safe_dump(parts))
    return f"scripted:{file}"


def talk(
    folder: Path, model: str, *, samples: int = 1, turns: int | None = None, answer: str | None = "3"
) -> Conversation:
    config = load_config(
        None, {"model": model, "samples": samples, "concurrency": samples, "home": folder / "traces", "set": {}}
    )
    return Conversation(config, Settings({}), "How many r's are in strawberry?", answer, turns)


def endless(folder: Path, delay: float = SLOW) -> str:
    return script(folder, turns=[{"content": "One more step.", "delay": delay, "usage": {"input": 10, "output": 3}}])


def until(talking: Conversation, replies: int) -> None:
    """Waits until so many replies are whole."""
    end = time.monotonic() + PATIENCE
    while talking.view().totals.replies < replies:
        assert time.monotonic() < end
        talking.wait(0.01)


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "traces").iterdir())


def test_steps_tokens_and_verdict_are_there_when_it_has_ended(tmp_path: Path) -> None:
    usage = {"input": 10, "cached_input": 4, "output": 3}
    said = [{"content": text, "usage": usage} for text in ("s is not r.", "<final_answer>3</final_answer>")]
    talking = talk(tmp_path, script(tmp_path, turns=said))
    assert talking.wait(PATIENCE)
    view = talking.view()
    assert (view.state, view.more, view.error) == ("done", False, "")
    (lane,) = view.lanes
    assert [block.step(1).turn.content for block in lane.blocks] == [line["content"] for line in said]
    assert [block.text for block in lane.blocks] == [line["content"] for line in said]  # every piece was streamed
    totals = view.totals
    assert (totals.input, totals.cached, totals.output, totals.replies) == (20, 8, 6, 2)
    assert lane.trace is not None
    assert lane.trace.correct
    talking.close()


def test_tokens_and_dollars_that_nobody_tells_stay_unknown(tmp_path: Path) -> None:
    talking = talk(tmp_path, script(tmp_path, turns=["<final_answer>3</final_answer>"]))
    assert talking.wait(PATIENCE)
    assert talking.view().totals.input is None
    talking.close()


def test_stopped_it_is_recorded_as_far_as_it_came_and_goes_on_from_there(tmp_path: Path) -> None:
    talking = talk(tmp_path, endless(tmp_path))
    until(talking, 2)
    talking.stop()
    assert talking.wait(PATIENCE)
    stopped = talking.view()
    (lane,) = stopped.lanes
    assert (stopped.state, stopped.more) == ("stopped", True)
    assert lane.trace is not None
    assert (lane.trace.stop, lane.trace.turns) == ("max_turns", len(lane.replies))
    before = len(lane.replies)
    assert before >= 2
    assert all(block.node is not None for block in lane.blocks)  # the reply that was cut off is gone
    talking.go_on(3)
    assert talking.wait(PATIENCE)
    (lane,) = talking.view().lanes
    assert len(lane.replies) == before + 3
    talking.close()
    talking_again = runs(tmp_path)
    assert len(talking_again) == 1
    with Browser(talking_again[0]) as browser:
        (row,) = browser.page()
        assert row.turns == before + 3


def test_going_on_asks_only_for_what_is_new(tmp_path: Path) -> None:
    talking = talk(tmp_path, endless(tmp_path, delay=0.2), turns=4)
    assert talking.wait(PATIENCE)
    began = time.monotonic()
    talking.go_on(1)
    assert talking.wait(PATIENCE)
    assert time.monotonic() - began < 3 * 0.2  # one new reply; five would take a second
    assert talking.view().totals.replies == 5
    talking.close()


def test_while_a_trace_is_replayed_its_steps_stay_in_sight(tmp_path: Path) -> None:
    talking = talk(tmp_path, endless(tmp_path), turns=6)
    assert talking.wait(PATIENCE)
    talking.go_on(2)
    seen = []
    while talking.view().running:
        seen.append(talking.view().totals.replies)
    assert min(seen, default=6) >= 6
    talking.close()


def test_asked_several_times_every_trace_has_a_lane(tmp_path: Path) -> None:
    answers = [f"<final_answer>{n}</final_answer>" for n in (3, 3, 3, 2)]
    talking = talk(tmp_path, script(tmp_path, turns=[answers]), samples=5)
    assert talking.wait(PATIENCE)
    view = talking.view()
    assert [lane.sample for lane in view.lanes] == [0, 1, 2, 3, 4]
    assert len({trace.id for trace in view.traces}) == 5
    talking.close()


def test_what_is_set_up_wrongly_is_a_sentence_and_leaves_no_run(tmp_path: Path) -> None:
    talking = talk(tmp_path, f"scripted:{tmp_path / 'nothing.yaml'}")
    assert talking.wait(PATIENCE)
    view = talking.view()
    assert (view.state, view.more) == ("failed", False)
    assert "check --model" in view.error
    fault = talk(tmp_path, script(tmp_path, turns=[{"error": "auth", "status": 401}]))
    assert fault.wait(PATIENCE)
    assert fault.view().state == "failed"
    talking.go_on(3)
    assert not talking.view().running
    assert not list(tmp_path.glob("traces/*"))


def test_a_failure_after_the_first_reply_is_in_the_trace_and_can_be_tried_again(tmp_path: Path) -> None:
    fault = {"error": "bad_request", "status": 400}
    talking = talk(tmp_path, script(tmp_path, turns=["s is not r.", fault]))
    assert talking.wait(PATIENCE)
    view = talking.view()
    (lane,) = view.lanes
    assert lane.trace is not None
    assert (lane.trace.stop, view.state, view.more) == ("error", "done", True)
    talking.close()


def test_a_conversation_that_nobody_holds_ends_its_thread(tmp_path: Path) -> None:
    talking = talk(tmp_path, endless(tmp_path))
    until(talking, 1)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "asking"]
    del talking
    gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_closing_twice_or_before_it_began_is_fine(tmp_path: Path) -> None:
    talking = talk(tmp_path, endless(tmp_path))
    talking.close()
    talking.close()
    assert talking.wait(PATIENCE)
    assert talking.view().state in ("stopped", "failed")
