"""A fast OpenAI server with a fixed latency, in this process or as one of its own.

    python -m tests.servers.openai_server --latency 0.3 --port 0 --final-at 20

prints its address once it listens. It answers each turn with a step, and the turn `--final-at` with a final answer.
`GET /stats` tells how many requests there were, how many different ones, and how many were open at most.
"""

import argparse
import asyncio
import hashlib
import json
from collections import Counter

from tests.servers.dialects import Said, openai
from tests.servers.http import Answer, Received, Server


class Turns:
    """The handler: a step per turn, and an answer at the end."""

    def __init__(self, latency: float = 0.0, final_at: int = 5, step: str = "", answer: str = "3") -> None:
        step = step or "I take one small step, write down what I know, and go on from there. "
        said = (Said(step), Said(f"<final_answer>{answer}</final_answer>"))
        self._ready = {(final, stream): openai(said[final], stream) for final in (0, 1) for stream in (False, True)}
        self._latency = latency
        self._final_at = final_at
        self._open = 0
        self.most_open = 0
        self.asked: Counter[str] = Counter()

    async def __call__(self, received: Received) -> Answer:
        if received.path == "/stats":
            counts = {"requests": self.asked.total(), "distinct": len(self.asked), "most_open": self.most_open}
            return Answer.of(counts)
        if received.method == "GET":
            return Answer.of({"object": "list", "data": [{"id": "served", "object": "model"}]})
        self.asked[hashlib.sha256(received.body).hexdigest()] += 1
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            await asyncio.sleep(self._latency)
        finally:
            self._open -= 1
        replies = received.body.count(b'"role":"assistant"') + received.body.count(b'"role": "assistant"')
        stream = b'"stream":true' in received.body or b'"stream": true' in received.body
        return self._ready[int(replies + 1 >= self._final_at), stream]


async def serve(port: int, turns: Turns) -> None:
    """Listen until the process is ended."""
    async with Server(turns, port, keep=False) as server:
        print(json.dumps({"url": f"{server.url}/v1", "port": server.port}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--final-at", type=int, default=5, help="the turn that is answered with a final answer")
    parser.add_argument("--answer", default="3")
    parser.add_argument("--step", default="", help="what is answered before")
    given = parser.parse_args()
    asyncio.run(serve(given.port, Turns(given.latency, given.final_at, given.step, given.answer)))


if __name__ == "__main__":
    main()
