"""A batch run as tests start it: in this process, or as one of its own that can be killed.

python -m tests.engine.batch_runs FOLDER DIALECT URL TRACES
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Event, ignore
from openstrawberry.engine.plan import Plan
from openstrawberry.generate import Run
from openstrawberry.problems.problem import Problem
from openstrawberry.store.summary import Summary
from tests.models.wires import ANTHROPIC, AZURE, GEMINI, GROQ, OPENAI, Wire

MISTRAL = Wire("mistral:small", "openai", "MISTRAL_BASE_URL", "MISTRAL_API_KEY", "/v1")
WIRES = {str(wire): wire for wire in (OPENAI, AZURE, GROQ, MISTRAL, ANTHROPIC, GEMINI)}
QUICK = Plan(linger=0.02, patience=5.0, first_poll=0.005, longest_poll=0.02, settle=0.3, outage=0.0)


def open_run(
    folder: Path,
    dialect: str,
    url: str,
    traces: int,
    emit: Callable[[Event], None] = ignore,
    plan: Plan = QUICK,
    **fields: Any,
) -> Run:
    """A run of `traces` problems in `folder`."""
    wire = WIRES[dialect]
    settings = {"model": wire.spec, "out": folder / "run", "samples": 1, "engine": "batch", "attempts": 3,
                "verifier": "exact", "concurrency": 500, **fields}  # fmt: skip
    config = RunConfig(**settings)
    problems = [Problem(question=f"Question {number}?", answer="3") for number in range(traces)]
    return Run(config, wire.settings(url), emit, problems=problems, plan=plan)


async def finish(run: Run) -> Summary:
    """Runs to the end, and closes."""
    try:
        return await run.run()
    finally:
        await run.close()


def main(folder: str, dialect: str, url: str, traces: str) -> None:
    summary = asyncio.run(finish(open_run(Path(folder), dialect, url, int(traces))))
    print(json.dumps({"made": summary.made, "statuses": summary.statuses, "asked": summary.replies_asked}))


if __name__ == "__main__":
    main(*sys.argv[1:])
