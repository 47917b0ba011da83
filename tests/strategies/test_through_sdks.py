"""Every strategy on a server behind a real SDK: what it asks can be sent, and what comes back can be read."""

import pytest

from openstrawberry.config import STEPWISE
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.models.model import Model
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.models.wires import ANTHROPIC, OPENAI, Wire, served
from tests.servers.dialects import SPELLINGS, Said, wants_stream
from tests.servers.http import Answer, Received, Server

JSON = (
    '{"title": "Count", "content": "Letter by letter.", "next_action": "final_answer", "reason": "It holds.", '
    '"score": 8, "tests": [{"input": "7", "output": "7"}]}'
)
STEP = "I look at one letter more. <critique>Right.</critique><score>5</score>"
SOLVED = "There is one in straw, and there are two in berry. <final_answer>3</final_answer>"


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC], ids=str)
@pytest.mark.parametrize("name", STRATEGIES.table)
def test_every_strategy_runs_through_a_real_sdk(name: str, wire: Wire) -> None:
    strategy = open_strategy(name, {})
    steps = 2 if name in STEPWISE or name == "vote" else 0

    def says(received: Received) -> Answer:
        told = received.json.get("messages") or received.json["input"]
        replies = sum(message["role"] == "assistant" for message in told)
        structured = b'"properties":' in received.body  # a schema of its own, and not only told in the prompt
        text = JSON if structured else STEP if replies < steps else SOLVED
        protocol = "responses" if received.path.endswith("/responses") else wire.protocol
        return SPELLINGS[protocol](Said(text, reasoning="One r in straw."), wants_stream(received))

    async def work(model: Model, server: Server) -> Trace:
        prompts = load_prompts(name, "full", uses=strategy.uses)
        return await drive(Setting(strategy, prompts, {"solver": Recorded(model, Memory())}, Verifiers()), PROBLEM)

    trace = served(wire, says, work)
    assert (trace.error.message, trace.stop) == ("", "final_answer")
    assert trace.usage.output > 0
    if name == "write-tests":
        assert trace.answer == '[{"input": "7", "output": "7"}]'
    else:
        assert (trace.answer, trace.verdict.status) == ("3", "correct")
