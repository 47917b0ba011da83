"""What beam and mcts share: expansion, the sources of values, mini-steps, and going on where a run stopped."""

import asyncio
from collections import Counter
from math import log
from pathlib import Path
from random import Random
from typing import Any

import pytest

from openstrawberry.chat import Reply
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.engine.stepper import Stepper
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.registry import open_model
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.settings import Settings
from openstrawberry.store.summary import Summary
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.mcts import Mcts
from openstrawberry.strategies.search import Step, StepTree
from openstrawberry.strategies.strategy import Answer, Ask, Strategy, Task
from openstrawberry.strategies.values import Values
from openstrawberry.trace import Node, Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.engine.batch_runs import finish, open_run
from tests.making import PROBLEM, Memory
from tests.servers.batches import BatchServer, stepping
from tests.servers.http import Server
from tests.servers.openai_server import Turns
from tests.strategies import growing
from tests.strategies.growing import RIGHT, World, by_seed, steps
from tests.strategies.playing import hostile, play, scripted

SEARCHES = ("beam", "mcts")
VALUES = ("check", "rollouts", "prm", "judge", "confidence")
every_search = pytest.mark.parametrize("name", SEARCHES)
every_value = pytest.mark.parametrize("value", VALUES)


def task(strategy: Strategy, prompt_set: str = "brief", **fields: Any) -> Task:
    return Task(PROBLEM, load_prompts(strategy.name, prompt_set, uses=strategy.uses), **fields)


def searched(name: str, says: Any = None, asked: list[Ask] | None = None, **options: Any) -> tuple[Answer, Task]:
    strategy = open_strategy(name, options)
    mine = task(strategy)
    return play(strategy, mine, says or World(), score=growing.score, asked=asked), mine


@every_search
@pytest.mark.parametrize("value", ["check", "prm", "judge"])
def test_with_a_value_that_knows_it_finds_the_right_answer(name: str, value: str) -> None:
    answer, mine = searched(name, value=value)
    assert (answer.text, answer.stop, answer.method) == ("3", "final_answer", "final_answer")
    assert steps(answer.node) == RIGHT
    assert {node.channel for node in answer.node.path()} == {"main"}
    assert answer.node.value == 1.0
    assert all(0 <= node.value <= 1 for node in mine.tree.nodes)


@every_search
def test_rollouts_find_what_most_of_them_agree_on(name: str) -> None:
    answer, _ = searched(name, value="rollouts", rollouts=4, enough=2)
    assert answer.text == "3"
    assert 0 < answer.node.value < 1


def test_an_answer_is_not_likelier_for_being_found_where_the_search_has_dug() -> None:
    strategy = Mcts(value="rollouts")
    tree = StepTree(strategy, task(strategy))
    values = Values("rollouts", tree, rollouts=1, rewards="last")

    def step(parent: Step, prior: float, answer: str = "") -> Step:
        node = tree.task.tree.add("assistant", answer or "a step", parent.node)
        node.prior = prior
        parent.children.append(Step([node], 0, parent, Answer(answer, node) if answer else None))
        return parent.children[-1]

    dug, left = step(tree.root, 0.25), step(tree.root, 0.75, "3")
    for steps_ in ([left], [step(dug, 0.2, "4") for _ in range(5)]):
        assert Stepper(values.of(steps_)).done
    assert [round(end.node.value, 6) for end in values.ends] == [0.75] + [0.25] * 5
    assert values.elected("best").text == "3"
    assert values.elected("vote").text == "4"


@every_search
def test_draws_that_are_equal_are_one_step_whose_prior_is_their_share(name: str) -> None:
    _, mine = searched(name, value="prm", branches=3)
    first = [node for node in mine.tree.nodes if node.role == "assistant"][:3]
    assert [(node.content[0], round(node.prior, 3)) for node in first] == [("3", 0.667), ("8", 0.333), ("3", 0.667)]
    grown = Counter(node.parent.index for node in mine.tree.nodes if node.parent is not None)
    assert grown[first[0].index] == 1
    assert grown[first[2].index] == 0
    assert first[0].value == first[2].value > first[1].value


@every_search
def test_rollouts_and_next_steps_of_a_step_are_siblings(name: str) -> None:
    _, mine = searched(name, value="check", enough=2, depth=2)
    for node in mine.tree.nodes:
        said = [each for each in mine.tree.nodes if each.parent is node and each.role == "user"]
        assert len(said) <= 1


@every_search
def test_an_equal_draw_has_rollouts_of_its_own(name: str) -> None:
    asked: list[Ask] = []
    searched(name, scripted(["the same."] * 3 + ["<final_answer>3</final_answer>"]), asked, value="rollouts")
    assert len(asked) == 3 + 3  # three draws of one step, and a game played on from each


@every_search
def test_answers_that_are_good_enough_end_it_and_above_one_nothing_does(name: str) -> None:
    few, many = [], []
    searched(name, asked=few, value="check")
    searched(name, asked=many, value="check", enough=1.1)
    assert len(few) < len(many)


@every_search
@every_value
def test_a_search_that_never_finds_an_answer_ends_with_max_turns(name: str, value: str) -> None:
    def says(ask: Ask) -> Reply:
        text = '{"score": 5}' if ask.role == "judge" else f"step {len(ask.node.messages)}"
        return Reply(content=text, finish_reason="stop", logprobs=(-0.5,))

    asked: list[Ask] = []
    answer, mine = searched(name, says, asked, value=value, max_turns=6)
    assert (answer.text, answer.stop) == ("", "max_turns")
    assert answer.node.channel == "main"
    assert len(asked) < 500
    assert max(sum(each.role == "assistant" for each in node.path()) for node in mine.tree.nodes) <= 6


@every_search
@pytest.mark.parametrize("garbage", ["I like it.", '{"score": 99}', "", "[]"])
def test_a_rating_that_cannot_be_read_is_not_known_and_never_nothing(name: str, garbage: str) -> None:
    def says(ask: Ask) -> str:
        return garbage if ask.role == "judge" else world(ask)

    world = World()
    answer, mine = searched(name, says, value="judge")
    assert answer.text
    assert {(node.value, node.visits) for node in mine.tree.nodes if node.role == "assistant"} == {(0.0, 0)}


@every_search
def test_a_reward_that_is_no_number_is_not_known(name: str) -> None:
    strategy = open_strategy(name, {"value": "prm"})
    mine = task(strategy)
    answer = play(strategy, mine, World(), score=lambda node: float("nan"))
    assert answer.text
    assert {node.visits for node in mine.tree.nodes if node.role == "assistant"} == {0}


@every_search
def test_the_rewards_of_a_path_may_be_its_worst_or_their_product(name: str) -> None:
    def rewards(node: Node) -> float:
        return {0: 0.9, 1: 0.5, 2: 0.8}[(len(steps(node)) - 1) % 3]

    found = {}
    for how in ("last", "min", "product"):
        strategy = open_strategy(name, {"value": "prm", "rewards": how, "branches": 1, "depth": 3, "enough": 2})
        mine = task(strategy)
        play(strategy, mine, World(), score=rewards)
        third = next(node for node in mine.tree.nodes if len(steps(node)) == 3 and node.role == "assistant")
        found[how] = round(third.value, 6)
    assert found == {"last": 0.8, "min": 0.5, "product": 0.36}


@every_search
def test_confidence_is_the_mean_share_of_the_tokens_of_the_path(name: str) -> None:
    def says(ask: Ask) -> Reply:
        assert ask.logprobs == (ask.role == "solver")
        first = len(ask.node.messages) == 2
        return Reply(content=world(ask), finish_reason="stop", logprobs=(log(0.5),) if first else (0.0, 0.0, 0.0))

    world = World()
    _, mine = searched(name, says, value="confidence", branches=2, enough=2)
    for node in mine.tree.nodes:
        if node.role == "assistant" and node.visits == 1:
            later = len(steps(node)) - 1
            assert node.value == pytest.approx((0.5 + 3 * later) / (1 + 3 * later))
    assert any(node.visits == 1 for node in mine.tree.nodes)


@every_search
def test_mini_steps_are_cut_and_go_on_and_an_answer_may_stand_across_them(name: str) -> None:
    pieces = ["one", "two", "<final_", "answer>3</fin", "al_answer>"]

    def says(ask: Ask) -> Reply:
        assert ask.max_tokens == 4
        at = sum(message.role == "assistant" for message in ask.node.messages)
        return Reply(content=pieces[at], finish_reason="stop" if at == 4 else "length")

    strategy = open_strategy(name, {"step_tokens": 4, "value": "prm", "depth": 9})
    mine = task(strategy)
    answer = play(strategy, mine, says, score=lambda node: 0.5)
    assert (answer.text, answer.stop) == ("3", "final_answer")
    users = [node.content for node in answer.node.path() if node.role == "user"]
    assert users[1:] == ["Go on."] * 4


@every_search
def test_an_answer_may_stand_across_the_last_mini_step_and_the_game_that_is_played_on(name: str) -> None:
    def says(ask: Ask) -> Reply:
        if ask.max_tokens is None:
            return Reply(content="answer>3</final_answer>", finish_reason="stop")
        return Reply(content="So: <final_", finish_reason="length")

    asked: list[Ask] = []
    answer, _ = searched(name, says, asked, step_tokens=4, value="rollouts", depth=1, branches=2)
    assert (answer.text, answer.stop) == ("3", "final_answer")
    assert len(asked) == 2 + 2  # the games end with the reply that completes the answer


@every_search
def test_confidence_counts_the_tokens_of_what_is_played_on_too(name: str) -> None:
    def says(ask: Ask) -> Reply:
        assert ask.logprobs
        return Reply(content=world(ask), finish_reason="stop", logprobs=(0.0 if len(ask.node.messages) == 2 else -9.0,))

    world = World()
    options = {"value": "confidence", "branches": 1, "depth": 1} | ({"iterations": 1} if name == "mcts" else {})
    answer, _ = searched(name, says, **options)
    assert answer.text
    assert answer.node.value < 0.3  # one sure step, four unsure ones


@every_search
def test_equal_draws_that_answer_have_a_vote_each(name: str) -> None:
    says = scripted([f"<final_answer>{each}</final_answer>" for each in "4333"])
    says_prm = {"value": "prm", "branches": 4, "depth": 1, "choose": "vote", "enough": 2}
    answer, mine = searched(name, says, **says_prm)
    assert answer.text == "3"
    assert [node.visits for node in mine.tree.nodes if node.role == "assistant"] == [1, 3, 3, 3]


@every_search
def test_no_prompt_file_can_make_a_search_look_at_the_known_answer(name: str) -> None:
    strategy = open_strategy(name, {})
    mine = PromptSet("mine", {"value": "check"}, task(strategy).prompts.others)
    with pytest.raises(SetupError, match="write one of rollouts, prm, judge, confidence there"):
        play(strategy, Task(PROBLEM, mine), World())


def test_a_judge_reads_what_was_written_and_nothing_is_filled_into_the_question() -> None:
    problem = PROBLEM.model_copy(update={"question": "What does {steps} mean?"})
    strategy = open_strategy("vote", {"base": "few-shot", "k": 1, "weight": "judge"})
    mine, asked = Task(problem, load_prompts("vote", "brief", uses=strategy.uses)), list[Ask]()
    play(strategy, mine, scripted(["<final_answer>a place</final_answer>", '{"score": 7}']), asked=asked)
    (judge,) = [ask.node.content for ask in asked if ask.role == "judge"]
    assert "What does {steps} mean?" in judge
    assert "[1] <final_answer>a place</final_answer>" in judge
    assert "[2]" not in judge  # the examples were put into the model's mouth


def test_a_prompt_set_without_a_way_to_value_steps_is_one_sentence() -> None:
    strategy = open_strategy("beam", {})
    mine = PromptSet("mine", {"words": "none"}, task(strategy).prompts.others)
    with pytest.raises(SetupError, match="--set value=VALUE"):
        play(strategy, Task(PROBLEM, mine), World())


def test_small_models_compare_rollouts_and_large_ones_judge_unless_they_are_told() -> None:
    for name in SEARCHES:
        strategy = open_strategy(name, {})
        assert strategy.source(load_prompts(name, "full")) == "judge"
        assert strategy.source(load_prompts(name, "brief")) == "rollouts"
        assert open_strategy(name, {"value": "prm"}).source(load_prompts(name, "full")) == "prm"


OPTIONS = [
    *({"value": value} for value in VALUES),
    {"value": "prm", "branches": 1, "depth": 1, "choose": "vote"},
    {"value": "judge", "step_tokens": 3, "max_turns": 3, "choose": "weighted"},
    {"value": "rollouts", "rollouts": 3, "max_turns": 1},
    {"value": "check", "enough": 2, "branches": 2, "depth": 3},
]
MCTS = [
    {"value": "prm", "select": "puct", "leaves": 5, "actions": "all", "reflect": True, "iterations": 12},
    {"value": "rollouts", "leaves": 3, "iterations": 7, "actions": "sure,next", "step_tokens": 2},
]
CASES = [(name, options) for name in SEARCHES for options in OPTIONS] + [("mcts", options) for options in MCTS]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_whatever_comes_back_it_ends(name: str, options: dict[str, Any]) -> None:
    strategy = open_strategy(name, options)
    for seed in range(8):
        random = Random(seed)
        mine = task(strategy, seed=seed)
        answer = play(strategy, mine, hostile(random), score=lambda node: random.uniform(-2, 2), order=random)  # noqa: B023
        assert mine.tree.nodes[answer.node.index] is answer.node
        assert answer.node.channel == "main"


def setting(strategy: Strategy, model: Any, record: Memory, **fields: Any) -> Setting:
    prompts = load_prompts(strategy.name, "brief", uses=strategy.uses)
    return Setting(strategy, prompts, {"solver": Recorded(model, record)}, Verifiers(), identity="run", **fields)


def driven(strategy: Strategy, model: Any, record: Memory | None = None, **fields: Any) -> Trace:
    return asyncio.run(drive(setting(strategy, model, record or Memory(), **fields), PROBLEM))


@pytest.mark.parametrize("dies_at", [1, 2, 5, 11, 23])
@pytest.mark.parametrize("options", [{"value": "rollouts", "enough": 2}, {"value": "check", "enough": 2}], ids=str)
@every_search
def test_a_search_that_was_killed_goes_on_mid_tree(name: str, options: dict[str, Any], dies_at: int) -> None:
    strategy = open_strategy(
        name, {**options, "depth": 3, **({"iterations": 6, "leaves": 2} if name == "mcts" else {})}
    )
    whole = driven(strategy, ScriptedModel(answer=by_seed))
    record, asked = Memory(), []

    def dying(request: Any) -> Reply:
        asked.append(request.key)
        if len(asked) == dies_at:
            raise KeyboardInterrupt
        return by_seed(request)

    with pytest.raises(KeyboardInterrupt):
        driven(strategy, ScriptedModel(answer=dying), record)
    kept = dict(record.replies)
    asked.clear()
    trace = driven(
        strategy, ScriptedModel(answer=lambda request: asked.append(request.key) or by_seed(request)), record
    )
    assert not set(asked) & set(kept)
    assert len(asked) == len(set(asked))
    assert shape(trace) == shape(whole)
    assert (trace.answer, trace.verdict) == (whole.answer, whole.verdict)


def shape(trace: Trace) -> Any:
    """The tree as sets of paths with what the search found at their ends, whatever the order they were added in."""
    paths: list[tuple[str, ...]] = []
    for turn in trace.messages:
        paths.append((*(paths[turn.parent] if turn.parent >= 0 else ()), turn.content))
    found = zip(paths, trace.messages, strict=True)
    return Counter((path, round(turn.value, 9), turn.visits, round(turn.prior, 9)) for path, turn in found)


@every_search
def test_every_value_visit_and_prior_is_in_the_trace(name: str) -> None:
    async def scorer(node: Node) -> float:
        return growing.score(node)

    trace = driven(open_strategy(name, {"value": "prm"}), ScriptedModel(answer=by_seed), scorer=scorer)
    replies = [turn for turn in trace.messages if turn.role == "assistant"]
    assert trace.correct
    assert all(turn.visits >= 1 and 0 < turn.prior <= 1 and 0 <= turn.value <= 1 for turn in replies)


@every_search
def test_what_the_reward_model_cannot_read_is_not_known_and_the_search_goes_on(name: str) -> None:
    async def scorer(node: Node) -> float:
        if len(steps(node)) > 2:
            raise ProviderError("Too long.", provider="prm", kind="context")
        return growing.score(node)

    trace = driven(open_strategy(name, {"value": "prm"}), ScriptedModel(answer=by_seed), scorer=scorer)
    assert (trace.stop, trace.answer != "") == ("final_answer", True)
    assert trace.messages[trace.path[-1]].visits == 0
    assert any(turn.visits for turn in trace.messages if turn.role == "assistant")


@every_search
def test_independent_expansions_go_out_together(name: str) -> None:
    open_now, most = set(), []

    async def slow(request: Any) -> Reply:
        open_now.add(request.key)
        most.append(len(open_now))
        await asyncio.sleep(0)
        open_now.discard(request.key)
        return by_seed(request)

    driven(open_strategy(name, {"value": "check", "branches": 4}), ScriptedModel(answer=slow))
    assert most[3] == 4


@every_search
def test_a_dead_back_end_ends_the_trace_and_not_at_the_cap(name: str) -> None:
    calls: list[int] = []

    def dies(request: Any) -> Any:
        calls.append(1)
        return by_seed(request) if len(calls) < 5 else ProviderError("down", provider="s", kind="server", status=500)

    trace = driven(open_strategy(name, {}), ScriptedModel(answer=dies))
    assert (trace.stop, trace.error.status) == ("error", 500)
    assert len(calls) < 12


@pytest.mark.parametrize(
    ("name", "options"),
    [("vote", {"k": 3}), ("beam", {"value": "check"}), ("mcts", {"value": "rollouts"}), ("omega", {"branches": 3})],
    ids=str,
)
def test_an_attempt_that_outgrows_the_context_is_truncated_and_ends_no_other(name: str, options: Any) -> None:
    asked: list[int] = []

    def narrow(request: Any) -> Reply | ProviderError:
        turn = sum(message.role == "assistant" for message in request.messages)
        asked.append(turn)
        if turn == 1 and asked.count(1) == 1:
            return ProviderError("Too long.", provider="scripted", kind="context")
        text = "<final_answer>3</final_answer>" if turn == 2 else f"Step {request.seed}."
        return Reply(content=text, finish_reason="stop", model="m")

    trace = driven(open_strategy(name, options), ScriptedModel(answer=narrow))
    assert (trace.answer, trace.stop, trace.error.message) == (
        ("3", "final_answer", "") if name != "omega" else ("", "truncated", "")
    )
    assert sum(turn.content.startswith("<final_answer>") for turn in trace.messages) >= 2


@every_search
def test_a_model_without_log_probabilities_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(SetupError, match=r"scripted gives no log probabilities.*--set value="):
        driven(open_strategy(name, {"value": "confidence"}), ScriptedModel(["a step."]))


@every_search
def test_it_searches_through_a_real_sdk(name: str) -> None:
    async def session() -> tuple[Trace, int]:
        turns = Turns(final_at=3)
        async with Server(turns) as server:
            model = open_model("openai:gpt", Settings({"OPENAI_BASE_URL": server.url + "/v1", "OPENAI_API_KEY": "sk"}))
            try:
                return await drive(setting(open_strategy(name, {}), model, Memory()), PROBLEM), turns.asked.total()
            finally:
                await model.close()

    trace, asked = asyncio.run(session())
    assert trace.correct
    assert trace.turns == 3
    assert asked == 3 + 3 * 2  # three draws, all alike, and two turns to the end of each game


@every_search
def test_over_a_batch_api_all_draws_of_a_level_are_one_wave(tmp_path: Path, name: str) -> None:
    handler = BatchServer("openai", stepping(4))

    async def session() -> Summary:
        async with Server(handler, keep=False) as server:
            return await finish(open_run(tmp_path, "openai", server.url, 2, strategy=name, prompt_set="brief"))

    summary = asyncio.run(session())
    assert summary.statuses == {"correct": 2}
    assert handler.sizes == [5, 6, 6, 6]  # three draws each, one of them live; then their rollouts, turn by turn
