"""One trace, driven: what is recorded when it goes well and when it does not."""

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from openstrawberry.chat import Delta, Reply, Request, Usage
from openstrawberry.engine.drive import Sampling, Setting, drive
from openstrawberry.engine.events import Event, Judged, Streamed, TraceStarted, TurnEnded, TurnLost, TurnStarted
from openstrawberry.errors import OutputError, ProviderError, SetupError
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.strategies.strategy import Answer, Ask, Check, Score, Steps, Strategy, Task, gather, together
from openstrawberry.strategies.strawberry import Strawberry
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory

BRIEF = load_prompts("strawberry", "brief")
Answerer = Callable[[Request], Any]


def setting(answer: Answerer, strategy: Strategy | None = None, record: Memory | None = None, **fields: Any) -> Setting:
    model = Recorded(ScriptedModel(answer=answer, spec="scripted:test"), record or Memory())
    return Setting(strategy or Strawberry(), BRIEF, {"solver": model}, Verifiers(), identity="run", **fields)


def run(setting: Setting, sample: int = 0) -> Trace:
    return asyncio.run(drive(setting, PROBLEM, sample))


def counting(request: Request) -> str:
    turn = sum(message.role == "assistant" for message in request.messages)
    return "<final_answer>3</final_answer>" if turn == 4 else f"Step {turn}."


def test_a_chat_is_a_tree_with_one_leaf() -> None:
    trace = run(setting(counting))
    assert (trace.answer, trace.stop, trace.verdict.status) == ("3", "final_answer", "correct")
    assert [turn.parent for turn in trace.messages] == list(range(-1, len(trace.messages) - 1))
    assert trace.path == tuple(range(len(trace.messages)))
    assert trace.turns == 5
    assert [message.role for message in trace.chat] == ["system"] + ["user", "assistant"] * 5


def test_every_column_has_one_type_whatever_happened() -> None:
    def failing(request: Request) -> Any:
        if len(request.messages) > 4:
            raise ProviderError("down", provider="scripted", kind="overloaded", status=503)
        return "Step."

    good, bad = json.loads(run(setting(counting)).to_line()), json.loads(run(setting(failing)).to_line())
    assert shape(good) == shape(bad)
    assert bad["stop"] == "error"
    assert bad["error"]["status"] == 503


def shape(value: Any) -> Any:
    """Types of a JSON value; lists by their first element, and no nulls anywhere."""
    assert value is not None
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])]
    return type(value).__name__


def test_unknown_tokens_are_minus_one_and_never_zero() -> None:
    trace = run(setting(counting))
    assert trace.usage.input == -1
    assert trace.cost_usd == -1.0

    def telling(request: Request) -> Reply:
        return Reply(content=counting(request), finish_reason="stop", usage=Usage(input=7, output=2), model="m")

    usage = run(setting(telling)).usage
    assert (usage.input, usage.output, usage.cached_input) == (35, 10, -1)


def test_events_tell_the_whole_story_in_order() -> None:
    heard: list[Event] = []
    run(setting(counting, stream=True, emit=heard.append))
    kinds = [type(event) for event in heard]
    assert kinds[:2] == [TraceStarted, TurnStarted]
    assert kinds[-1] is Judged
    assert kinds.count(TurnEnded) == 5
    said = [event.delta for event in heard if isinstance(event, Streamed)]
    assert "".join(delta.text for delta in said).endswith("<final_answer>3</final_answer>")
    assert all(isinstance(delta, Delta) for delta in said)


def test_every_call_that_begins_has_a_reply_or_is_told_to_be_lost() -> None:
    class Race(Strategy):
        name = "race"

        def ask(self, task: Task, text: str) -> Steps[Any]:
            return (yield Ask(task.user(text)))

        def solve(self, task: Task) -> Steps[Answer]:
            group = together(*(self.ask(task, text) for text in ("waits", "fails", "answers")))
            while True:
                try:
                    _, node = yield group
                except ProviderError:
                    continue
                return Answer("3", node)

    async def racing(request: Request) -> Reply:
        text = request.messages[-1].content
        if text == "waits":
            await asyncio.Event().wait()
        if text == "fails":
            raise ProviderError("down", provider="scripted", kind="server")
        return Reply(content=text, finish_reason="stop", model="m")

    heard: list[Event] = []
    trace = asyncio.run(asyncio.wait_for(drive(setting(racing, Race(), emit=heard.append), PROBLEM), 10))
    assert trace.answer == "3"
    began = {event.node.content: event for event in heard if isinstance(event, TurnStarted)}
    (ended,) = (event for event in heard if isinstance(event, TurnEnded))
    lost = {event.ask for event in heard if isinstance(event, TurnLost)}
    assert lost == {began["waits"].ask, began["fails"].ask}
    assert (ended.ask, ended.node.key) == (began["answers"].ask, began["answers"].key)


def test_until_something_has_worked_a_failure_ends_the_command() -> None:
    def refusing(request: Request) -> Any:
        raise ProviderError("No such model.", provider="scripted", kind="not_found", hint="Check --model.")

    with pytest.raises(SetupError, match=r"No such model\. Check --model\."):
        run(setting(refusing))


def test_a_conversation_too_long_is_truncated_not_failed() -> None:
    def short(request: Request) -> Any:
        raise ProviderError("Too long.", provider="scripted", kind="context")

    trace = run(setting(short))
    assert (trace.stop, trace.verdict.status) == ("truncated", "unknown")


def test_a_used_up_budget_ends_the_trace_even_where_a_strategy_lives_with_failures() -> None:
    class Tolerant(Strategy):
        name = "tolerant"

        def ask(self, task: Task, text: str) -> Steps[Any]:
            return (yield Ask(task.user(text)))

        def solve(self, task: Task) -> Steps[Answer]:
            group = together(self.ask(task, "one"), self.ask(task, "two"))
            node = task.user("none")
            while group:
                try:
                    _, node = yield group
                except ProviderError:
                    continue
            return Answer("3", node)

    def short(kind: Any) -> Callable[[Request], Any]:
        def answer(request: Request) -> Any:
            if request.messages[-1].content == "two":
                raise ProviderError("No.", provider="scripted", kind=kind)
            return Reply(content="one", finish_reason="stop", model="m", cost_usd=0.5)

        return answer

    lived = run(setting(short("server"), Tolerant()))
    ended = run(setting(short("budget"), Tolerant()))
    assert (lived.stop, lived.answer) == ("final_answer", "3")
    assert (ended.stop, ended.answer, ended.verdict.status, ended.error.kind) == ("budget", "", "unknown", "budget")
    assert lived.cost_usd == 0.5


def test_the_cost_of_a_trace_is_all_of_its_replies_or_unknown() -> None:
    def costing(known: bool) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            text = counting(request)
            cost = 0.25 if known or not text.startswith("Step 2") else None
            return Reply(content=text, finish_reason="stop", model="m", cost_usd=cost)

        return answer

    assert run(setting(costing(known=True))).cost_usd == 1.25
    assert run(setting(costing(known=False))).cost_usd == -1.0


def test_equal_first_requests_of_different_samples_are_different_draws() -> None:
    record, seen = Memory(), []

    def noting(request: Request) -> str:
        seen.append((request.seed, request.key))
        return counting(request)

    shared = setting(noting, strategy=Strawberry(temperature=0.7), record=record)
    assert run(shared, 0).id != run(shared, 1).id
    assert len(set(seen)) == len(seen) == 10


def test_a_trace_cut_in_the_middle_is_replayed_for_free() -> None:
    record, asked = Memory(), []

    def dying(request: Request) -> str:
        asked.append(request.key)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return counting(request)

    with pytest.raises(KeyboardInterrupt):
        run(setting(dying, record=record))
    trace = run(setting(lambda request: asked.append(request.key) or counting(request), record=record))
    assert trace.correct
    assert len(asked) == 6  # five turns, and the one that was cut
    assert len(set(asked)) == 5


def test_more_turns_continue_by_replay() -> None:
    record, asked = Memory(), []

    def noting(request: Request) -> str:
        asked.append(request.key)
        return counting(request)

    assert run(setting(noting, Strawberry(max_turns=3), record)).stop == "max_turns"
    assert run(setting(noting, Strawberry(max_turns=9), record)).correct
    assert len(asked) == len(set(asked)) == 5


class Voting(Strategy):
    """Three branches of unequal length; the first two answers that agree win, and the rest is dropped."""

    name = "voting"

    def solve(self, task: Task) -> Steps[Answer]:
        root = task.user(task.problem.question)
        group = together(*(self.branch(task, root, length) for length in (1, 2, 5)))
        seen: list[str] = []
        while group:
            _, node = yield group
            if node.content in seen:
                return Answer("3", node)
            seen.append(node.content)
        return Answer("", root)

    def branch(self, task: Task, root: Any, length: int) -> Steps[Any]:
        node = root
        for _ in range(length):
            node = yield Ask(node)
            node = task.user("next", after=node) if length > 1 else node
        return node if length == 1 else (yield Ask(node))


def test_a_branching_strategy_runs_on_the_same_driver_and_its_leftovers_are_cancelled() -> None:
    open_calls = set()

    async def slow(request: Request) -> str:
        if len(request.messages) > 6:
            open_calls.add(request.key)
            try:
                await asyncio.Event().wait()
            finally:
                open_calls.discard(request.key)
        return "three"

    trace = asyncio.run(asyncio.wait_for(drive(setting(slow, Voting()), PROBLEM), 10))
    assert trace.correct
    assert not open_calls
    parents = [turn.parent for turn in trace.messages]
    assert parents.count(0) == 3
    assert trace.path[0] == 0
    assert all(turn.parent < number for number, turn in enumerate(trace.messages))


def test_two_equal_asks_at_one_node_are_two_draws() -> None:
    class Twice(Strategy):
        name = "twice"

        def solve(self, task: Task) -> Steps[Answer]:
            root = task.user("q")
            first, second = yield from gather(self.ask(root), self.ask(root))
            return Answer(f"{first.key != second.key}", first)

        def ask(self, root: Any) -> Steps[Any]:
            return (yield Ask(root))

    seeds = []
    trace = run(setting(lambda request: seeds.append(request.seed) or "x", Twice()))
    assert trace.answer == "True"
    assert len(set(seeds)) == 2


def test_equal_beginnings_of_two_branches_are_two_draws_and_replay_free() -> None:
    class Branches(Strategy):
        name = "branches"

        def solve(self, task: Task) -> Steps[Answer]:
            first, second = yield from gather(self.branch(task), self.branch(task))
            return Answer(f"{first.content} {second.content}", first)

        def branch(self, task: Task) -> Steps[Any]:
            return (yield Ask(task.user("q")))

    record, replies = Memory(), iter("abcd")
    assert run(setting(lambda request: next(replies), Branches(), record=record)).answer == "a b"
    assert run(setting(lambda request: next(replies), Branches(), record=record)).answer == "a b"


def test_a_strategy_may_ask_for_a_verdict_or_a_score() -> None:
    class Asking(Strategy):
        name = "asking"

        def solve(self, task: Task) -> Steps[Answer]:
            node = yield Ask(task.user("q"))
            verdict = yield Check("3")
            value = yield Score(node)
            return Answer(f"{verdict.status} {value}", node)

    async def scorer(node: Any) -> float:
        return 0.25

    assert run(setting(counting, Asking(), scorer=scorer)).answer == "correct 0.25"
    with pytest.raises(SetupError, match="process reward model"):
        run(setting(counting, Asking()))


def test_a_fault_in_a_strategy_costs_its_trace_and_not_the_run() -> None:
    class Faulty(Strategy):
        name = "faulty"

        def solve(self, task: Task) -> Steps[Answer]:
            node = yield Ask(task.user("q"))
            raise ZeroDivisionError(node.content)

    trace = run(setting(counting, Faulty()))
    assert (trace.stop, trace.error.kind) == ("error", "internal")
    assert "ZeroDivisionError" in trace.error.message


def test_sampling_reaches_the_request_and_the_strategys_choice_goes_first() -> None:
    seen: list[Request] = []
    run(
        setting(
            lambda request: seen.append(request) or counting(request),
            Strawberry(temperature=0.6),
            sampling=Sampling(temperature=0.1, top_p=0.9, max_tokens=77, reasoning="low"),
        )
    )
    assert {(r.temperature, r.top_p, r.max_tokens, r.reasoning) for r in seen} == {(0.6, 0.9, 77, "low")}
    assert len({r.cache_key for r in seen}) == 1


def test_a_prompt_set_of_the_users_own_is_used() -> None:
    mine = PromptSet("mine", {**BRIEF.entries, "system": ["Be brief."], "first": "Q: {question}"})
    model = Recorded(ScriptedModel(answer=counting, spec="scripted:test"), Memory())
    trace = run(Setting(Strawberry(), mine, {"solver": model}, Verifiers()))
    assert [turn.content for turn in trace.messages[:2]] == ["Be brief.", f"Q: {PROBLEM.question}"]


class Racing(Strategy):
    """Two calls side by side; the first reply wins, the other is dropped."""

    name = "racing"

    def solve(self, task: Task) -> Steps[Answer]:
        root = task.user("q")
        group = together(*(self.ask(task.user(text, after=root)) for text in ("slow", "fast")))
        _, node = yield group
        return Answer(node.content, node)

    def ask(self, node: Any) -> Steps[Any]:
        return (yield Ask(node))


def test_a_race_that_was_won_is_not_run_again_when_it_is_replayed() -> None:
    record, asked = Memory(), []

    async def answer(request: Request) -> str:
        asked.append(request.messages[-1].content)
        if request.messages[-1].content == "slow":
            await asyncio.Event().wait()
        return "3"

    assert run(setting(answer, Racing(), record)).correct
    assert sorted(asked) == ["fast", "slow"]
    asked.clear()
    assert run(setting(answer, Racing(), record)).correct
    assert asked == []


def test_two_members_that_fail_at_once_cost_their_trace_and_leave_no_noise() -> None:
    class Both(Strategy):
        name = "both"

        def solve(self, task: Task) -> Steps[Answer]:
            root = task.user("q")
            yield from gather(self.ask(root), self.ask(root))
            return Answer("", root)

        def ask(self, node: Any) -> Steps[Any]:
            return (yield Ask(node))

    async def failing(request: Request) -> str:
        await asyncio.sleep(0)
        raise ProviderError("down", provider="scripted", kind="server", status=500)

    trace = run(setting(failing, Both()))
    assert (trace.stop, trace.error.status) == ("error", 500)


def test_whoever_listens_badly_is_no_fault_of_the_trace() -> None:
    def deaf(event: Event) -> None:
        raise OutputError("closed")

    with pytest.raises(OutputError):
        run(setting(counting, emit=deaf))


class Criticised(Strategy):
    """Three turns, each judged twice: by a critic with a prompt of its own, and in the middle of the conversation."""

    name = "criticised"

    def solve(self, task: Task) -> Steps[Answer]:
        node = task.user("q", after=task.system("Solve it."))
        for _ in range(3):
            node = yield Ask(node)
            critic = task.user(f"Judge: {node.content}", after=task.system("You judge.", channel="critic"))
            yield Ask(critic, role="critic")
            yield Ask(task.user("Are you sure?", after=node), role="critic")
            node = task.user("Next?", after=node)
        return Answer("3", node)


def test_conversations_that_begin_differently_have_cache_keys_of_their_own() -> None:
    seen: dict[str, set[str]] = {}

    def noting(request: Request) -> str:
        seen.setdefault(request.messages[0].content, set()).add(request.cache_key)
        return "ok"

    run(setting(noting, Criticised()))
    (main,), (critic,) = seen["Solve it."], seen["You judge."]
    assert critic != main
    assert critic.startswith(main)
    assert len(critic) <= 64  # what OpenAI allows


def test_traces_side_by_side_have_cache_keys_of_their_own_and_the_next_one_takes_a_warm_one() -> None:
    keys: dict[int, set[str]] = {}

    async def noting(request: Request) -> str:
        keys.setdefault(sample.get(), set()).add(request.cache_key)
        await asyncio.sleep(0)
        return counting(request)

    sample: ContextVar[int] = ContextVar("sample")
    shared = setting(noting)

    async def made(number: int) -> None:
        sample.set(number)
        await drive(shared, PROBLEM, number)

    async def both_and_then_another() -> None:
        await asyncio.gather(made(0), made(1))
        await made(2)

    asyncio.run(both_and_then_another())
    (first,), (second,), (third,) = keys[0], keys[1], keys[2]
    assert first != second
    assert third == first


class Parsing(Strategy):
    """Reads a number from its third reply; the first way to read it has a fault."""

    name = "parsing"
    fixed: bool = False

    def solve(self, task: Task) -> Steps[Answer]:
        node = task.user("q")
        for _ in range(4):
            node = yield Ask(node)
            if node.content == "Step 2." and not self.fixed:
                raise ValueError("cannot read it")
            node = task.user("next", after=node)
        return Answer("3", node)


def test_a_fixed_parser_asks_only_for_what_the_broken_one_did_not_come_to() -> None:
    record, asked = Memory(), []

    def noting(request: Request) -> str:
        asked.append(request.key)
        return counting(request)

    assert run(setting(noting, Parsing(), record)).error.kind == "internal"
    assert len(asked) == 3
    assert run(setting(noting, Parsing(fixed=True), record)).correct
    assert len(asked) == len(set(asked)) == 4


class Searching(Strategy):
    """A tree, three wide and three deep: each level is expanded side by side from the best node of the one before."""

    name = "searching"

    def solve(self, task: Task) -> Steps[Answer]:
        node = task.user("q")
        for _ in range(3):
            children = yield from gather(*(self.expand(node) for _ in range(3)))
            best = max(children, key=lambda child: child.content)
            node = task.user("next", after=best)
        return Answer("3", node)

    def expand(self, node: Any) -> Steps[Any]:
        return (yield Ask(node))


@pytest.mark.parametrize("dies_at", range(1, 10))
def test_a_search_that_was_killed_goes_on_from_its_last_reply(dies_at: int) -> None:
    record, asked, calls = Memory(), [], []

    def reply(request: Request) -> str:
        asked.append(request.key)
        return f"thought {request.seed}"

    def dying(request: Request) -> str:
        calls.append(request.key)
        if len(calls) == dies_at:
            raise KeyboardInterrupt
        return reply(request)

    with pytest.raises(KeyboardInterrupt):
        run(setting(dying, Searching(), record))
    trace = run(setting(reply, Searching(), record))
    assert len(asked) == len(set(asked)) == 9
    assert len(record.replies) == 9
    assert trace.messages == run(setting(reply, Searching(), record)).messages
