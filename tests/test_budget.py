"""Runs against a server that keeps its own bill: the budget holds to the cent, through faults and kills."""

import asyncio
import json
import os
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Event, Retried
from openstrawberry.errors import SetupError
from openstrawberry.generate import Run
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.store.summary import Summary
from tests.servers.http import Server
from tests.servers.priced import Till

PROBLEMS = [Problem(question=f"How much is {number} + {number}?", answer="3") for number in range(400)]
KINDS = {"connection", "malformed", "overloaded", "rate_limit", "server", "timeout"}


def priced(folder: Path, till: Till) -> Path:
    file = folder / "prices.yaml"
    file.write_text(f"compat:*: {{input: {till.input}, cached_input: {till.cached}, output: {till.output}}}\n")
    return file


def generate(folder: Path, till: Till, problems: int = 400, **given: Any) -> tuple[Summary, list[Event], Run]:
    """One command, its summary, what it told, and the run itself."""
    heard: list[Event] = []

    async def session() -> tuple[Summary, list[Event], Run]:
        async with Server(till, keep=False) as server:
            given.setdefault("prices", priced(folder, till))
            config = RunConfig(model=f"compat:served@{server.url}/v1", out=folder / "run", samples=1, max_tokens=200,
                               max_turns=8, prompt_set="brief", concurrency=64, **given)  # fmt: skip
            run = Run(config, Settings({}), heard.append, problems=PROBLEMS[:problems])
            try:
                return await run.run(), heard, run
            finally:
                await run.close()

    return asyncio.run(session())


def test_a_thousand_requests_at_64_at_a_time_never_cost_a_cent_more_than_the_budget(tmp_path: Path) -> None:
    till, budget = Till(), 1.9
    over: list[float] = []
    till.watch = lambda now: over.append(now.bill) if now.bill > budget else None
    summary, heard, run = generate(tmp_path, till, budget_usd=budget)

    assert not over
    assert till.requests >= 1000
    assert till.lost > 50
    assert {event.error.kind for event in heard if isinstance(event, Retried)} == KINDS
    assert run.budget is not None
    counted = run.budget.spent.usd
    assert counted is not None
    assert till.bill <= counted <= budget
    assert counted > 0.99 * budget  # what is left does not cover one more request
    assert till.bill > 0.75 * budget  # the rest is held for calls whose end nobody knows, and which were billed less
    assert summary.stops["budget"] >= 1
    assert summary.stopped.startswith("The budget of $1.9 does not cover another request")
    assert len(list(read_traces(tmp_path / "run"))) == summary.traces < 400
    assert summary.cost_usd + summary.open_usd == pytest.approx(counted)


def test_a_continued_run_counts_what_was_spent_and_pays_for_no_reply_twice(tmp_path: Path) -> None:
    till = Till(seed=1, faults=0.05)
    first, _, _ = generate(tmp_path, till, problems=60, budget_usd=0.2)
    assert first.stopped
    assert till.bill <= 0.2
    again, _, _ = generate(tmp_path, till, problems=60, budget_usd=0.2)
    assert again.stopped
    assert till.bill <= 0.2  # nothing more for the same budget, however often it is asked
    unfinished = [trace for trace in read_traces(tmp_path / "run") if trace.stop == "budget"]
    assert unfinished
    assert all(trace.verdict.status == "unknown" and trace.error.kind == "budget" for trace in unfinished)
    before = {turn.key for trace in unfinished for turn in trace.messages if turn.key}

    whole, _, _ = generate(tmp_path, till, problems=60, budget_usd=5.0)
    assert (whole.stopped, whole.owed, whole.traces) == ("", 0, 60)
    assert till.bill <= 5.0
    turns = [turn for trace in read_traces(tmp_path / "run") for turn in trace.messages if turn.key]
    assert before <= {turn.key for turn in turns}
    assert whole.replies_replayed >= len(before)
    with sqlite3.connect(tmp_path / "run" / "replies.sqlite") as record:
        costs = [json.loads(row[0])["cost_usd"] for row in record.execute("select reply from replies")]
    record.close()
    assert len(costs) == len({turn.key for turn in turns})  # every reply that was paid for stands in a trace
    assert whole.cost_usd == pytest.approx(sum(costs))
    assert sum(trace.cost_usd for trace in read_traces(tmp_path / "run")) == pytest.approx(sum(costs))


def test_without_faults_the_cost_is_the_servers_own_bill_to_the_last_digit(tmp_path: Path) -> None:
    till = Till(faults=0.0)
    summary, _, _ = generate(tmp_path, till, problems=50)
    assert summary.cost_usd == pytest.approx(till.bill, rel=1e-12)
    assert summary.cache_saved_usd > 0
    assert summary.open_usd == 0


def test_what_was_paid_stays_when_prices_change(tmp_path: Path) -> None:
    till = Till(faults=0.0)
    first, _, _ = generate(tmp_path, till, problems=20)
    dearer = priced(tmp_path, replace(till, input=2000.0, output=10_000.0))
    (tmp_path / "run" / "traces-00000.jsonl").unlink()
    again, _, _ = generate(tmp_path, till, problems=20, prices=dearer)
    assert again.replies_asked == 0
    assert again.cost_usd == first.cost_usd
    assert sum(trace.cost_usd for trace in read_traces(tmp_path / "run")) == pytest.approx(first.cost_usd)


def test_tokens_can_be_capped_where_no_price_is_known(tmp_path: Path) -> None:
    till = Till(faults=0.0)
    (tmp_path / "none.yaml").write_text("{}")
    summary, _, run = generate(tmp_path, till, problems=60, prices=tmp_path / "none.yaml", budget_tokens=50_000)
    assert run.budget is not None
    assert 45_000 < run.budget.spent.tokens <= 50_000
    assert summary.tokens["input"] + summary.tokens["output"] <= 50_000
    assert summary.cost_usd == -1
    assert "tokens does not cover another request" in summary.stopped


def test_a_budget_in_dollars_without_a_price_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    till = Till()
    (tmp_path / "none.yaml").write_text("{}")
    with pytest.raises(SetupError, match=r'"compat:served: \{input.*--prices FILE, or set --budget-tokens'):
        generate(tmp_path, till, prices=tmp_path / "none.yaml", budget_usd=5.0)
    assert till.requests == 0
    assert not (tmp_path / "run").exists()


def test_a_budget_that_covers_no_request_at_all_is_a_set_up_error_and_leaves_nothing(tmp_path: Path) -> None:
    till = Till()
    with pytest.raises(SetupError, match=r"\$0 is spent.*Raise it with --budget-usd"):
        generate(tmp_path, till, budget_usd=0.0001)
    assert till.requests == 0
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_begun_without_a_price_cannot_go_on_under_a_budget(tmp_path: Path) -> None:
    till = Till(faults=0.0)
    (tmp_path / "none.yaml").write_text("{}")
    generate(tmp_path, till, problems=5, prices=tmp_path / "none.yaml")
    with pytest.raises(SetupError, match="what they took in dollars is not known"):
        generate(tmp_path, till, problems=10, budget_usd=5.0)


async def command(folder: Path, url: str, *flags: str) -> asyncio.subprocess.Process:
    words = ["generate", "--model", f"compat:served@{url}/v1", "--problems", "problems.jsonl", "--out", "run",
             "--json", "--samples", "1", "--max-tokens", "200", "--max-turns", "8", "--prompt-set", "brief",
             "--concurrency", "16", "--prices", "prices.yaml", *flags]  # fmt: skip
    environment = {**os.environ, "HOME": str(folder)}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "openstrawberry", *words, cwd=folder, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)  # fmt: skip


def test_a_killed_run_counts_what_it_had_under_way_and_names_the_command_that_goes_on(tmp_path: Path) -> None:
    till = Till(faults=0.1, calm=16, latency=0.05)
    priced(tmp_path, till)
    rows = [json.dumps({"question": problem.question, "answer": 3}) for problem in PROBLEMS[:100]]
    (tmp_path / "problems.jsonl").write_text("\n".join(rows))

    async def session() -> tuple[float, str, str]:
        async with Server(till, keep=False) as server:
            enough = asyncio.Event()
            till.watch = lambda now: enough.set() if now.requests >= 100 else None
            killed = await command(tmp_path, server.url, "--budget-usd", "0.3")
            await asyncio.wait_for(enough.wait(), 60)
            killed.kill()
            await killed.communicate()
            with sqlite3.connect(tmp_path / "run" / "replies.sqlite") as db:
                under_way = db.execute("select count(*) from reservations").fetchone()[0]
                kept, counted = db.execute("select usd, counted_usd from spent").fetchone()
                reserved = db.execute("select sum(usd) from reservations").fetchone()[0]
            db.close()
            assert under_way > 0
            assert kept < till.bill <= counted + reserved  # more was billed than came back, and all of it is held
            stopped = await command(tmp_path, server.url, "--budget-usd", "0.3")
            out, err = await stopped.communicate()
            assert stopped.returncode == 3
            return till.bill, out.decode(), err.decode()

    bill, out, err = asyncio.run(session())
    assert bill <= 0.3
    summary = json.loads(out.splitlines()[-1])
    assert summary["stopped"].startswith("The budget of $0.3 does not cover another request")
    assert 0 < summary["cost_usd"] <= 0.3
    assert err.count("\n") == 1
    assert err.startswith(
        "strawberry: The budget is used up; everything so far is kept. Go on with: strawberry generate"
    )
    assert err.rstrip().endswith("--prices prices.yaml --budget-usd 0.60")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["finished"] == ""
