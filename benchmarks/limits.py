"""How much of a provider's allowed rate is used, and whether a Retry-After is ever undercut.

    python benchmarks/limits.py [--concurrency 64] [--latency 0.3]

A loopback server allows 600 requests a minute and answers every request above that with 429 and a Retry-After in whole
seconds, rounded up. It is strict in three ways: a bucket that saves up one second, a window of ten seconds, and a
window of a minute. `headers`: it says what its limit is and what remains. `silent`: it says nothing, and only its 429s
tell. `flag`: it says nothing, and the command has `--requests-per-minute 600`. The client is the whole path of
`strawberry generate`; all rows run at the same time, each in a process of its own.

`used` is the requests that were let through over those allowed in the time. `too early` counts requests that came back
before their own Retry-After had passed, and all others that came while one was running that had been given at least
250 ms before: what was on its way by then cannot be called back.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PER_MINUTE = 600
ON_ITS_WAY = 0.25
SECONDS = {"bucket": 60, "ten seconds": 60, "minute": 120}
KNOWN = ("headers", "silent", "flag")


class Provider:
    """The server's handler: strict, and keeping count of everything."""

    def __init__(self, kind: str, headers: bool, latency: float) -> None:
        from tests.servers.dialects import Said, openai
        from tests.servers.limiter import SlidingWindow, TokenBucket

        limits = {
            "bucket": TokenBucket(PER_MINUTE / 60, PER_MINUTE / 60),
            "ten seconds": SlidingWindow(PER_MINUTE // 6, 10),
            "minute": SlidingWindow(PER_MINUTE, 60),
        }
        self._limit = limits[kind]
        self._headers = headers
        self._latency = latency
        self._final = openai(Said("<final_answer>3</final_answer>"), stream=False)
        self.came: list[tuple[float, bytes]] = []
        self.passed: list[float] = []
        self.refused: list[tuple[float, float, bytes]] = []

    async def __call__(self, received: Any) -> Any:
        from tests.servers.http import Answer

        now = asyncio.get_running_loop().time()
        self.came.append((now, received.body))
        wait = self._limit.ask(now)
        said = {
            "x-ratelimit-limit-requests": str(PER_MINUTE),
            "x-ratelimit-remaining-requests": str(self._limit.remaining),
        }
        said = said if self._headers else {}
        if wait > 0:
            seconds = int(wait) + 1
            self.refused.append((now, now + seconds, received.body))
            refused = Answer.of({"error": {"message": "Too many requests."}}, 429)
            return Answer(429, {**refused.headers, **said, "retry-after": str(seconds)}, refused.body)
        self.passed.append(now)
        await asyncio.sleep(self._latency)
        return Answer(200, {**self._final.headers, **said}, self._final.body)

    def row(self, seconds: float) -> dict[str, float]:
        """The figures of the first `seconds` after the first request."""
        end = self.came[0][0] + seconds
        passed = sum(moment < end for moment in self.passed)
        early = sum(
            any(
                refused + (0.0 if same == body else ON_ITS_WAY) < moment < until
                for refused, until, same in self.refused
            )
            for moment, body in self.came
        )
        return {"used": passed / (PER_MINUTE * seconds / 60), "refused": len(self.refused), "early": early}


async def measured(kind: str, known: str, concurrency: int, latency: float) -> dict[str, float]:
    """One row, in this process."""
    from openstrawberry.config import RunConfig
    from openstrawberry.generate import Run
    from openstrawberry.problems.problem import Problem
    from openstrawberry.settings import Settings
    from tests.servers.http import Server

    provider = Provider(kind, known == "headers", latency)
    with tempfile.TemporaryDirectory() as folder:
        async with Server(provider, keep=False) as server:
            config = RunConfig(
                model=f"compat:served@{server.url}/v1",
                out=Path(folder) / "run",
                samples=1,
                concurrency=concurrency,
                requests_per_minute=PER_MINUTE if known == "flag" else None,
            )
            # More problems than there is time for: a bucket lets at most one more second pass than its rate.
            count = int(PER_MINUTE * (SECONDS[kind] / 60 + 1)) + concurrency
            problems = [Problem(question=f"Question {n}?", answer="3", verifier="numeric") for n in range(count)]
            run = Run(config, Settings({}), problems=problems)
            running = asyncio.create_task(run.run())
            while not provider.came:
                await asyncio.sleep(0.01)
            await asyncio.wait([running], timeout=SECONDS[kind] + 0.5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await run.close()
    return provider.row(SECONDS[kind])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.3, help="seconds before each answer")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(asyncio.run(measured(*given.child, given.concurrency, given.latency))))
        return
    print(f"{PER_MINUTE} requests a minute, {given.concurrency} traces at a time, {given.latency:g} s a reply")
    print(f"{'limit':14}{'known by':10}{'used':>8}{'429s':>7}{'too early':>11}")
    rows = [(kind, known) for kind in SECONDS for known in KNOWN]
    children = [
        subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--child", *row], stdout=subprocess.PIPE, text=True)
        for row in rows
    ]
    for (kind, known), child in zip(rows, children, strict=True):
        said, _ = child.communicate()
        found = json.loads(said)
        print(f"{kind:14}{known:10}{found['used']:>8.1%}{found['refused']:>7.0f}{found['early']:>11.0f}", flush=True)


if __name__ == "__main__":
    main()
