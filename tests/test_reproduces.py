"""Numbers reproduce: a run of the embedded model is the same, token for token, whatever runs beside it."""

import asyncio
from itertools import islice
from pathlib import Path

from openstrawberry.config import RunConfig
from openstrawberry.generate import Run
from openstrawberry.problems.load import load_problems
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces


def said(folder: Path, concurrency: int) -> dict[tuple[str, int], list[str]]:
    """Every turn of every trace of a small run."""

    async def session() -> None:
        problems = list(islice(load_problems("builtin:demo"), 6))
        config = RunConfig(out=folder, samples=2, concurrency=concurrency, temperature=1.0, max_turns=12)
        run = Run(config, Settings({}), problems=problems)
        try:
            await run.run()
        finally:
            await run.close()

    asyncio.run(session())
    traces = list(read_traces(folder))
    assert len(traces) == 12
    return {(trace.problem.id, trace.sample): [turn.content for turn in trace.messages] for trace in traces}


def test_a_run_of_berry_is_the_same_at_any_concurrency(tmp_path: Path) -> None:
    assert said(tmp_path / "many", concurrency=12) == said(tmp_path / "few", concurrency=5)


def test_samples_of_one_problem_differ(tmp_path: Path) -> None:
    traces = said(tmp_path / "run", concurrency=12)
    assert sum(traces[problem, 0] != traces[problem, 1] for problem, sample in traces if sample == 0) >= 5
