"""A run looked through page by page."""

import asyncio
import json
from pathlib import Path

import pytest

from openstrawberry.store.browsing import Browser, Wanted
from openstrawberry.store.run import RunDirectory
from tests.making import make_trace


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
