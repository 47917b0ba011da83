"""How fast the embedded model makes whole traces, through the whole path of `strawberry generate`.

    python benchmarks/berry.py [--traces 512] [--concurrency 64]

Held-out problems of the easy sizes, default schedule, temperature 0.7; from the first request to the last trace on
disk.
"""

import argparse
import asyncio
import os
import tempfile
import time
from itertools import islice
from pathlib import Path

from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Event, TraceEnded, TurnStarted
from openstrawberry.generate import Run
from openstrawberry.problems.load import load_problems
from openstrawberry.settings import Settings

EASY = ("builtin:count?size=3-10", "builtin:add?size=1-5")


async def measure(traces: int, concurrency: int, folder: str) -> None:
    """Prints one line."""
    problems = [problem for source in EASY for problem in islice(load_problems(f"{source}&n={traces}"), traces // 8)]
    moments: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, TurnStarted | TraceEnded):
            moments.append(time.monotonic())

    config = RunConfig(out=Path(folder) / "run", samples=4, concurrency=concurrency, temperature=0.7)
    run = Run(config, Settings({}), hear, problems=problems)
    summary = await run.run()
    await run.close()
    seconds = moments[-1] - moments[0]
    tokens = summary.tokens["input"] - summary.tokens["cached"] + summary.tokens["output"]
    print(f"{summary.traces} traces at concurrency {concurrency} on {os.cpu_count()} cores: {seconds:.1f} s, "
          f"{summary.traces / seconds:.1f} traces/s, {tokens / seconds:,.0f} tokens/s")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--traces", type=int, default=512)
    parser.add_argument("--concurrency", type=int, default=64)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(given.traces, given.concurrency, folder))


if __name__ == "__main__":
    main()
