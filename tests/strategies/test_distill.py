"""A reasoning model's own thoughts as the trace: by hand, and from every provider into the record."""

from dataclasses import replace
from random import Random

import pytest

from openstrawberry.chat import Message, Reply, Usage
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.models.model import Model
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import load_prompts
from openstrawberry.selection.export import flat
from openstrawberry.selection.steps import path_of
from openstrawberry.strategies.distill import NO_THOUGHTS, Distill
from openstrawberry.strategies.strategy import Ask, Task
from openstrawberry.strategies.thoughts import PAIRS, split_thoughts
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.models.wires import ANTHROPIC, COMPAT, GEMINI, GROQ, OLLAMA, OPENAI, Wire, served
from tests.servers.dialects import Said
from tests.servers.http import Server
from tests.strategies.playing import hostile, play, scripted

FULL, BRIEF = load_prompts("distill", "full"), load_prompts("distill", "brief")
THOUGHTS, SAID = "s-t-r-a-w: one r.\nb-e-r-r-y: two more.", "Three of them. <final_answer>3</final_answer>"
DEEPSEEK = Wire("deepseek:m", "openai", "DEEPSEEK_BASE_URL", "DEEPSEEK_API_KEY")


def test_the_golden_trace() -> None:
    task, asked = Task(PROBLEM, BRIEF), []
    answer = play(
        Distill(), task, scripted([Reply(content=SAID, reasoning=THOUGHTS, finish_reason="stop")]), asked=asked
    )
    assert answer.node.messages == (
        Message(role="user", content=BRIEF.text("user").replace("{question}", PROBLEM.question)),
        Message(role="assistant", content=SAID, reasoning=THOUGHTS),
    )
    assert (answer.text, answer.stop, answer.method, answer.detail) == ("3", "final_answer", "final_answer", "")
    assert [(ask.thoughts, ask.max_tokens) for ask in asked] == [(True, 16_384)]
    assert len(task.tree.nodes) == 2


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
def test_thoughts_that_came_as_text_are_told_apart_beside_what_came(opening: str, closing: str) -> None:
    task = Task(PROBLEM, FULL)
    came = f"{opening}\n{THOUGHTS}\n{closing}\n\n{SAID}"
    usage = Usage(input=5, output=60)
    answer = play(Distill(), task, scripted([Reply(content=came, usage=usage, model="m", cost_usd=0.25)]))
    assert answer.node.messages[-1] == Message(role="assistant", content=SAID, reasoning=THOUGHTS)
    raw = task.tree.nodes[1]
    assert (raw.content, answer.node.copy_of, answer.node.parent) == (came, raw, raw.parent)
    assert answer.node.reply is not None
    assert (answer.node.reply.usage, answer.node.reply.cost_usd, answer.node.reply.model) == (Usage(), 0.0, "m")


SPLIT = {
    "no opening mark": (f"{THOUGHTS}\n</think>\n\n{SAID}", (THOUGHTS, SAID)),
    "marks in capitals": ("<THINK>a</Think>b", ("a", "b")),
    "an answer in its own marks": ("<think>a</think><output>\nb\n</output>", ("a", "b")),
    "STILL's marks": ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>b<|end_of_solution|>", ("a", "b")),
    "thoughts that never end": ("<think>and on", ("and on", "")),
    "no thoughts": (SAID, None),
    "an answer about the marks": ("The mark <think> opens and </think> closes.", None),
    "an answer about the closing mark": ("It ends with </think>, always.", None),
    "a page of HTML": ("<output>3</output>", None),
    "a second block": ("<think>a</think>b <think>c</think>", ("a", "b <think>c</think>")),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("text", "expected"), SPLIT.values(), ids=SPLIT)
def test_only_thoughts_that_open_a_reply_are_thoughts(text: str, expected: tuple[str, str] | None) -> None:
    assert split_thoughts(text) == expected


def test_splitting_stays_fast_on_hostile_text() -> None:
    for text in (
        "<think>" * 50_000,
        " " * 300_000,
        "</think" * 50_000,
        " \t" * 100_000 + "</think> x",
        "\n </think>x" * 30_000,
    ):
        split_thoughts(text)


def test_a_model_without_thoughts_is_told_so_and_its_trace_teaches_nothing() -> None:
    async def work(model: Model, server: Server) -> Trace:
        return await drive(Setting(Distill(), FULL, {"solver": Recorded(model, Memory())}, Verifiers()), PROBLEM)

    trace = served(COMPAT, [Said(SAID)], work)
    assert (trace.stop, trace.answer) == ("refused", "")
    assert (trace.verdict.status, trace.verdict.method) == ("no_answer", "no_thoughts")
    assert NO_THOUGHTS in trace.verdict.detail
    assert "--reasoning medium" in NO_THOUGHTS


def test_a_refusal_is_a_refusal_and_a_cut_thought_is_truncated() -> None:
    refused = play(Distill(), Task(PROBLEM, FULL), lambda ask: Reply(content="No.", finish_reason="filter"))
    cut = play(Distill(), Task(PROBLEM, FULL), lambda ask: Reply(content="<think>1 and", finish_reason="length"))
    assert (refused.stop, refused.method) == ("refused", "whole")
    assert (cut.stop, cut.text, cut.node.messages[-1].reasoning) == ("truncated", "", "1 and")


WIRES = (
    replace(OPENAI, protocol="responses"), ANTHROPIC, DEEPSEEK, GEMINI, OLLAMA, GROQ, COMPAT,
    Wire("openrouter:m", "openai", "OPENROUTER_BASE_URL", "OPENROUTER_API_KEY"),
    Wire("vllm:m", "openai", "VLLM_BASE_URL"),
)  # fmt: skip
APART, TOGETHER = Said(SAID, reasoning=THOUGHTS), Said(f"<think>\n{THOUGHTS}\n</think>\n\n{SAID}")


@pytest.mark.parametrize("said", [APART, TOGETHER], ids=["apart", "together"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wire", WIRES, ids=str)
def test_whoever_sends_them_the_record_is_the_same(wire: Wire, stream: bool, said: Said) -> None:
    async def work(model: Model, server: Server) -> Trace:
        models = {"solver": Recorded(model, Memory())}
        return await drive(Setting(Distill(), FULL, models, Verifiers(), stream=stream), PROBLEM)  # type: ignore[arg-type]

    trace = served(wire, [said], work)
    kept = trace.messages[trace.path[-1]]
    assert (kept.content, kept.reasoning.strip()) == (SAID, THOUGHTS)
    assert (trace.answer, trace.verdict.status) == ("3", "correct")
    assert trace.usage.output == 30  # counted once, however many turns tell it
    assert flat(path_of(trace))["content"] == f"<think>\n{THOUGHTS}\n</think>\n{SAID}"


def test_whatever_comes_back_it_is_one_call() -> None:
    for seed in range(60):
        task, asked = Task(PROBLEM, FULL, seed=seed), list[Ask]()
        answer = play(Distill(), task, hostile(Random(seed)), asked=asked)
        assert len(asked) == 1
        assert answer.node.parent is task.tree.nodes[0]
