"""One call under a thinking protocol: by hand, and on the wire."""

from dataclasses import replace

import pytest

from openstrawberry.chat import Message
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.errors import SetupError
from openstrawberry.models.model import Model
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.deep_think import DeepThink
from openstrawberry.strategies.strategy import Ask, Task
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.models.wires import COMPAT, OLLAMA, Wire, served
from tests.servers.dialects import Said
from tests.servers.http import Server
from tests.strategies.playing import play, scripted

FULL, BRIEF = load_prompts("deep-think", "full"), load_prompts("deep-think", "brief")
NAMES = ("rigorous", "monologue-short", "monologue", "monologue-long", "sections")


def test_the_golden_trace() -> None:
    task, asked = Task(PROBLEM, BRIEF), []
    answer = play(DeepThink(), task, scripted(["Three of them: \\boxed{3}"]), asked=asked)
    rules = f"{BRIEF.entries['protocols']['rigorous']}\n\n{BRIEF.text('answer')}"
    assert answer.node.messages == (
        Message(role="system", content=rules),
        Message(role="user", content=PROBLEM.question),
        Message(role="assistant", content="Three of them: \\boxed{3}"),
    )
    assert (answer.text, answer.stop, answer.method) == ("3", "final_answer", "boxed")
    assert [ask.max_tokens for ask in asked] == [8192]


@pytest.mark.parametrize("prompts", [FULL, BRIEF], ids=["full", "brief"])
def test_every_protocol_is_told_once_and_asks_for_a_box_in_the_askers_language(prompts: PromptSet) -> None:
    assert tuple(prompts.entries["protocols"]) == NAMES
    systems = set()
    for name in NAMES:
        task = Task(PROBLEM, prompts)
        answer = play(open_strategy("deep-think", {"protocol": name}), task, scripted(["\\boxed{3}"]))
        system = answer.node.messages[0].content
        systems.add(system)
        assert r"\boxed{}" in system
        assert "language" in system
        assert answer.text == "3"
    assert len(systems) == len(NAMES)


def test_the_monologue_comes_in_three_sizes() -> None:
    sizes = [len(FULL.entries["protocols"][name]) for name in ("monologue-short", "monologue", "monologue-long")]
    assert sizes[0] * 2 < sizes[1] < sizes[2] * 0.7


def test_a_box_inside_the_thoughts_is_no_answer() -> None:
    answer = play(DeepThink(), Task(PROBLEM, FULL), scripted(["<thinking>\\boxed{2}? no.</thinking>\n\\boxed{3}"]))
    assert answer.text == "3"
    thought = play(DeepThink(), Task(PROBLEM, FULL), scripted(["<thinking>\\boxed{2}? no."]))
    assert thought.text == ""


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (FULL.entries, "no protocol called 'rigourous': did you mean 'rigorous'"),
        ({**FULL.entries, "protocols": ["a"]}, "add a mapping of names to texts"),
    ],
)
def test_a_protocol_that_is_not_there_is_one_sentence(entries: dict[str, object], told: str) -> None:
    with pytest.raises(SetupError, match=told):
        play(DeepThink(protocol="rigourous"), Task(PROBLEM, PromptSet("mine", entries)), scripted(["3"]))


def test_a_protocol_of_ones_own_is_a_text_in_a_file() -> None:
    mine = replace(FULL, entries={**FULL.entries, "protocols": {"mine": "Think of berries."}})
    answer = play(DeepThink(protocol="mine"), Task(PROBLEM, mine), scripted(["\\boxed{3}"]))
    assert answer.node.messages[0].content.startswith("Think of berries.\n\n")


@pytest.mark.parametrize("wire", [COMPAT, OLLAMA], ids=str)
def test_the_protocol_reaches_the_chat_template_as_a_system_prompt_with_room_for_the_answer(wire: Wire) -> None:
    long = "Let me see. " * 500 + "\n\\boxed{3}"

    async def work(model: Model, server: Server) -> tuple[Trace, dict[str, object]]:
        setting = Setting(DeepThink(), FULL, {"solver": Recorded(model, Memory())}, Verifiers(), stream=True)
        return await drive(setting, PROBLEM), server.requests[-1].json

    trace, sent = served(wire, [Said(long)], work)
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]  # type: ignore[index, union-attr]
    limit = sent.get("max_tokens") or sent["options"]["num_predict"]  # type: ignore[index]
    assert (limit, trace.answer, trace.verdict.status) == (8192, "3", "correct")


def test_a_reply_that_is_cut_in_its_thoughts_is_truncated_and_never_wrong() -> None:
    async def work(model: Model, server: Server) -> Trace:
        setting = Setting(DeepThink(max_tokens=512), FULL, {"solver": Recorded(model, Memory())}, Verifiers())
        return await drive(setting, PROBLEM)

    trace = served(COMPAT, [Said("Understand: \\boxed{2} would be too", finish="length")], work)
    assert (trace.stop, trace.answer, trace.verdict.status) == ("truncated", "", "no_answer")


def test_it_is_one_call() -> None:
    asked: list[Ask] = []
    play(DeepThink(), Task(PROBLEM, FULL), scripted(["", "x"]), asked=asked)
    assert len(asked) == 1
