"""A dry run tells what the real run would send, and bounds what it would take."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.chat import Request
from openstrawberry.config import RunConfig
from openstrawberry.errors import SetupError
from openstrawberry.estimate import NO_ANSWER, estimate
from openstrawberry.generate import Run
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.pieces import strategy_of
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import load_prompts
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces

NONE = Settings({})
PROBLEMS = [Problem(question="How many r's are in strawberry?", answer="3"), Problem(question="2 + 2?", answer="4")]


def priced(folder: Path, **given: Any) -> RunConfig:
    """A run with a scripted model that never answers and has a price."""
    (folder / "prices.yaml").write_text("scripted:*: {input: 1, output: 1}")
    (folder / "script.yaml").write_text(f"turns:\n - {{content: '{NO_ANSWER}', usage: {{input: 100, output: 7}}}}\n")
    return RunConfig(model=f"scripted:{folder / 'script.yaml'}", out=folder / "run", prices=folder / "prices.yaml",
                     samples=3, **given)  # fmt: skip


def sent(config: RunConfig) -> tuple[list[Request], Run]:
    """The requests of the real run."""

    async def session() -> tuple[list[Request], Run]:
        run = Run(config, NONE, problems=PROBLEMS)
        try:
            await run.run()
            assert isinstance(run.calls.members[0].model, ScriptedModel)
            return run.calls.members[0].model.requests, run
        finally:
            await run.close()

    return asyncio.run(session())


@pytest.mark.parametrize("strategy", ["strawberry", "zero-shot", "few-shot", "cot"])
def test_the_first_prompt_is_the_one_that_is_sent_and_the_most_requests_are_those_of_a_run_without_answers(
    tmp_path: Path, strategy: str
) -> None:
    config = priced(tmp_path, strategy=strategy, max_turns=15, concurrency=1)
    found = estimate(config, NONE, PROBLEMS)
    requests, _ = sent(config)
    first = requests[0]
    assert found.request.messages == first.messages
    assert (found.request.temperature, found.request.max_tokens) == (first.temperature, first.max_tokens)
    assert found.most is not None
    assert found.most.requests == len(requests) == (90 if strategy == "strawberry" else 6)
    assert found.least.requests == 6


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("critic", {}),
        ("beam", {"value": "judge", "depth": 3}),
        ("mcts", {"value": "judge", "iterations": 3}),
        ("vote", {"weight": "judge", "base": "zero-shot", "k": 2}),
    ],
    ids=str,
)
def test_what_critics_and_judges_are_asked_is_counted_once(
    tmp_path: Path, strategy: str, options: dict[str, Any]
) -> None:
    config = priced(tmp_path, strategy=strategy, set=options, prompt_set="full", max_turns=6)
    found, requests = estimate(config, NONE, PROBLEMS), len(sent(config)[0])
    meant = strategy_of(config)
    most = meant.most_replies(load_prompts(strategy, "full", uses=meant.uses))
    assert most is not None
    assert found.most is not None
    assert requests <= found.most.requests
    assert 6 * most <= found.most.requests <= 6 * (most + 2)  # two problems, three samples; rounded up for each role


def test_the_tokens_of_a_run_are_told_within_a_few_percent_where_its_turns_and_replies_are_known(
    tmp_path: Path,
) -> None:
    config = priced(tmp_path, max_turns=15, max_tokens=6)  # as long as NO_ANSWER is at four bytes a token
    found = estimate(config, NONE, PROBLEMS)
    requests, _ = sent(config)
    read = sum(len(message.content.encode()) for request in requests for message in request.messages) / 4
    assert found.most is not None
    assert found.most.input == pytest.approx(read, rel=0.05)
    assert found.most.usd == pytest.approx((found.most.input + found.most.output) / 1e6)


def test_the_columns_are_in_order_and_nothing_is_left_behind(tmp_path: Path) -> None:
    found = estimate(priced(tmp_path), NONE, PROBLEMS)
    assert found.most is not None
    for name in ("requests", "input", "output", "usd"):
        least, about, most = (getattr(column, name) for column in (found.least, found.about, found.most))
        assert 0 < least < about < most
    assert not (tmp_path / "run").exists()


def test_an_unknown_price_stays_unknown_and_a_key_is_not_needed() -> None:
    found = estimate(RunConfig(model="openai:a-model-nobody-knows"), NONE, PROBLEMS)
    assert (found.least.usd, found.about.usd) == (None, None)
    known = estimate(RunConfig(model="openai:gpt-5-mini"), NONE, PROBLEMS)
    assert known.least.usd is not None
    assert known.least.usd > 0
    with pytest.raises(SetupError, match="did you mean 'openai'"):
        estimate(RunConfig(model="opnai:gpt-5-mini"), NONE, PROBLEMS)


def test_batches_cost_half_and_one_unknown_price_among_several_makes_the_sum_unknown() -> None:
    live = estimate(RunConfig(model="openai:gpt-5-mini"), NONE, PROBLEMS).about
    batch = estimate(RunConfig(model="openai:gpt-5-mini", engine="batch"), NONE, PROBLEMS).about
    assert live.usd is not None
    assert batch.usd == pytest.approx(live.usd / 2)
    both = estimate(RunConfig(model="openai:gpt-5-mini, compat:x@http://127.0.0.1:1/v1"), NONE, PROBLEMS)
    assert both.spec == "openai:gpt-5-mini,compat:x@http://127.0.0.1:1/v1"
    assert both.about.usd is None


def test_sampling_that_stops_by_itself_may_draw_one_sample_of_each_problem(tmp_path: Path) -> None:
    config = priced(tmp_path).model_copy(update={"until_decided": True, "samples": 20})
    found = estimate(config, NONE, PROBLEMS)
    assert (found.least.requests, found.about.requests) == (2, 400)


def test_the_trace_and_its_replies_carry_their_cost(tmp_path: Path) -> None:
    config = priced(tmp_path, max_turns=4)
    _, run = sent(config)
    traces = list(read_traces(run.directory.path))
    assert len(traces) == 6
    assert all(trace.cost_usd == pytest.approx(4 * 107 / 1e6) for trace in traces)
