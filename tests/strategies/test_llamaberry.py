"""Refining turns and a synthesis, answered by hand."""

import itertools
from random import Random

import pytest

from openstrawberry.chat import Reply
from openstrawberry.config import load_config
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.errors import SetupError
from openstrawberry.models.model import Model
from openstrawberry.models.replies import Recorded
from openstrawberry.pieces import strategy_of
from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.llamaberry import Llamaberry
from openstrawberry.strategies.strategy import Ask, Task
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.models.wires import ANTHROPIC, OPENAI, Wire, served
from tests.servers.dialects import Said
from tests.servers.http import Received, Server
from tests.strategies.playing import hostile, play, scripted

FULL = load_prompts("llamaberry", "full")
SAID = ["## Answer\n2", "## Answer\n3", "## Answer\n3, again", "So: <final_answer>3</final_answer>"]


def test_the_golden_trace() -> None:
    task, asked = Task(PROBLEM, FULL), []
    answer = play(Llamaberry(), task, scripted(SAID), asked=asked)
    assert [(message.role, message.content) for message in answer.node.messages] == [
        ("system", FULL.text("system")),
        ("user", FULL.text("first").replace("{question}", PROBLEM.question)),
        ("assistant", SAID[0]),
        ("user", FULL.text("improve")),
        ("assistant", SAID[1]),
        ("user", FULL.text("improve")),
        ("assistant", SAID[2]),
        ("user", FULL.text("synthesis")),
        ("assistant", SAID[3]),
    ]
    assert (answer.text, answer.stop, answer.method) == ("3", "final_answer", "final_answer")
    assert [(ask.temperature, ask.max_tokens) for ask in asked] == [(0.7, 8000)] * 4
    for before, after in itertools.pairwise(asked):
        assert after.node.messages[: len(before.node.messages)] == before.node.messages


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_so_many_turns_and_one_synthesis(turns: int) -> None:
    asked: list[Ask] = []
    play(Llamaberry(turns=turns), Task(PROBLEM, FULL), scripted(["…"]), asked=asked)
    assert len(asked) == turns + 1
    assert asked[-1].node.content == FULL.text("synthesis")


def test_the_command_line_sets_turns_and_the_length_of_replies() -> None:
    config = load_config(None, {"strategy": "llamaberry", "model": "openai:m", "turns": 5, "max_tokens": 900})
    assert strategy_of(config) == Llamaberry(turns=5, max_tokens=900)
    assert strategy_of(load_config(None, {"strategy": "llamaberry", "model": "openai:m"})) == Llamaberry()
    small = strategy_of(load_config(None, {"strategy": "llamaberry", "model": "berry"}))
    assert small == Llamaberry(max_tokens=512)
    with pytest.raises(SetupError, match="--set turns does not fit"):
        strategy_of(load_config(None, {"strategy": "llamaberry", "set": {"turns": 0}}))


def test_a_cut_synthesis_is_truncated_and_a_cut_turn_before_it_is_not() -> None:
    def cut(at: int) -> str:
        count = itertools.count()
        return play(
            Llamaberry(),
            Task(PROBLEM, FULL),
            lambda ask: Reply(content="first 1", finish_reason="length" if next(count) == at else "stop"),
        ).stop

    assert (cut(3), cut(1)) == ("truncated", "final_answer")


@pytest.mark.parametrize("turns", [1, 7])
def test_whatever_comes_back_it_ends_after_its_turns(turns: int) -> None:
    strategy = open_strategy("llamaberry", {"turns": turns})
    for seed in range(40):
        task = Task(PROBLEM, FULL, seed=seed)
        play(strategy, task, hostile(Random(seed)))
        assert sum(node.reply is not None for node in task.tree.nodes) == turns + 1


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC], ids=str)
def test_on_the_wire_every_turn_extends_the_one_before(wire: Wire) -> None:
    async def work(model: Model, server: Server) -> tuple[Trace, list[Received]]:
        setting = Setting(Llamaberry(), FULL, {"solver": Recorded(model, Memory())}, Verifiers(), stream=True)
        return await drive(setting, PROBLEM), list(server.requests)

    trace, received = served(wire, [Said(each) for each in SAID], work)
    assert (trace.answer, trace.verdict.status, trace.turns) == ("3", "correct", 4)
    conversations = [[(turn["role"], str(turn["content"])[:40]) for turn in each.json["messages"]] for each in received]
    assert len(conversations) == 4
    for before, after in itertools.pairwise(conversations):
        assert after[: len(before)] == before
