"""What our layers cost per turn, beside the bare SDK on the same requests, in one run.

    python benchmarks/overhead.py [--only 64]

A loopback server in a process of its own answers every request after a fixed latency. `ours` is the whole path of
`strawberry generate`: strategy, reply record on disk, retry, SDK, verdict, run directory. `bare` replays the same
conversations through `AsyncOpenAI().chat.completions.create`, with the same number in flight, and keeps nothing. Each
runs in a fresh process. Ideal wall time is requests x latency / concurrency; wall is taken from the first request to
the last reply, CPU over the whole run of the client process and its workers, imports excluded.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Case:
    """One line of the table: so many traces of so many turns, so many at a time, at so many seconds a reply."""

    concurrency: int
    latency: float
    traces: int
    turns: int
    stream: bool = False
    workers: int = 1

    @property
    def requests(self) -> int:
        return self.traces * self.turns

    @property
    def ideal(self) -> float:
        """Seconds that the replies alone take."""
        return self.requests * self.latency / self.concurrency


CASES = (
    Case(1, 0.3, 3, 20),
    Case(1, 0.3, 3, 20, stream=True),
    Case(64, 0.3, 256, 20),
    Case(64, 0.3, 256, 20, stream=True),
    Case(64, 0.3, 128, 50),
    Case(256, 1.0, 768, 20),
    Case(512, 0.3, 1024, 20),
    Case(512, 0.3, 1024, 20, stream=True),
    Case(512, 0.3, 1024, 20, workers=2),
)


@contextmanager
def server(latency: float, final_at: int) -> Iterator[str]:
    """The loopback server; yields its base URL."""
    command = [
        sys.executable,
        "-m",
        "tests.servers.openai_server",
        "--latency",
        str(latency),
        "--final-at",
        str(final_at),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def ours(case: Case, url: str) -> dict[str, float]:
    """The whole path, in this process."""
    from openstrawberry.config import RunConfig
    from openstrawberry.engine.events import Event, TurnEnded, TurnStarted
    from openstrawberry.generate import Run
    from openstrawberry.problems.problem import Problem
    from openstrawberry.settings import Settings

    moments: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, TurnStarted | TurnEnded):
            moments.append(time.monotonic())

    async def go(folder: str) -> None:
        config = RunConfig(
            model=f"compat:served@{url}",
            out=Path(folder) / "run",
            samples=1,
            concurrency=case.concurrency,
            max_turns=case.turns,
            workers=case.workers,
        )
        problems = [Problem(question=f"Question {n}?", answer="3", verifier="numeric") for n in range(case.traces)]
        run = Run(config, Settings({}), hear, stream=case.stream, problems=problems)
        summary = await run.run()
        await run.close()
        assert summary.statuses == {"correct": case.traces}, summary

    with tempfile.TemporaryDirectory() as folder:
        cpu = time.process_time()
        asyncio.run(go(folder))
        cpu = time.process_time() - cpu
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": moments[-1] - moments[0], "cpu": cpu + children.ru_utime + children.ru_stime}


def bare(case: Case, url: str) -> dict[str, float]:
    """The SDK alone, on conversations of the same shape and texts."""
    import openai

    from openstrawberry.problems.problem import Problem
    from openstrawberry.prompts import load_prompts
    from openstrawberry.strategies.strategy import Task
    from openstrawberry.strategies.strawberry import Strawberry

    strategy, prompts = Strawberry(), load_prompts("strawberry", "full")

    async def conversation(client: openai.AsyncOpenAI, number: int) -> None:
        task = Task(Problem(question=f"Question {number}?", answer="3", verifier="numeric"), prompts)
        messages = [{"role": "system", "content": task.random("system").choice(prompts.pool("system"))}]
        for turn in range(case.turns):
            messages.append({"role": "user", "content": strategy.prompt(task, turn)})
            settings = {"temperature": strategy.temperature_at(turn), "max_tokens": 4096, "seed": turn}
            content = ""
            if case.stream:
                stream = await client.chat.completions.create(
                    model="served",
                    messages=list(messages),
                    stream=True,
                    stream_options={"include_usage": True},
                    **settings,
                )
                async for chunk in stream:
                    content += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            else:
                reply = await client.chat.completions.create(model="served", messages=list(messages), **settings)
                content = reply.choices[0].message.content or ""
            messages.append({"role": "assistant", "content": content})

    async def worker(client: openai.AsyncOpenAI, numbers: Iterator[int]) -> None:
        for number in numbers:
            await conversation(client, number)

    async def go() -> float:
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            started = time.monotonic()
            numbers = iter(range(case.traces))
            await asyncio.gather(*(worker(client, numbers) for _ in range(case.concurrency)))
            return time.monotonic() - started

    cpu = time.process_time()
    wall = asyncio.run(go())
    return {"wall": wall, "cpu": time.process_time() - cpu}


def measured(case: Case, who: str) -> dict[str, float]:
    """Runs one client in a fresh process against a fresh server."""
    with server(case.latency, case.turns) as url:
        command = [sys.executable, __file__, "--child", who, "--url", url, "--case", json.dumps(asdict(case))]
        return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def line(case: Case) -> str:
    """Runs both clients on a case: its row of the table."""
    mine, theirs = measured(case, "ours"), measured(case, "bare")
    cpu, bare_cpu = (1000 * row["cpu"] / case.requests for row in (mine, theirs))
    wall, bare_wall = (row["wall"] / case.ideal for row in (mine, theirs))
    return (
        f"| {case.concurrency}{f', {case.workers} workers' if case.workers > 1 else ''} | {case.latency:g} s | "
        f"{case.turns} | {'yes' if case.stream else 'no'} | {wall:.2f} | "
        f"{bare_wall:.2f} | {cpu:.2f} | {bare_cpu:.2f} | {cpu / bare_cpu:.2f} | {mine['memory']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", type=int, help="only the cases with this many traces at a time")
    parser.add_argument("--child", choices=["ours", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        case = Case(**json.loads(given.case))
        found = {"ours": ours, "bare": bare}[given.child](case, given.url)
        scale = 1024 if sys.platform == "linux" else 1024 * 1024
        print(json.dumps({**found, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale}))
        return
    print(
        "| at a time | latency | turns | streamed | wall over ideal | bare | CPU ms a turn | bare | ours over bare | "
        "peak MB |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for case in CASES:
        if given.only in (None, case.concurrency):
            print(line(case), flush=True)


if __name__ == "__main__":
    main()
