"""Every run below a folder, and how far it has come."""

import asyncio
import os
from pathlib import Path

from openstrawberry.store.run import RunDirectory
from openstrawberry.ui.shelves import listed, name_of, run_folders
from tests.cli.commands import Shell
from tests.making import make_trace

CONFIG = {"model": "m", "strategy": "strawberry", "samples": 2, "total": 5}


def test_a_run_that_goes_on_is_counted_anew_with_every_trace(tmp_path: Path) -> None:
    async def watch() -> list[tuple[int, int, float, str]]:
        directory = RunDirectory(tmp_path / "run", {"model": "m"}, CONFIG)
        seen = []
        for number, status in enumerate(("correct", "incorrect", "correct")):
            await directory.add(make_trace(number, status=status))
            run = listed(tmp_path / "run")
            seen.append((run.holds.traces, run.holds.right, run.holds.share, run.state))
        directory.finish()
        await directory.close()
        return seen

    assert asyncio.run(watch()) == [(1, 1, 0.1, "going on"), (2, 1, 0.2, "going on"), (3, 2, 0.3, "going on")]
    assert listed(tmp_path / "run").state == "finished"


def test_a_run_that_broke_off_is_unfinished_and_dollars_that_nobody_told_are_unknown(tmp_path: Path) -> None:
    async def leave() -> None:
        directory = RunDirectory(tmp_path / "run", {"model": "m"}, CONFIG)
        await directory.add(make_trace(0))
        await directory.add(make_trace(1, stop="error", error="The server went away."))
        await directory.close()

    asyncio.run(leave())
    run = listed(tmp_path / "run")
    assert (run.state, run.live, run.holds.cost, run.holds.output) == ("unfinished", False, -1.0, 5)
    assert dict(run.holds.stops) == {"error": 1, "final_answer": 1}


def test_runs_inside_loops_are_found_and_what_is_none_is_not(tmp_path: Path) -> None:
    for name, created in (("old", "2026-01-01"), ("loop/round-01/samples", "2026-01-03"), ("new", "2026-01-02")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_text(f'{{"created": "{created}"}}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    assert [path.name for path in run_folders(tmp_path)] == ["samples", "new", "old"]
    assert run_folders(tmp_path / "nothing") == []


def test_how_many_traces_a_run_is_to_have_is_known_from_its_problems(shell: Shell) -> None:
    shell.generate("--samples", 3)
    run = listed(shell.run)
    assert (run.holds.expected, run.holds.traces, run.holds.share, run.state) == (6, 6, 1.0, "finished")


def test_single_questions_can_be_left_out(tmp_path: Path) -> None:
    for name, command in (("one", "ask"), ("two", "generate")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(f'{{"config": {{"command": "{command}"}}}}')
    assert len(run_folders(tmp_path)) == 2
    assert [path.name for path in run_folders(tmp_path, asked=False)] == ["two"]


def test_a_run_whose_name_is_no_text_has_one_that_can_be_shown(tmp_path: Path) -> None:
    name = name_of(tmp_path / os.fsdecode(b"run-\xff<b>"), tmp_path)
    assert name == "run-?<b>"
    assert name_of(tmp_path, tmp_path) == tmp_path.name
