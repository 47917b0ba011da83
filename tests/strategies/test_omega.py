"""Monte Carlo prefix values, answered by hand: what is estimated, what is found, and at what cost."""

import asyncio
from collections import Counter
from math import ceil, log2
from pathlib import Path
from random import Random
from typing import Any

import pytest

from openstrawberry.chat import Reply, Request
from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.engine.stepper import Stepper
from openstrawberry.errors import ProviderError
from openstrawberry.generate import Run
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import load_prompts
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.omega import Omega
from openstrawberry.strategies.rollouts import Prefix, Rollout, Rollouts
from openstrawberry.strategies.strategy import Answer, Ask, Check, Task
from openstrawberry.strategies.strawberry import Strawberry
from openstrawberry.trace import Node
from openstrawberry.verifiers.catalogue import Verifiers
from openstrawberry.verifiers.verifier import Verdict
from tests.making import PROBLEM, Memory
from tests.servers.dialects import Said, openai
from tests.servers.http import Answer as Sent
from tests.servers.http import Received, Server
from tests.strategies.playing import Says, hostile, play

BRIEF = load_prompts("omega", "brief", uses=["strawberry"])


def task(**fields: Any) -> Task:
    return Task(PROBLEM, BRIEF, **fields)


class Slipping:
    """A solver of `length` steps and an answer, that slips at step `bad`, the first `slips` times it comes there.

    Whatever follows a slip is wrong, everything else right. No two steps have the same words, unless `alike`.
    """

    def __init__(self, length: int, bad: int, slips: int = 1, alike: bool = False) -> None:
        self.length, self.bad, self.slips, self.alike = length, bad, slips, alike
        self.said = 0

    def __call__(self, ask: Ask) -> str:
        before = [node.content for node in ask.node.path() if node.role == "assistant"]
        slipped = any(text.startswith("slip") for text in before)
        self.said += not self.alike
        if len(before) == self.length:
            return f"<final_answer>{4 if slipped else 3}</final_answer>"
        if len(before) == self.bad and not slipped and self.slips:
            self.slips -= 1
            return f"slip {self.said}"
        return f"step {len(before)} {self.said}"


def explored(options: Omega, on: Task, says: Says, **more: Any) -> list[Rollout]:
    """Every rollout of a search."""
    found: list[Rollout] = []

    class Exposed(Omega):
        def solve(self, task: Task) -> Any:
            found.extend((yield from self.explore(task)))
            return found[0].answer

    play(Exposed(**options.model_dump()), on, says, **more)
    return found


def measured(on: Task) -> list[Node]:
    """The replies from which rollouts were made; one that gave an answer has its own verdict only."""
    return [node for node in on.tree.nodes if node.role == "assistant" and node.visits > 1]


LENGTHS = [1, 2, 3, 7, 8, 31, 64]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_first_bad_step_is_found_in_log_n_estimates(length: int) -> None:
    for bad in range(length):
        on = task()
        rollouts = explored(Omega(searches=1, max_branches=1000, max_turns=100), on, Slipping(length, bad))
        (wrong,) = [each for each in rollouts if not each.right and not each.start.turn]
        assert wrong.first_bad == bad
        assert wrong.replies[bad].content.startswith("slip")
        assert len(measured(on)) <= ceil(log2(length + 1))
        assert len(rollouts) == 4 * (1 + len(measured(on)))


def test_a_linear_search_would_not_pass_the_count() -> None:
    on = task()
    explored(Omega(mode="all", max_branches=1000, max_turns=100), on, Slipping(31, 20))
    assert len(measured(on)) == 4 * 31


@pytest.mark.parametrize("mode", ["binary", "all"])
@pytest.mark.parametrize("order", [None, *range(6)])
def test_values_are_the_share_of_right_rollouts_in_whatever_order_they_end(mode: Any, order: int | None) -> None:
    on = task()
    options = Omega(mode=mode, max_branches=200)
    rollouts = explored(options, on, Slipping(6, 3, slips=9), order=Random(order) if order is not None else None)
    ends = {node.index: node for node in on.tree.nodes if node.visits}
    for index, node in ends.items():
        through = [each for each in rollouts if index in {step.index for step in each.answer.node.path()}]
        from_it = [each for each in through if each.start.end.index <= index]
        kept = [each for each in from_it if each.start.end is node or mode == "all" or each.answer.node is node]
        assert node.visits == len(kept)
        assert node.value == sum(bool(each.right) for each in kept) / len(kept)


def test_a_golden_tree() -> None:
    """Two rollouts, of which the first slips; its middle is tried, and the slip is the second reply."""
    on = task()
    answer = play(Omega(branches=2, searches=1, final_every=0), on, Slipping(2, 1))
    game = on.within("strawberry")
    first, second, third = (Strawberry(final_every=0).prompt(game, turn) for turn in range(3))
    rules = game.shared_random("system").choice(game.prompts.pool("system"))
    told = [(node.role, node.content, node.parent.index if node.parent else -1, node.value, node.visits)
            for node in on.tree.nodes]  # fmt: skip
    assert told == [
        ("system", rules, -1, 0.0, 0),
        ("user", first, 0, 0.5, 2),
        ("assistant", "step 0 1", 1, 1.0, 2),
        ("user", second, 2, 0.0, 0),
        ("assistant", "step 0 2", 1, 0.0, 0),
        ("user", second, 4, 0.0, 0),
        ("assistant", "slip 3", 3, 0.0, 2),
        ("user", third, 6, 0.0, 0),
        ("assistant", "step 1 4", 5, 0.0, 0),
        ("user", third, 8, 0.0, 0),
        ("assistant", "<final_answer>4</final_answer>", 7, 0.0, 1),
        ("assistant", "<final_answer>3</final_answer>", 9, 1.0, 1),
        ("assistant", "step 1 7", 3, 0.0, 0),
        ("user", third, 12, 0.0, 0),
        ("assistant", "step 1 8", 3, 0.0, 0),
        ("user", third, 14, 0.0, 0),
        ("assistant", "<final_answer>3</final_answer>", 13, 1.0, 1),
        ("assistant", "<final_answer>3</final_answer>", 15, 1.0, 1),
        ("assistant", "<final_answer>4</final_answer>", 7, 0.0, 1),
        ("assistant", "<final_answer>4</final_answer>", 7, 0.0, 1),
    ]
    assert (answer.text, answer.stop, answer.node.index) == ("4", "final_answer", 10)  # its first game, as it went


def test_a_rollout_that_said_the_same_so_far_need_not_be_made_again() -> None:
    on, asked, again = task(), list[Ask](), list[Ask]()
    rollouts = explored(Omega(searches=1, max_turns=50), on, Slipping(8, 6, alike=True), asked=asked)
    assert [each.right for each in rollouts[:4]] == [False, True, True, True]
    # behind four steps one is missing to the three that came through, behind six none, behind the slip all
    assert Counter(each.start.turn for each in rollouts) == {0: 4, 4: 1, 7: 4}
    assert {(node.value, node.visits) for node in measured(on)} == {(1.0, 4), (0.0, 4)}
    explored(Omega(searches=1, max_turns=50), task(), Slipping(8, 6), asked=again)
    assert len(asked) < len(again)


def test_one_bad_step_is_searched_for_once_however_many_rollouts_share_it() -> None:
    on = task()
    rollouts = explored(Omega(searches=4, branches=4, max_branches=100), on, Slipping(4, 0, slips=2, alike=True))
    assert [each.right for each in rollouts[:4]] == [False, False, True, True]
    assert sum(each.searched for each in rollouts) == 1


@pytest.mark.parametrize("mode", ["binary", "all"])
@pytest.mark.parametrize("most", [1, 4, 7, 11, 40, 41])
def test_no_more_rollouts_are_made_than_allowed(mode: Any, most: int) -> None:
    for seed in range(5):
        options = Omega(mode=mode, max_branches=most, branches=min(4, most), searches=100)
        rollouts = explored(options, task(seed=seed), Slipping(12, seed, slips=20), order=Random(seed))
        assert len(rollouts) <= most


def test_the_pool_prefers_a_promising_prefix_a_short_rollout_and_what_was_seldom_taken() -> None:
    on = task()
    tree = Rollouts(Strawberry(), on.within("strawberry"), 4, 40)

    def priority(rollout: Rollout) -> float:
        return Omega().priority(rollout, tree)

    def wrong(value: float, words: int, taken: int = 0) -> Rollout:
        asked = on.user(f"{len(on.tree.nodes)}?")
        asked.value, asked.visits = value, 4
        said = on.tree.add("assistant", "word " * words, asked)
        tree.prefixes[asked.chain] = start = Prefix(asked, taken=taken)
        return Rollout(start, Answer("4", said), False)

    plain, promising, long = wrong(0.5, 100), wrong(0.75, 100), wrong(0.5, 600)
    assert priority(plain) == pytest.approx(0.5**0.5 * 0.9 ** (100 / 500))
    assert priority(promising) > priority(plain) > priority(long)
    tired = wrong(0.5, 100, taken=3)
    assert priority(tired) == pytest.approx(0.5**0.5 * 0.9**0.2 + 0.125 * 3**0.5 / 4)
    assert priority(plain) == pytest.approx(0.5**0.5 * 0.9**0.2 + 0.125 * 3**0.5)


@pytest.mark.parametrize("status", ["unknown", "timeout"])
def test_where_nobody_knows_the_answer_nothing_is_valued_and_nothing_is_searched(status: Any) -> None:
    on = task()
    stepper: Stepper[Answer] = Stepper(Omega().solve(on))
    says, checked = Slipping(3, 1), 0
    while not stepper.done:
        ticket, action = next(iter(stepper.open.items()))
        if isinstance(action, Check):
            checked += 1
            stepper.send(ticket, Verdict(status=status))
        else:
            assert isinstance(action, Ask)
            stepper.send(ticket, on.tree.add("assistant", says(action), action.node, reply=Reply(content="")))
    assert checked == 4
    assert not any(node.visits or node.value for node in on.tree.nodes)


def test_a_rollout_without_an_answer_did_not_come_out_right_and_is_not_called_wrong() -> None:
    class Rambling(Slipping):
        def __call__(self, ask: Ask) -> str:
            text = super().__call__(ask)
            return "and so on" if text == "<final_answer>4</final_answer>" else text

    on = task()
    rollouts = explored(Omega(max_turns=9), on, Rambling(4, 2))
    assert [each.answer.stop for each in rollouts] == ["max_turns", *["final_answer"] * 3]
    assert on.tree.nodes[1].value == 0.75
    assert rollouts[0].answer.node.visits == 0


def test_every_rollout_is_a_whole_conversation_from_the_question_on() -> None:
    on, asked = task(), list[Ask]()
    play(Omega(), on, Slipping(7, 3, slips=3), asked=asked)
    game, plain = on.within("strawberry"), task().within("strawberry")
    for ask in asked:
        path = ask.node.path()
        assert (path[0].role, path[1].index) == ("system", 1)
        said = [node.content for node in path if node.role == "user"]
        assert said == [Strawberry().prompt(game, turn) for turn in range(len(said))]
    assert Strawberry().prompt(game, 1) == Strawberry().prompt(plain, 1)


@pytest.mark.parametrize(
    "options",
    [{"mode": "all"}, {"branches": 1, "max_branches": 1}, {"searches": 0}, {"max_turns": 1}, {"final_every": 0},
     {"mode": "all", "branches": 7, "max_branches": 500}, {"alpha": 1e-300, "beta": 1e-300, "length": 1e-300}],
)  # fmt: skip
def test_no_replies_make_it_raise_with_any_options(options: dict[str, Any]) -> None:
    for seed in range(30):
        on, random = task(seed=seed), Random(seed)
        answer = play(open_strategy("omega", options), on, hostile(random), order=random)
        assert on.tree.nodes[answer.node.index] is answer.node
        assert all(0 <= node.value <= 1 for node in on.tree.nodes)


def test_a_back_end_that_dies_ends_the_trace() -> None:
    calls = []

    def dying(request: Any) -> str:
        calls.append(request)
        if len(calls) > 9:
            raise ProviderError("It is gone.", provider="scripted", kind="server")
        return "a step" if len(calls) > 6 else "<final_answer>4</final_answer>" if len(calls) > 4 else "hm"

    model = Recorded(ScriptedModel(answer=dying, spec="scripted:test"), Memory())
    trace = asyncio.run(drive(Setting(Omega(), BRIEF, {"solver": model}, Verifiers()), PROBLEM))
    assert (trace.stop, trace.error.kind) == ("error", "server")
    assert len(calls) <= 13


@pytest.mark.parametrize("after", [1, 9, 26, 40, 71])
def test_a_search_that_was_killed_goes_on_where_it_was(after: int) -> None:
    record, asked, says = Memory(), [], Slipping(5, 2)

    def answer(request: Request) -> Reply:
        if len(asked) == after:
            asked.append("")
            raise KeyboardInterrupt
        asked.append(request.key)
        on, node = task(), None
        for message in request.messages:
            node = on.tree.add(message.role, message.content, node)
        assert node is not None
        return Reply(content=says(Ask(node)), finish_reason="stop", model="m")

    def made() -> Any:
        model = Recorded(ScriptedModel(answer=answer, spec="scripted:test"), record)
        return asyncio.run(drive(Setting(Omega(searches=1), BRIEF, {"solver": model}, Verifiers()), PROBLEM))

    with pytest.raises(KeyboardInterrupt):
        made()
    trace = made()
    replies = [turn for turn in trace.messages if turn.model]
    assert len(set(asked) - {""}) == len(asked) - 1 == len(replies) == 72
    assert sorted({(turn.value, turn.visits) for turn in replies if turn.visits > 1}) == [(0.0, 4), (1.0, 4)]
    again = made()
    assert [message.content for message in again.chat] == [message.content for message in trace.chat]
    values = [{(turn.key, turn.value, turn.visits) for turn in each.messages} for each in (trace, again)]
    assert values[0] == values[1]
    assert len(asked) == 73


def test_values_reach_the_trace_through_a_real_client(tmp_path: Path) -> None:
    says = Slipping(5, 2)

    def served(received: Received) -> Sent:
        on = Task(PROBLEM, BRIEF)
        node = None
        for message in received.json["messages"]:
            node = on.tree.add(message["role"], message["content"], node)
        return openai(Said(says(Ask(node))), stream=False)

    async def session() -> None:
        async with Server(served) as server:
            config = RunConfig(model=f"compat:served@{server.url}/v1", out=tmp_path / "run", samples=1,
                               strategy="omega", set={"searches": 1})  # fmt: skip
            run = Run(config, Settings({}), problems=[PROBLEM])
            try:
                await run.run()
            finally:
                await run.close()

    asyncio.run(session())
    (trace,) = read_traces(tmp_path / "run")
    question = trace.messages[1]
    assert (question.role, question.value, question.visits) == ("user", 0.75, 4)
    bad = [turn for turn in trace.messages if turn.content.startswith("slip")]
    assert [(turn.value, turn.visits) for turn in bad] == [(0.0, 4)]
    assert trace.messages[trace.messages[bad[0].parent].parent].value > 0
    assert trace.strategy == "omega"
