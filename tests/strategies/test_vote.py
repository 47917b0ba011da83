"""The vote, answered by hand and driven."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from openstrawberry.config import load_config
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.evaluation.methods import read_method
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.registry import open_model
from openstrawberry.models.replies import Recorded
from openstrawberry.pieces import strategy_of
from openstrawberry.prompts import load_prompts
from openstrawberry.settings import Settings
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.strategy import Answer, Ask, Strategy, Task
from openstrawberry.strategies.vote import Vote
from openstrawberry.trace import Node, Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.servers.http import Server
from tests.servers.openai_server import Turns
from tests.strategies.playing import hostile, play, scripted


def task(strategy: Strategy, prompt_set: str = "full", **fields: Any) -> Task:
    return Task(PROBLEM, load_prompts(strategy.name, prompt_set, uses=strategy.uses), **fields)


def voted(answers: Sequence[str], **options: Any) -> tuple[Answer, int]:
    """What wins when the members answer so, in order, and how many were asked."""
    strategy = Vote(base="zero-shot", **options)
    asked: list[Ask] = []
    said = [f"<final_answer>{answer}</final_answer>" if answer else "I cannot\nsay." for answer in answers]
    return play(strategy, task(strategy), scripted(said), asked=asked), len(asked)


def test_the_golden_trace() -> None:
    strategy = Vote(base="zero-shot", k=3)
    mine = task(strategy)
    answer = play(strategy, mine, scripted([f"<final_answer>{each}</final_answer>" for each in ("2", "3", "3.0")]))
    question = mine.prompts.others["zero-shot"].text("user").replace("{question}", PROBLEM.question)
    assert [
        (node.role, node.content, node.parent.index if node.parent else -1, node.channel) for node in mine.tree.nodes
    ] == [
        ("user", question, -1, "main"),
        ("user", question, -1, "main"),
        ("assistant", "<final_answer>2</final_answer>", 0, "main"),
        ("assistant", "<final_answer>3</final_answer>", 1, "main"),
        ("user", question, -1, "main"),
        ("assistant", "<final_answer>3.0</final_answer>", 4, "main"),
    ]
    assert (answer.text, answer.node.index, answer.stop) == ("3", 3, "final_answer")


def test_it_stops_once_the_majority_can_no_longer_change_and_starts_no_more_than_that_takes() -> None:
    assert voted(["3"] * 8, k=8)[1] == 5
    assert voted(["3", "2", "3", "3", "3", "3"], k=8)[1] == 6
    assert voted(["3"] * 8, k=8, early="off")[1] == 8
    assert voted(["3"] * 40, k=40, early="confident")[1] == 4
    answer, asked = voted(["1", "2", "3", "2", "2"], k=5)
    assert (answer.text, asked) == ("2", 5)


def test_a_member_without_an_answer_abstains_and_if_all_do_there_is_none() -> None:
    assert voted(["", "", "3"], k=3)[0].text == "3"
    answer, _ = voted([""] * 3, k=3)
    assert answer.text == ""


def test_members_draw_their_own_turns_and_share_their_beginning() -> None:
    strategy = Vote(k=4, early="off", max_turns=12)
    mine = task(strategy)
    play(strategy, mine, scripted(["hm"]))
    paths = [node.messages for node in mine.tree.nodes if len(node.messages) == 25]
    assert len(paths) == 4
    assert len({path[:2] for path in paths}) == 1
    assert len(set(paths)) == 4


def test_a_judge_reads_each_answer_aside_and_weighs_it() -> None:
    strategy = Vote(base="zero-shot", k=3, weight="judge", early="off")
    mine = task(strategy)

    def says(ask: Ask) -> str:
        if ask.role == "solver":
            return f"<final_answer>{'2' if ask.node.index else '3'}</final_answer>"
        right = "<final_answer>3</final_answer>" in ask.node.content
        return f'{{"reason": "r", "score": {9 if right else 3}}}'

    answer = play(strategy, mine, says)
    assert (answer.text, answer.node.value, answer.node.visits) == ("3", 0.9, 1)
    judges = [node for node in mine.tree.nodes if node.channel == "judge"]
    assert len(judges) == 9  # three times a system prompt, a question, a rating
    assert not any(node.channel == "judge" for node in answer.node.path())
    assert PROBLEM.question in judges[1].content


@pytest.mark.parametrize("garbage", ["no idea", '{"score": 11}', '{"score": "NaN"}', ""])
def test_a_rating_that_cannot_be_read_is_not_known_and_not_nothing(garbage: str) -> None:
    strategy = Vote(base="zero-shot", k=3, weight="judge", early="off")

    def says(ask: Ask) -> str:
        if ask.role == "solver":
            return f"<final_answer>{'3' if ask.node.index else '2'}</final_answer>"
        return garbage if "<final_answer>3" in ask.node.messages[1].content else '{"score": 6}'

    assert play(strategy, task(strategy), says).text == "3"


def test_a_vote_is_not_settled_by_weights_that_are_not_known() -> None:
    worth = {"1": None, "2": None, "3": None, "4": 2}

    def asked(weights: dict[str, int | None]) -> int:
        members: list[str] = []

        def says(ask: Ask) -> str:
            if ask.role == "judge":
                return json.dumps({"score": weights[ask.node.messages[1].content.rpartition("number ")[2][0]]})
            members.append(str(len(members) + 1))
            return f"number {members[-1]} <final_answer>3</final_answer>"

        strategy = Vote(base="zero-shot", k=4, weight="judge")
        play(strategy, task(strategy), says)
        return len(members)

    assert asked(dict.fromkeys("1234", 10)) == 3
    assert asked(dict(worth)) == 4


def test_a_process_reward_weighs_by_the_worst_step_or_as_it_is_told() -> None:
    def rewarded(node: Node) -> float:
        return {"good": 0.9, "bad": 0.1, "fair": 0.5}.get(node.content.partition(" ")[0], 0.5)

    def says(ask: Ask) -> str:
        member = ask.node.path()[1].index
        step = sum(node.role == "assistant" for node in ask.node.path())
        lines = (
            ("bad", "good <final_answer>2</final_answer>")
            if member == 1
            else ("fair", "fair <final_answer>3</final_answer>")
        )
        return lines[step]

    for rewards, winner in (("min", "3"), ("last", "2")):
        strategy = Vote(k=2, weight="prm", early="off", rewards=rewards)
        answer = play(strategy, task(strategy), says, score=rewarded)
        assert answer.text == winner
    assert [node.value for node in answer.node.path() if node.role == "assistant"] == [0.1, 0.9]
    weird = Vote(k=2, weight="prm", early="off")
    assert play(weird, task(weird), says, score=lambda node: float("nan")).text in ("2", "3")


@pytest.mark.parametrize("rewards", ["min", "last", "product"])
def test_every_step_keeps_its_own_reward_whatever_the_solution_is_worth(rewards: str) -> None:
    strategy = Vote(k=1, weight="prm", rewards=rewards)
    says = scripted(["bad", "good <final_answer>3</final_answer>"])
    answer = play(strategy, task(strategy), says, score=lambda node: 0.1 if node.content == "bad" else 0.9)
    assert [node.value for node in answer.node.path() if node.role == "assistant"] == [0.1, 0.9]


def test_a_solution_whose_end_has_no_reward_is_not_worth_what_its_beginning_is() -> None:
    said = {1: ["0.9", "nan <final_answer>2</final_answer>"], 3: ["0.6", "0.6 <final_answer>3</final_answer>"],
            5: ["0.1", "0.1 <final_answer>4</final_answer>"]}  # fmt: skip

    def says(ask: Ask) -> str:
        return said[ask.node.path()[1].index][sum(node.role == "assistant" for node in ask.node.path())]

    strategy = Vote(k=3, weight="prm", early="off")
    answer = play(strategy, task(strategy), says, score=lambda node: float(node.content.partition(" ")[0]))
    assert answer.text == "3"


def test_a_solution_that_the_reward_model_cannot_read_is_of_unknown_worth_and_the_vote_goes_on() -> None:
    async def scorer(node: Node) -> float:
        if "far too long" in node.content:
            raise ProviderError("Too long.", provider="prm", kind="context")
        return 0.9

    async def gone(node: Node) -> float:
        raise ProviderError("Gone.", provider="prm", kind="server")

    def voted_by(judge: Any) -> Trace:
        said = iter(["far too long <final_answer>2</final_answer>", *["<final_answer>3</final_answer>"] * 2])
        model = ScriptedModel(answer=lambda request: next(said))
        weighing = Vote(base="zero-shot", k=3, weight="prm", early="off")
        return asyncio.run(drive(replace(setting(weighing, model, Memory()), scorer=judge), PROBLEM))

    trace = voted_by(scorer)
    assert (trace.stop, trace.answer, trace.correct) == ("final_answer", "3", True)
    assert sorted((turn.value, turn.visits) for turn in trace.messages if turn.model) == [(0.0, 0), (0.9, 1), (0.9, 1)]
    assert voted_by(gone).stop == "error"


def test_common_flags_mean_the_members_where_they_know_them() -> None:
    strategy = open_strategy("vote", {"max_turns": 7, "final_every": 3, "base_options": {"max_cut": 2}})
    assert strategy.member.model_dump(include={"max_turns", "final_every", "max_cut", "temperature"}) == {
        "max_turns": 7, "final_every": 3, "max_cut": 2, "temperature": 0.7,
    }  # fmt: skip
    assert Vote().max_turns == 40
    assert Vote(base="cot", final_every=3).max_turns == 0
    assert Vote(base="vote").member.member.max_turns == 40


def test_the_length_of_replies_is_the_members_too() -> None:
    small = strategy_of(load_config(None, {"strategy": "vote", "model": "berry", "set": {"base": "llamaberry"}}))
    assert small.member == open_strategy("llamaberry", {"max_tokens": 512, "temperature": 0.7})  # type: ignore[attr-defined]
    assert Vote(base="cot", max_tokens=9).member == open_strategy("cot", {"temperature": 0.7})


def test_a_vote_by_weights_is_not_called_sure_by_counting_heads() -> None:
    def says(ask: Ask) -> str:
        if ask.role == "judge":
            return json.dumps({"score": 1 if "<final_answer>2" in ask.node.content else 9})
        return f"<final_answer>{2 if ask.node.index < 8 else 3}</final_answer>"

    for choose, winner in (("vote", "2"), ("weighted", "3")):
        strategy = Vote(base="zero-shot", k=12, weight="judge", choose=choose, early="confident")
        mine = task(strategy)
        assert play(strategy, mine, says).text == winner


def test_a_wrong_base_or_option_of_it_is_one_sentence() -> None:
    with pytest.raises(SetupError, match="did you mean 'strawberry'"):
        open_strategy("vote", {"base": "strawbery"})
    with pytest.raises(SetupError, match="did you mean 'max_cut'"):
        open_strategy("vote", {"base_options": {"max_cuts": 2}})


OPTIONS = [
    {"base": "cot", "k": 5, "weight": "judge", "choose": "best"},
    {"base": "zero-shot", "k": 40, "early": "confident"},
    {"base": "few-shot", "k": 3, "weight": "prm", "rewards": "product"},
    {"base": "mcts", "k": 2, "base_options": {"iterations": 2}},
    {"base": "vote", "k": 3, "base_options": {"base": "cot", "k": 3}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_whatever_comes_back_it_ends(options: dict[str, Any]) -> None:
    strategy = Vote(**options)
    for seed in range(10):
        random = Random(seed)
        mine = task(strategy, random.choice(("full", "brief")), seed=seed)
        answer = play(strategy, mine, hostile(random), score=lambda node: random.uniform(-2, 2), order=random)  # noqa: B023
        assert mine.tree.nodes[answer.node.index] is answer.node
        assert answer.node.channel == "main"


def setting(strategy: Strategy, model: Any, record: Memory) -> Setting:
    prompts = load_prompts(strategy.name, "brief", uses=strategy.uses)
    return Setting(strategy, prompts, {"solver": Recorded(model, record)}, Verifiers(), identity="run")


@pytest.mark.parametrize("dies_at", [1, 4, 9, 12])
def test_a_vote_that_was_killed_asks_nothing_twice(dies_at: int) -> None:
    record, asked = Memory(), []
    strategy = Vote(k=4, max_turns=6)

    def answering(request: Any) -> str:
        asked.append(request.key)
        if len(asked) == dies_at:
            raise KeyboardInterrupt
        return "<final_answer>3</final_answer>" if len(request.messages) >= 8 else f"Step {request.seed}."

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(drive(setting(strategy, ScriptedModel(answer=answering), record), PROBLEM))
    trace = asyncio.run(drive(setting(strategy, ScriptedModel(answer=answering), record), PROBLEM))
    assert trace.correct
    assert len(record.replies) == len(set(asked)) == 12  # three members of four turns
    again = asyncio.run(drive(setting(strategy, ScriptedModel(answer=answering), record), PROBLEM))
    assert (again.answer, len(again.messages)) == (trace.answer, len(trace.messages))
    assert len(set(asked)) == 12


def test_a_dead_back_end_ends_the_trace() -> None:
    def down(request: Any) -> ProviderError:
        return ProviderError("down", provider="scripted", kind="server", status=500)

    trace = asyncio.run(drive(setting(Vote(k=8), ScriptedModel(answer=down), Memory()), PROBLEM))
    assert (trace.stop, trace.error.status) == ("error", 500)


def test_it_votes_through_a_real_sdk() -> None:
    async def session() -> Any:
        turns = Turns(final_at=3)
        async with Server(turns) as server:
            model = open_model("openai:gpt", Settings({"OPENAI_BASE_URL": server.url + "/v1", "OPENAI_API_KEY": "sk"}))
            try:
                trace = await drive(setting(Vote(k=5), model, Memory()), PROBLEM)
            finally:
                await model.close()
            return trace, turns.asked.total()

    trace, asked = asyncio.run(session())
    assert (trace.correct, asked, trace.turns) == (True, 9, 3)


def test_a_bare_off_is_understood_as_yaml_reads_it() -> None:
    assert read_method("vote:base=cot,early=off").options["early"] is False
    assert Vote(early=False).early == "off"  # type: ignore[arg-type]
