"""What our layers cost per turn, beside the bare SDK on the same requests, in one run.

    python benchmarks/overhead.py [--traces 256] [--turns 20] [--concurrency 64] [--latency 0.3]

A loopback server in a process of its own answers every request after a fixed latency. `ours` is the whole path of
`strawberry generate`: strategy, reply record on disk, retry, SDK, verdict, run directory. `bare` replays the same
conversations through `AsyncOpenAI().chat.completions.create`, with the same number in flight, and keeps nothing. Each
runs in a fresh process. Ideal wall time is requests x latency / concurrency; wall is taken from the first request to
the last reply, CPU over the whole run of the client process, imports excluded.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


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


def ours(given: argparse.Namespace, url: str) -> dict[str, float]:
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
            model=f"compat:served@{url}", out=Path(folder) / "run", samples=1, concurrency=given.concurrency
        )
        problems = [Problem(question=f"Question {n}?", answer="3", verifier="numeric") for n in range(given.traces)]
        run = Run(config, Settings({}), hear, stream=given.stream, problems=problems)
        summary = await run.run()
        await run.close()
        assert summary.statuses == {"correct": given.traces}, summary

    with tempfile.TemporaryDirectory() as folder:
        cpu = time.process_time()
        asyncio.run(go(folder))
        cpu = time.process_time() - cpu
    return {"wall": moments[-1] - moments[0], "cpu": cpu}


def bare(given: argparse.Namespace, url: str) -> dict[str, float]:
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
        for turn in range(given.turns):
            messages.append({"role": "user", "content": strategy.prompt(task, turn)})
            settings = {"temperature": strategy.temperature_at(turn), "max_tokens": 4096, "seed": turn}
            content = ""
            if given.stream:
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
            numbers = iter(range(given.traces))
            await asyncio.gather(*(worker(client, numbers) for _ in range(given.concurrency)))
            return time.monotonic() - started

    cpu = time.process_time()
    wall = asyncio.run(go())
    return {"wall": wall, "cpu": time.process_time() - cpu}


def measured(given: argparse.Namespace, who: str) -> dict[str, float]:
    """Runs one client in a fresh process against a fresh server."""
    with server(given.latency, given.turns) as url:
        command = [sys.executable, __file__, *sys.argv[1:], "--child", who, "--url", url]
        return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--traces", type=int, default=256)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--child", choices=["ours", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        found = {"ours": ours, "bare": bare}[given.child](given, given.url)
        scale = 1024 if sys.platform == "linux" else 1024 * 1024
        print(json.dumps({**found, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale}))
        return
    requests = given.traces * given.turns
    ideal = requests * given.latency / given.concurrency
    how = "streamed" if given.stream else "not streamed"
    print(
        f"{given.traces} traces x {given.turns} turns, {given.concurrency} at a time, {given.latency:g} s, {how}; "
        f"ideal {ideal:.1f} s"
    )
    print(f"{'':8}{'wall s':>10}{'over ideal':>12}{'CPU ms/turn':>13}{'peak MB':>10}")
    rows = {who: measured(given, who) for who in ("ours", "bare")}
    for who, row in rows.items():
        print(
            f"{who:8}{row['wall']:>10.1f}{row['wall'] / ideal:>12.2f}{1000 * row['cpu'] / requests:>13.2f}"
            f"{row['memory']:>10.0f}"
        )
    print(f"CPU per turn, ours over bare: {rows['ours']['cpu'] / rows['bare']['cpu']:.2f}")


if __name__ == "__main__":
    main()
