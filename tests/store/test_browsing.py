"""A run looked through page by page."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.store.browsing import Browser, Wanted
from openstrawberry.store.run import RunDirectory
from openstrawberry.trace import Tokens, Tree, turn_of
from tests.making import make_reply, make_trace


@pytest.fixture
def run(tmp_path: Path) -> Path:
    async def fill() -> None:
        directory = RunDirectory(tmp_path / "run", {"model": "m"}, {})
        for number in range(30):
            status = ("correct", "incorrect", "no_answer")[number % 3]
            answer = "3" if status == "correct" else "a <b> 50%_4" if status == "incorrect" else ""
            trace = make_trace(number, status=status, stop="final_answer" if answer else "max_turns")
            await directory.add(trace.model_copy(update={"answer": answer, "model": f"scripted:{number % 2}"}))
        await directory.close()

    asyncio.run(fill())
    return tmp_path / "run"


def test_pages_hold_every_trace_once_in_file_order(run: Path) -> None:
    with Browser(run) as browser:
        pages = [browser.page(start=start, size=8) for start in range(0, 32, 8)]
        assert [len(page) for page in pages] == [8, 8, 8, 6]
        assert [row.sample for page in pages for row in page] == list(range(30))
        assert browser.count() == 30


def test_filters_fit_together(run: Path) -> None:
    with Browser(run) as browser:
        wrong = Wanted(statuses=("incorrect",), models=("scripted:1",))
        assert [row.sample for row in browser.page(wrong)] == [1, 7, 13, 19, 25]
        assert browser.count(wrong) == 5
        assert browser.count(Wanted(statuses=("incorrect", "correct"))) == 20
        assert browser.count(Wanted(stops=("max_turns",))) == 10
        assert browser.count(Wanted(least_turns=2)) == 0
        assert browser.counts("status") == {"correct": 10, "incorrect": 10, "no_answer": 10}


def test_text_is_looked_for_as_it_stands(run: Path) -> None:
    with Browser(run) as browser:
        assert browser.count(Wanted(text="STRAWBERRY")) == 30
        assert browser.count(Wanted(text="50%_")) == 10
        assert browser.count(Wanted(text="5%4")) == 0
        assert browser.count(Wanted(text="'; drop table traces; --")) == 0


def test_a_later_verdict_counts_everywhere(run: Path) -> None:
    later = {"id": make_trace(1).id, "status": "correct", "verifier": "exact"}
    (run / "verdicts-exact.jsonl").write_text(json.dumps(later) + "\n")
    with Browser(run) as browser:
        assert browser.counts("status")["correct"] == 11
        (row,) = [row for row in browser.page(Wanted(statuses=("correct",))) if row.sample == 1]
        assert row.status == "correct"
        assert browser.read(row).verdict.verifier == "exact"
        assert sum(tally.right for tally in browser.tally("model", "strategy")) == 11


def test_what_is_written_while_one_looks_is_seen_after_a_refresh(run: Path) -> None:
    async def more() -> None:
        directory = RunDirectory(run, {"model": "m"}, {})
        await directory.add(make_trace(99))
        await directory.close()

    with Browser(run) as browser:
        asyncio.run(more())
        browser.refresh()
        assert browser.count() == 31


def test_a_trace_is_found_by_the_beginning_of_its_id(run: Path) -> None:
    with Browser(run) as browser:
        found = browser.find(make_trace(12).id)
        assert found is not None
        assert found.sample == 12
        assert browser.find("0000") is None  # many begin like this
        assert browser.find("zz") is None


def test_groups_are_counted_and_an_unknown_cost_stays_unknown(run: Path) -> None:
    with Browser(run) as browser:
        one, other = browser.tally("model")
        assert (one.group, one.traces, one.right) == (("scripted:0",), 15, 5)
        assert (other.traces, other.right, other.cost) == (15, 5, -1.0)


def test_only_traces_with_a_verdict_are_judged_and_a_hinted_one_is_not_right(tmp_path: Path) -> None:
    tree = Tree()
    asked = tree.add("user", "q", None)
    secret = tree.add("assistant", "3", tree.add("user", "It is 3.", None, "hint"), "hint", reply=make_reply("3"))
    tree.copy(secret, asked)
    hinted = make_trace(9).model_copy(
        update={"messages": tuple(turn_of(node) for node in tree.nodes), "path": (0, 3), "usage": Tokens(output=5)}
    )
    assert hinted.hinted
    statuses = ("correct", "incorrect", "no_answer", "unknown", "timeout")
    traces = [make_trace(number, status=status) for number, status in enumerate(statuses)]

    async def fill() -> None:
        directory = RunDirectory(tmp_path / "run", {"model": "m"}, {})
        for trace in [*traces, hinted]:
            await directory.add(trace)
        await directory.close()

    asyncio.run(fill())
    with Browser(tmp_path / "run") as browser:
        (tally,) = browser.tally("model")
    assert (tally.right, tally.judged, tally.traces) == (1, 4, 6)
    assert tally.output == 30


def test_tokens_that_nobody_told_of_one_trace_make_the_sum_unknown(run: Path) -> None:
    async def more() -> None:
        directory = RunDirectory(run, {"model": "m"}, {})
        await directory.add(make_trace(99).model_copy(update={"usage": Tokens(), "model": "scripted:0"}))
        await directory.close()

    asyncio.run(more())
    with Browser(run) as browser:
        assert [tally.output for tally in browser.tally("model")] == [-1, 75]


def test_a_run_that_is_taken_away_while_one_looks_is_a_sentence(run: Path) -> None:
    with Browser(run) as browser:
        (row,) = browser.page(size=1)
        shutil.rmtree(run)
        for look in (browser.refresh, lambda: browser.read(row)):
            with pytest.raises(SetupError, match=r"look again|no run directory"):
                look()
    with pytest.raises(SetupError, match="no run directory"):
        Browser(run)


def test_a_line_that_was_damaged_since_it_was_counted_is_a_sentence(run: Path) -> None:
    with Browser(run) as browser:
        (row,) = browser.page(size=1)
        (file,) = run.glob("traces-*.jsonl")
        file.write_bytes(b"x" * 50 + file.read_bytes()[50:])
        with pytest.raises(SetupError, match="can no longer be read"):
            browser.read(row)
        assert browser.count() == 30


def damaged() -> dict[str, dict[str, Any]]:
    """Lines that are JSON and no trace that one could walk through, count or draw."""
    whole = json.loads(make_trace(50).to_line())
    turns = whole["messages"]
    return {
        "a turn that follows itself": {**whole, "messages": [turns[0], {**turns[1], "parent": 1}]},
        "turns in a ring": {**whole, "messages": [{**turns[0], "parent": 1}, {**turns[1], "parent": 0}]},
        "a copy of nothing": {**whole, "messages": [turns[0], {**turns[1], "copy_of": 9}]},
        "a path to nowhere": {**whole, "path": [0, 7]},
        "a path from the end": {**whole, "path": [-1]},
        "no time": {**whole, "ended": "soon"},
        "times of two kinds": {**whole, "ended": "2026-01-01T00:00:01"},
        "a number too large": {**whole, "sample": 10**30},
        "a price that is none": {**whole, "cost_usd": float("nan")},
        "options that are no text": {**whole, "params": "{"},
    }


@pytest.mark.parametrize("name", damaged())
def test_a_line_that_is_no_trace_costs_only_itself(run: Path, name: str) -> None:
    (file,) = run.glob("traces-*.jsonl")
    after = make_trace(51).to_line()
    with file.open("a") as out:
        out.write(f"{json.dumps(damaged()[name])}\n{after}\n")
    with Browser(run) as browser:
        assert browser.count() == 31
        assert browser.find(make_trace(50).id) is None
        assert browser.find(make_trace(51).id) is not None


def test_a_later_verdict_that_is_none_leaves_the_first(run: Path) -> None:
    lines = ["[]", "3", '{"status": "correct"}', json.dumps({"id": make_trace(1).id, "status": ["<b>"]}),
             json.dumps({"id": {}, "status": "correct"})]  # fmt: skip
    (run / "verdicts-bad.jsonl").write_text("\n".join(lines) + "\n")
    with Browser(run) as browser:
        assert browser.counts("status") == {"correct": 10, "incorrect": 10, "no_answer": 10}
