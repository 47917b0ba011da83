"""An OpenAI server that keeps its own bill: what a provider would charge, whatever the client believes.

It takes one token for each byte of a message and some for its template, the harshest that a tokenizer may be, and
writes replies of random length up to the limit. Some requests fail: turned away for nothing, or billed and then lost on
the way. Nothing here knows the code under test.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from tests.servers.dialects import Said, openai
from tests.servers.http import Answer, Received

PER_MESSAGE, PER_REQUEST = 8, 64


@dataclass
class Till:
    """The handler. `input`, `cached`, `output` in dollars per million tokens; `faults` is the share that fails.

    The first `calm` requests work. `final` is the share of replies that end a trace.
    """

    input: float = 2.0
    cached: float = 0.2
    output: float = 10.0
    faults: float = 0.2
    calm: int = 64
    final: float = 0.1
    seed: int = 0
    latency: float = 0.0
    bill: float = 0.0
    requests: int = 0
    lost: int = 0
    watch: Callable[["Till"], None] = field(default=lambda till: None)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def __call__(self, received: Received) -> Answer:
        self.requests += 1
        fault = self._random.random() < self.faults and self.requests > self.calm
        if fault and self._random.random() < 0.3:  # turned away: not billed
            status = self._random.choice([429, 503, 529])
            answer = Answer.of({"error": {"message": "Busy."}}, status, retry_after="0")
        else:
            answer = self._billed(json.loads(received.body))
            answer = self._spoilt(answer) if fault else answer
        self.watch(self)
        return replace(answer, latency=self.latency * self._random.random())

    def _billed(self, asked: dict[str, object]) -> Answer:
        messages, limit = asked["messages"], asked["max_tokens"]
        assert isinstance(messages, list)
        assert isinstance(limit, int)
        read = PER_REQUEST + sum(PER_MESSAGE + len(each["content"].encode()) for each in messages)
        cached = self._random.randrange(read)
        written = limit if self._random.random() < 0.1 else self._random.randint(1, limit)
        self.bill += ((read - cached) * self.input + cached * self.cached + written * self.output) / 1_000_000
        text = "<final_answer>3</final_answer>" if self._random.random() < self.final else "I take one step."
        return openai(Said(text, usage=(read, cached, 0, written, 0)), stream=False)

    def _spoilt(self, answer: Answer) -> Answer:
        self.lost += 1
        match self._random.randrange(5):
            case 0:
                return replace(answer, body=b"", chunks=(answer.body[:40],), fault="cut")
            case 1:
                return replace(answer, fault="reset")
            case 2:
                return replace(answer, body=answer.body[:-20])
            case 3:
                return Answer.of(
                    {"error": {"message": "Broke down."}}, self._random.choice([500, 502, 504]), retry_after="0"
                )
            case _:
                empty = json.loads(answer.body)
                empty["choices"][0]["message"]["content"] = ""
                return Answer.of(empty)
