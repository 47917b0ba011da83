"""What a loop may use: its hours, tokens and dollars hold over all stages and all commands."""

from pathlib import Path

import pytest

from openstrawberry.bootstrap.config import Loop, Sampling
from openstrawberry.bootstrap.ladder import Rung
from openstrawberry.bootstrap.purse import Purse, UsedUp
from openstrawberry.bootstrap.stages import Stages
from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.ledger import spent_below
from openstrawberry.store.reading import read_traces

ASKED = [(Rung("add", 0, "2"), Problem(question=f"What is {number} + 1?", answer="3")) for number in range(10, 30)]
SCRIPT = "turns: [{content: <final_answer>3</final_answer>, usage: {input: 100, output: 10}}]"
A_STAGE = len(ASKED) * 110  # tokens


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def play(folder: Path, stage: str, **limits: float) -> list[str]:
    """A stage of a loop in `folder`; how its traces ended."""
    script = folder / "script.yaml"
    script.write_text(SCRIPT)
    (folder / "prices.yaml").write_text('"scripted:*": {input: 10, output: 100}')
    loop = Loop(out=folder / "loop", sampling=Sampling(concurrency=4), prices=folder / "prices.yaml", **limits)
    stages = Stages(loop, Settings({}), lambda event: None, 1, (), Purse(loop))
    out = stages.play("sample", f"scripted:{script}", ASKED, 1, 0, loop.out / stage)
    return [trace.stop for trace in read_traces(out)]


def test_tokens_are_capped_over_all_stages_and_more_of_them_go_on(tmp_path: Path) -> None:
    cap = A_STAGE + 1600
    assert play(tmp_path, "first", budget_tokens=cap) == ["final_answer"] * len(ASKED)
    with pytest.raises(UsedUp, match=f"The budget of {cap:,} tokens does not cover another request") as caught:
        play(tmp_path, "second", budget_tokens=cap)
    assert caught.value.why == f"the token budget is used up ({cap:,})"
    assert caught.value.more == f"--budget-tokens {2 * cap}"
    assert A_STAGE < (spent_below(tmp_path / "loop").counted_tokens or 0) <= cap
    assert play(tmp_path, "first", budget_tokens=cap) == ["final_answer"] * len(ASKED)  # it asks for nothing
    assert play(tmp_path, "second", budget_tokens=2 * cap) == ["final_answer"] * len(ASKED)
    assert spent_below(tmp_path / "loop").counted_tokens == 2 * A_STAGE


def test_dollars_are_capped_over_all_stages(tmp_path: Path) -> None:
    play(tmp_path, "first")
    spent = spent_below(tmp_path / "loop").counted_usd
    assert spent == pytest.approx(len(ASKED) * 0.002)
    with pytest.raises(UsedUp, match=r"The budget of \$0\.08 does not cover another request") as caught:
        play(tmp_path, "second", budget_usd=0.08)
    assert caught.value.why == "the dollar budget is used up ($0.08)"
    assert caught.value.more.startswith("--budget-usd 0.1")
    assert 0.04 < (spent_below(tmp_path / "loop").counted_usd or 0) <= 0.08


def test_a_budget_that_covers_no_request_at_all_is_a_set_up_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="Raise it with --budget-tokens") as caught:
        play(tmp_path, "first", budget_tokens=5)
    assert not isinstance(caught.value, UsedUp)


def test_hours_are_those_of_all_commands_and_nothing_new_begins_when_they_are_over(tmp_path: Path) -> None:
    clock, loop = Clock(), Loop(out=tmp_path, hours=2)
    first = Purse(loop, clock)
    clock.now += 5000
    first.check_time()
    first.note()
    clock.now += 90_000  # nobody works
    second = Purse(loop, clock)
    clock.now += 2000
    second.check_time()
    clock.now += 300
    with pytest.raises(UsedUp, match="The 2 hours of this loop are over") as caught:
        second.check_time()
    assert (caught.value.why, caught.value.more) == ("the time is used up (2 h)", "--hours 4")


def test_a_kill_loses_a_few_seconds_of_the_time_at_most(tmp_path: Path) -> None:
    clock, loop = Clock(), Loop(out=tmp_path)
    purse = Purse(loop, clock)
    for _ in range(1000):
        clock.now += 1
        purse.tick()
    assert 990 <= Purse(loop, clock).seconds <= 1000


def test_a_stage_that_is_done_needs_no_time(tmp_path: Path) -> None:
    done = play(tmp_path, "first")
    (tmp_path / "loop" / "time.json").write_text('{"seconds": 7200.0}')
    assert play(tmp_path, "first", hours=1) == done
    with pytest.raises(UsedUp):
        play(tmp_path, "second", hours=1)
