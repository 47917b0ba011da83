"""Finished runs judged anew, and two verifiers compared over them."""

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.audit import Audit, audit
from openstrawberry.config import RunConfig
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.generate import Run
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_run, read_traces
from openstrawberry.store.run import RunDirectory
from openstrawberry.verify import JudgeCalls, Recheck, recheck
from tests.servers.dialects import Said, failure, openai
from tests.servers.http import Answer, Received, Server

# Said by the solver of each problem; `exact` takes the first two for wrong, a judge with sense only the second.
SAID = {"Twelve?": ("12", "twelve"), "Capital of France?": ("Paris", "London"), "2+2?": ("4", "4"), "Late?": ("no", "")}
PROBLEMS = [Problem(question=question, answer=known, verifier="exact") for question, (known, _) in SAID.items()]


def solver(received: Received) -> Answer:
    asked = received.json["messages"][0]["content"]
    said = next(said for question, (_, said) in SAID.items() if question in asked)
    return openai(Said(f"<final_answer>{said}</final_answer>" if said else "I do not know.\nReally not."), stream=False)


def sensible(received: Received) -> Answer:
    wrong = "London" in received.json["messages"][-1]["content"]
    return openai(Said(f"<verdict>{'wrong' if wrong else 'right'}</verdict>"), stream=False)


def generated(folder: Path, samples: int = 2) -> Path:
    """A finished run."""

    async def session() -> None:
        async with Server(solver) as server:
            config = RunConfig(model=f"compat:solver@{server.url}/v1", strategy="zero-shot", samples=samples,
                               out=folder / "run")  # fmt: skip
            run = Run(config, Settings({}), problems=PROBLEMS)
            await run.run()
            await run.close()

    asyncio.run(session())
    return folder / "run"


def judging(handler: Callable[[Received], Answer], work: Callable[[JudgeCalls], Any], **given: Any) -> tuple[Any, int]:
    """What `work` gives with a judge behind a server, and how many requests that took."""

    async def session() -> tuple[Any, int]:
        async with Server(handler) as server:
            config = RunConfig(model=f"compat:judge@{server.url}/v1", **{"attempts": 1, **given})
            return await work(JudgeCalls(config, Settings({}))), len(server.requests)

    return asyncio.run(session())


def rejudged(run: Path, handler: Callable[[Received], Answer] = sensible, **given: Any) -> tuple[Recheck, int]:
    return judging(handler, lambda calls: recheck(run, "judge", calls), **given)


def statuses(run: Path) -> dict[str, str]:
    return {trace.problem.question: trace.verdict.status for trace in read_traces(run)}


def test_a_judge_looks_at_a_finished_run_and_its_verdicts_count_from_then_on(tmp_path: Path) -> None:
    run = generated(tmp_path)
    before = read_run(run)
    result, requests = rejudged(run)
    assert dict(result.moves) == {
        ("incorrect", "correct"): 2, ("incorrect", "incorrect"): 2, ("correct", "correct"): 2,
        ("no_answer", "no_answer"): 2,
    }  # fmt: skip
    assert (requests, result.asked, result.failed) == (5, 5, 0)  # 2+2 is one request: both orders are the same
    assert statuses(run)["Twelve?"] == "correct"
    assert read_run(run) == before  # it was finished, and is


def test_what_was_judged_once_is_replayed_for_nothing_also_after_generate(tmp_path: Path) -> None:
    run = generated(tmp_path)
    rejudged(run)
    again, requests = rejudged(run)
    assert (requests, again.asked, again.changed) == (0, 0, 0)
    directory = RunDirectory.reopened(run)
    assert directory.spent().unpriced == 8 + 5  # the judge's replies are in the ledger of the run
    asyncio.run(directory.close())


def test_a_judge_that_cannot_be_asked_about_some_leaves_their_verdicts_and_goes_on(tmp_path: Path) -> None:
    run, calls = generated(tmp_path, samples=1), itertools.count()
    result, _ = rejudged(
        run, lambda received: sensible(received) if next(calls) != 2 else failure("openai", 500, "Down."), concurrency=1
    )
    assert result.failed == 1
    assert "Down" in result.error
    assert len((run / "verdicts-judge.jsonl").read_text().splitlines()) == 3
    healed, requests = rejudged(run)
    assert (healed.failed, requests) == (0, 1)
    lost, _ = rejudged(run, lambda received: failure("openai", 500, "Down."))
    assert (lost.failed, lost.changed) == (0, 0)  # all is on record


@pytest.mark.parametrize("status", [401, 404])
def test_a_judge_that_never_answers_is_one_error_and_changes_nothing(tmp_path: Path, status: int) -> None:
    run = generated(tmp_path, samples=1)
    with pytest.raises(ProviderError):
        rejudged(run, lambda received: failure("openai", status, "No."))
    assert not (run / "verdicts-judge.jsonl").exists()
    assert not list(run.glob("*.tmp"))


def test_a_budget_ends_it_and_what_was_judged_is_kept(tmp_path: Path) -> None:
    run = generated(tmp_path, samples=1)
    with pytest.raises(SetupError, match="made without a budget"):  # the solver has no price: nobody can count it
        rejudged(run, budget_usd=1.0, prices=prices(tmp_path))
    with pytest.raises(SetupError, match="price of compat:judge is not known"):
        rejudged(run, budget_usd=1.0)

    def long(received: Received) -> Answer:
        return openai(Said("<verdict>right</verdict>", usage=(4000, 0, 0, 10, 0)), stream=False)

    with pytest.raises(ProviderError, match=r"The budget of 14,000 tokens .* --budget-tokens"):
        rejudged(run, long, budget_tokens=14_000, concurrency=1)
    result, requests = rejudged(run)
    assert (result.failed, requests) == (0, 3)  # two of five were paid for before


def prices(folder: Path) -> Path:
    (folder / "prices.yaml").write_text("'compat:judge': {input: 1, output: 1}")
    return folder / "prices.yaml"


def test_a_run_that_somebody_writes_to_is_not_judged(tmp_path: Path) -> None:
    run = generated(tmp_path, samples=1)
    directory = RunDirectory.reopened(run)
    with pytest.raises(SetupError, match="Another process is writing"):
        rejudged(run)
    asyncio.run(directory.close())


def test_a_question_without_a_known_answer_is_left_to_the_judge_alone(tmp_path: Path) -> None:
    async def session() -> None:
        async with Server(solver) as server:
            problem = Problem(question="2+2?", answer="", source="ask")
            config = RunConfig(model=f"compat:s@{server.url}/v1", strategy="cot", samples=1, out=tmp_path / "run")
            run = Run(config, Settings({}), problems=[problem])
            await run.run()
            await run.close()

    asyncio.run(session())
    assert not asyncio.run(recheck(tmp_path / "run", "exact")).moves
    rejudged(tmp_path / "run")
    (trace,) = read_traces(tmp_path / "run")
    assert trace.verdict.status == "correct"
    assert "rubric alone" in trace.verdict.detail


def test_an_audit_tells_where_two_verifiers_disagree_and_keeps_nothing(tmp_path: Path) -> None:
    run = generated(tmp_path)
    found, requests = judging(sensible, lambda calls: audit(run, "judge", None, calls))
    assert isinstance(found, Audit)
    assert (found.first, found.second) == ("judge", "kept")
    assert dict(found.table) == {
        ("correct", "incorrect"): 2, ("incorrect", "incorrect"): 2, ("correct", "correct"): 2,
        ("no_answer", "no_answer"): 2,
    }  # fmt: skip
    assert (found.decided, found.problems, requests) == (6, 3, 5)
    assert found.share is not None
    assert found.share.mean == pytest.approx(2 / 3)
    assert found.share.low < 2 / 3 < found.share.high
    assert found.kappa is not None
    assert found.kappa.mean == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))
    ids = {trace.id for trace in read_traces(run) if trace.problem.question == "Twelve?"}
    assert {each.trace for each in found.disagreements} == ids
    assert (found.disagreements[0].known, found.disagreements[0].answer) == ("12", "twelve")
    assert not list(run.glob("verdicts-*"))
    assert statuses(run)["Twelve?"] == "incorrect"


def test_an_audit_needs_no_model_for_verifiers_of_text(tmp_path: Path) -> None:
    run = generated(tmp_path, samples=1)
    same = asyncio.run(audit(run, None, None))
    assert (same.disagreements, same.decided) == ([], 3)
    other = asyncio.run(audit(run, "numeric", "exact"))
    assert sum(other.table.values()) == 4
    assert other.decided == 2  # what is no number is not for `numeric` to decide
    assert asyncio.run(audit(run, "exact", "math", limit=1)).table.total() == 1


def test_an_audit_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="name another with --against"):
        asyncio.run(audit(tmp_path, "exact", "exact"))
    with pytest.raises(SetupError, match="no run directory"):
        asyncio.run(audit(tmp_path, "exact", None))
    with pytest.raises(SetupError, match="--judge-model"):
        asyncio.run(audit(generated(tmp_path), "judge", None))


def test_an_audit_counts_what_the_judge_could_not_be_asked(tmp_path: Path) -> None:
    run, calls = generated(tmp_path, samples=1), itertools.count()
    found, _ = judging(
        lambda received: sensible(received) if next(calls) != 4 else failure("openai", 500, "Down."),
        lambda asked: audit(run, "judge", "exact", asked),
        concurrency=1,
    )
    assert (found.failed, sum(found.table.values())) == (1, 3)
    assert json.dumps(found.error)
