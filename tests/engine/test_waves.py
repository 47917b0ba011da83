"""Waves of batches: who goes with which wave, what is asked again, and when it is asked live."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from openstrawberry.chat import Message, OnDelta, Reply, Request
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.engine.events import Batched, Event
from openstrawberry.engine.plan import Plan
from openstrawberry.engine.waves import Roster, Waves
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.batch import BatchApi, BatchLimits, batches_of
from openstrawberry.models.model import Model
from openstrawberry.models.registry import open_model
from openstrawberry.models.replies import Recorded
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.models.stack import compose
from openstrawberry.prompts import load_prompts
from openstrawberry.store.run import RunDirectory
from openstrawberry.store.summary import Summary
from openstrawberry.strategies.strategy import Answer as Result
from openstrawberry.strategies.strategy import Ask, Steps, Strategy, Task, together
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.engine.batch_runs import QUICK, WIRES, finish, open_run
from tests.making import PROBLEM
from tests.servers.batches import Batch, BatchServer, Conversation, stepping, turns_of
from tests.servers.dialects import Said, failure
from tests.servers.http import Answer, Server

every_dialect = pytest.mark.parametrize("dialect", WIRES)


def run(
    folder: Path,
    handler: BatchServer,
    traces: int,
    emit: Callable[[Event], None] = lambda event: None,
    plan: Plan = QUICK,
    **fields: Any,
) -> Summary:
    """A whole batch run against `handler`."""

    async def session() -> Summary:
        async with Server(handler, keep=False) as server:
            return await finish(open_run(folder, handler.dialect, server.url, traces, emit, plan, **fields))

    return asyncio.run(session())


@every_dialect
def test_all_traces_advance_one_turn_per_wave(tmp_path: Path, dialect: str) -> None:
    handler = BatchServer(dialect, stepping(4))
    summary = run(tmp_path, handler, traces=6)
    assert (summary.statuses, summary.replies_asked) == ({"correct": 6}, 24)
    assert handler.sizes == [5, 6, 6, 6]  # the first request of all was asked live
    assert len(handler.live) == 1
    assert max(handler.asked.values()) == 1


def test_200_traces_of_10_turns_take_10_waves(tmp_path: Path) -> None:
    handler = BatchServer("openai", stepping(10))
    summary = run(tmp_path, handler, traces=200)
    assert summary.statuses == {"correct": 200}
    assert handler.sizes == [199, *[200] * 9]


def test_the_end_of_a_download_lets_the_next_wave_go_at_once(tmp_path: Path) -> None:
    """500 replies are handed out together: nobody asks any more when the download ends."""
    handler = BatchServer("openai", stepping(3))
    summary = run(tmp_path, handler, traces=500, plan=replace(QUICK, patience=3600.0))
    assert summary.statuses == {"correct": 500}
    assert handler.sizes == [499, 500, 500]


def test_traces_that_finish_early_leave_and_make_room(tmp_path: Path) -> None:
    def uneven(conversation: Conversation, key: str) -> Said:
        short = "Question 0?" in str(conversation) or "Question 1?" in str(conversation)
        return Said("<final_answer>3</final_answer>" if turns_of(conversation) >= (1 if short else 3) else "A step.")

    handler = BatchServer("openai", uneven)
    summary = run(tmp_path, handler, traces=6, concurrency=4)
    assert summary.statuses == {"correct": 6}
    # four traces of 2, 2, 4 and 4 turns; two of 4 turns come in when the short ones have gone
    assert handler.sizes == [3, 4, 4, 4, 2, 2]


class Members(Strategy):
    """Two sub-conversations of unequal length, side by side."""

    name: ClassVar[str] = "members"

    def solve(self, task: Task) -> Steps[Result]:
        group = together(*(self.member(task, turns) for turns in (2, 4)))
        for _ in range(2):
            _, node = yield group
        return Result("3", node)

    def member(self, task: Task, turns: int) -> Steps[Any]:
        node = task.user(f"Question of {turns}?")
        for _ in range(turns):
            node = yield Ask(node)
            node = task.user("Go on.", after=node)
        return node.parent


@dataclass
class Limited:
    """A provider's batch API with limits of our own."""

    api: BatchApi
    limits: BatchLimits

    def __getattr__(self, name: str) -> Any:
        return getattr(self.api, name)


class Watched:
    """Stands before the way into a batch, as a budget would, and notes how each attempt ends."""

    def __init__(self, model: Model, ends: list[str]) -> None:
        self.model = model
        self.ends = ends
        self.spec = model.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        try:
            reply = await self.model.complete(request, on_delta)
        except ProviderError as error:
            self.ends.append("free" if getattr(error, "unbilled", False) else "paid")
            raise
        self.ends.append("reply")
        return reply

    async def close(self) -> None:
        await self.model.close()


async def by_hand(
    folder: Path,
    handler: BatchServer,
    work: Callable[[Recorded, Roster], Any],
    limits: BatchLimits | None = None,
    around: Callable[[Model], Model] = lambda door: door,
    proven: bool = True,
    before: Callable[[Model], Model] = lambda model: model,
) -> Any:
    """Runs `work` with a model whose batches have `limits`."""
    wire = WIRES[handler.dialect]
    async with Server(handler, keep=False) as server:
        model = open_model(wire.spec, wire.settings(server.url))
        api: Any = Limited(batches_of(model), limits or batches_of(model).limits)
        directory, roster = RunDirectory(folder / "run", {}, {}), Roster()

        def waves(live: Any) -> Waves:
            return Waves(live, api, directory.batches, directory, roster, QUICK, around, proven)

        recorded = compose(before(model), directory, RetryPolicy(), lambda *_: None, waves=waves)
        try:
            return await work(recorded, roster)
        finally:
            await recorded.close()
            await directory.close()


def numbered(number: int, text: str = "Question?") -> Request:
    return Request((Message(role="user", content=text),), key=f"{number:032x}")


def test_several_asks_of_one_trace_go_with_the_same_wave(tmp_path: Path) -> None:
    handler = BatchServer("openai", stepping(99))
    strategy = Members()

    async def work(model: Recorded, roster: Roster) -> list[Trace]:
        setting = Setting(strategy, load_prompts("strawberry", "full", None), {"solver": model}, Verifiers())

        async def one(sample: int) -> Trace:
            with roster.trace():
                return await drive(setting, PROBLEM, sample)

        return list(await asyncio.gather(*(one(sample) for sample in range(3))))

    traces = asyncio.run(by_hand(tmp_path, handler, work))
    assert [trace.stop for trace in traces] == ["final_answer"] * 3
    assert handler.sizes == [6, 6, 3, 3]


def test_a_wave_is_split_by_the_number_of_its_requests(tmp_path: Path) -> None:
    handler = BatchServer("openai")

    async def work(model: Recorded, roster: Roster) -> list[Reply]:
        return list(await asyncio.gather(*(model.complete(numbered(number)) for number in range(8))))

    assert len(asyncio.run(by_hand(tmp_path, handler, work, BatchLimits(3, 10**9)))) == 8
    assert handler.sizes == [3, 3, 2]


@every_dialect
def test_a_wave_is_split_by_its_bytes(tmp_path: Path, dialect: str) -> None:
    handler = BatchServer(dialect)

    async def work(model: Recorded, roster: Roster) -> list[Reply]:
        texts = ["x" * 4000, "é" * 1000, "short", '"' * 3000, "y" * 9000]
        return list(await asyncio.gather(*(model.complete(numbered(n, text)) for n, text in enumerate(texts))))

    assert len(asyncio.run(by_hand(tmp_path, handler, work, BatchLimits(100, 10_000)))) == 5
    assert sum(handler.sizes) == 5
    assert len(handler.sizes) in (3, 4)
    assert max(batch.size for batch in handler.batches.values()) <= 10_500  # the envelope comes on top


@every_dialect
def test_only_what_expired_is_asked_again(tmp_path: Path, dialect: str) -> None:
    seen: Counter[str] = Counter()

    def forgetful(conversation: Conversation, key: str) -> Said | None:
        seen[key] += 1
        expires = key and ("Question 1?" in str(conversation) or "Question 2?" in str(conversation))
        if expires and turns_of(conversation) == 0 and seen[key] == 1:
            return None
        return stepping(2)(conversation, key)

    handler = BatchServer(dialect, forgetful)
    summary = run(tmp_path, handler, traces=5)
    assert summary.statuses == {"correct": 5}
    # the two that expired join the second turn of the others, and are one turn late
    assert handler.sizes == [4, 5, 2]
    assert sorted(handler.asked.values()) == [1] * 7 + [2] * 2


def test_errors_that_pass_are_asked_again_and_others_cost_their_trace(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def troubled(conversation: Conversation, key: str) -> Said | Answer:
        seen[key] += 1
        if "Question 1?" in str(conversation) and seen[key] == 1:
            return failure("openai", 503, "busy")
        if "Question 2?" in str(conversation):
            return failure("openai", 400, "this one I do not like")
        if "Question 3?" in str(conversation) and seen[key] == 1:
            return Said("")  # nothing at all is no reply
        return stepping(1)(conversation, key)

    handler = BatchServer("openai", troubled)
    summary = run(tmp_path, handler, traces=5)
    assert (summary.statuses, summary.failed) == ({"correct": 4}, 1)
    assert "this one I do not like" in summary.first_error
    assert handler.sizes == [4, 2]


def test_what_never_comes_is_given_up_after_its_attempts(tmp_path: Path) -> None:
    handler = BatchServer("openai", lambda conversation, key: None if key else Said("<final_answer>3</final_answer>"))
    summary = run(tmp_path, handler, traces=3)
    assert (summary.statuses, summary.failed) == ({"correct": 1}, 2)
    assert "unanswered, batch after batch" in summary.first_error
    assert handler.sizes == [2, 2, 2]


def test_a_budget_sees_every_attempt_and_what_it_may_have_cost(tmp_path: Path) -> None:
    ends: list[str] = []
    seen: Counter[str] = Counter()

    def troubled(conversation: Conversation, key: str) -> Said | None:
        seen[key] += 1
        if key == f"{1:032x}" and seen[key] == 1:
            return None
        if key == f"{2:032x}" and seen[key] == 1:
            return Said("")
        return Said("A step.")

    async def work(model: Recorded, roster: Roster) -> list[Reply]:
        return list(await asyncio.gather(*(model.complete(numbered(number)) for number in range(4))))

    handler = BatchServer("openai", troubled)
    around = partial(Watched, ends=ends)
    replies = asyncio.run(by_hand(tmp_path, handler, work, None, around, proven=False))
    assert [reply.content for reply in replies] == ["A step."] * 4
    # one was asked live, before all others; one expired, one came empty; then three had their replies
    assert Counter(ends) == {"free": 1, "paid": 1, "reply": 3}


def test_what_stands_before_the_door_may_let_requests_in_one_by_one(tmp_path: Path) -> None:
    """As a budget does that has room for two: the first request, which is asked live, must not wait behind them."""
    room = asyncio.Semaphore(2)

    class Narrow(Watched):
        async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
            async with room:
                return await super().complete(request, on_delta)

    async def work(model: Recorded, roster: Roster) -> list[Reply]:
        return list(await asyncio.gather(*(model.complete(numbered(number)) for number in range(7))))

    handler = BatchServer("openai", stepping(1))
    narrow = partial(Narrow, ends=[])
    assert len(asyncio.run(by_hand(tmp_path, handler, work, None, narrow, proven=False, before=narrow))) == 7
    assert handler.sizes == [2, 2, 2]


def test_a_first_request_that_must_be_asked_again_still_goes_before_all_others(tmp_path: Path) -> None:
    """The others wait with it: else they fill a budget that its second attempt needs."""
    room = asyncio.Semaphore(2)
    first = iter([True])

    class Narrow(Watched):
        async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
            async with room:
                if next(first, False):
                    raise ProviderError("Slow down.", provider="openai", kind="rate_limit", retry_after=0.01)
                return await super().complete(request, on_delta)

    async def work(model: Recorded, roster: Roster) -> list[Reply]:
        return list(await asyncio.gather(*(model.complete(numbered(number)) for number in range(7))))

    narrow = partial(Narrow, ends=[])
    handler = BatchServer("openai", stepping(1))
    assert len(asyncio.run(by_hand(tmp_path, handler, work, None, narrow, proven=False, before=narrow))) == 7


@pytest.mark.parametrize("dialect", ["openai", "azure", "groq", "mistral"])
def test_a_batch_that_fails_as_a_whole_is_the_set_up_if_no_batch_has_worked(tmp_path: Path, dialect: str) -> None:
    handler = BatchServer(dialect, turn_down=lambda batch: ("invalid", "This model takes no batches."))
    with pytest.raises(SetupError, match="This model takes no batches"):
        run(tmp_path, handler, traces=4)
    assert handler.sizes == [3]


def test_a_batch_that_fails_later_costs_its_traces(tmp_path: Path) -> None:
    def once(batch: Batch) -> tuple[str, str] | None:
        return ("invalid", "Something is wrong.") if batch.id.endswith("4") else None  # files are counted too

    handler = BatchServer("openai", stepping(3), turn_down=once)
    summary = run(tmp_path, handler, traces=4)
    assert summary.failed == 4
    assert "Something is wrong." in summary.first_error
    handler.turn_down = lambda batch: None
    healed = run(tmp_path, handler, traces=4)
    assert (healed.failed, healed.statuses) == (0, {"correct": 4})


def test_a_queue_that_is_full_takes_smaller_batches_one_after_the_other(tmp_path: Path) -> None:
    most = 0

    def small(batch: Batch) -> tuple[str, str] | None:
        nonlocal most
        running = [other for other in handler.batches.values() if other.state == "running"]
        most = max(most, sum(len(other.rows) for other in running if len(other.rows) <= 3))
        total = sum(len(other.rows) for other in running)
        return ("token_limit_exceeded", "Enqueued token limit reached.") if total > 3 else None

    handler = BatchServer("openai", turn_down=small)
    summary = run(tmp_path, handler, traces=9)
    assert (summary.statuses, summary.failed) == ({"correct": 9}, 0)
    assert handler.sizes == [8, 4, 2, 2, 2, 2]
    assert most <= 3


@pytest.mark.parametrize(("status", "told"), [(401, "OPENAI_API_KEY"), (404, "--model")])
def test_a_wrong_key_or_model_shows_before_any_batch_is_made(tmp_path: Path, status: int, told: str) -> None:
    handler = BatchServer("openai", lambda conversation, key: failure("openai", status, "no"))
    with pytest.raises(SetupError, match=told):
        run(tmp_path, handler, traces=4)
    assert not handler.batches
    assert not (tmp_path / "run").exists()


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)
        await asyncio.sleep(0)


@every_dialect
def test_what_is_late_is_cancelled_and_asked_live(tmp_path: Path, dialect: str) -> None:
    time, events = Time(), list[tuple[float, Batched]]()

    def note(event: Event) -> None:
        if isinstance(event, Batched):
            events.append((time.now, event))

    handler = BatchServer(dialect, stepping(3), polls=10**9)
    plan = Plan(linger=0.02, clock=time, sleep=time.sleep)
    summary = run(tmp_path, handler, 9, note, plan, deadline=8)
    assert (summary.statuses, summary.failed) == ({"correct": 9}, 0)
    assert handler.sizes == [8]
    assert handler.cancels == 1
    # one request went ahead; of the eight in the batch four were answered before it was cancelled
    assert len(handler.live) == 1 + 4 + 18
    (cancelled,) = [moment - 1_000_000 for moment, event in events if event.state == "cancelled"]
    assert 6 * 3600 <= cancelled <= 6 * 3600 + 60


def test_a_deadline_that_is_kept_asks_nothing_live(tmp_path: Path) -> None:
    time = Time()
    handler = BatchServer("openai", stepping(3), polls=10)
    summary = run(tmp_path, handler, 5, plan=Plan(linger=0.02, clock=time, sleep=time.sleep), deadline=8)
    assert summary.statuses == {"correct": 5}
    assert (handler.sizes, handler.cancels, len(handler.live)) == ([4, 5, 5], 0, 1)


def test_looks_at_a_batch_become_rare(tmp_path: Path) -> None:
    time = Time()
    handler = BatchServer("openai", polls=400)
    run(tmp_path, handler, 3, plan=Plan(linger=0.02, clock=time, sleep=time.sleep))
    assert 390 * 60 < time.now - 1_000_000 < 400 * 60


def test_a_deadline_without_batches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="--engine batch"):
        open_run(tmp_path, "openai", "http://127.0.0.1:9", 1, engine="live", deadline=3.0)
    assert not (tmp_path / "run").exists()


def test_a_provider_that_is_away_for_a_while_costs_no_batch(tmp_path: Path) -> None:
    inner = BatchServer("openai", stepping(2), polls=3)
    looks = 0

    def flaky(received: Any) -> Answer:
        nonlocal looks
        if received.method == "GET" and "/batches/" in received.path:
            looks += 1
            if looks % 3:
                return Answer(fault="reset") if looks % 2 else failure("openai", 503, "busy")
        return inner(received)

    async def session() -> Summary:
        async with Server(flaky, keep=False) as server:
            return await finish(open_run(tmp_path, "openai", server.url, 4, plan=replace(QUICK, outage=60.0)))

    summary = asyncio.run(session())
    assert (summary.statuses, summary.failed) == ({"correct": 4}, 0)
    assert inner.sizes == [3, 4]


@every_dialect
def test_a_submission_whose_answer_is_lost_is_looked_for_and_not_repeated(tmp_path: Path, dialect: str) -> None:
    inner = BatchServer(dialect, stepping(2))
    lost = 0

    def losing(received: Any) -> Answer:
        nonlocal lost
        before = len(inner.batches)
        answer = inner(received)
        if len(inner.batches) > before:
            lost += 1
            return Answer(fault="reset")
        return answer

    async def session() -> Summary:
        async with Server(losing, keep=False) as server:
            return await finish(open_run(tmp_path, dialect, server.url, 4))

    summary = asyncio.run(session())
    assert (summary.statuses, summary.failed) == ({"correct": 4}, 0)
    assert inner.sizes == [3, 4]
    assert lost == 2
    assert max(inner.asked.values()) == 1


@every_dialect
def test_a_download_that_breaks_off_is_begun_again(tmp_path: Path, dialect: str) -> None:
    inner = BatchServer(dialect, stepping(2), stage="downloading")

    def cutting(received: Any) -> Answer:
        answer = inner(received)
        return replace(answer, fault="cut") if answer.fault == "stall" else answer

    async def session() -> Summary:
        async with Server(cutting, keep=False) as server:
            return await finish(open_run(tmp_path, dialect, server.url, 6, plan=replace(QUICK, linger=0.1)))

    summary = asyncio.run(session())
    assert (summary.statuses, summary.failed, summary.replies_asked) == ({"correct": 6}, 0, 12)
    assert max(inner.asked.values()) == 1


def test_a_file_that_azure_is_still_reading_is_waited_for_and_sent_once(tmp_path: Path) -> None:
    handler = BatchServer("azure", stepping(1))
    handler.unread = 2
    summary = run(tmp_path, handler, traces=4)
    assert (summary.statuses, summary.failed) == ({"correct": 4}, 0)
    assert (handler.sizes, len(handler.files)) == ([3], 1)


def test_results_that_are_no_longer_to_be_had_are_asked_again(tmp_path: Path) -> None:
    class Archive(BatchServer):
        def _polled(self, batch: Batch) -> None:
            super()._polled(batch)
            self.archived = len(self.batches) == 1

    handler = Archive("anthropic", stepping(1))
    summary = run(tmp_path, handler, traces=4)
    assert (summary.statuses, summary.failed) == ({"correct": 4}, 0)
    assert handler.sizes == [3, 3]


def test_a_batch_that_may_have_been_taken_is_waited_for_before_it_is_handed_over_again(tmp_path: Path) -> None:
    """The answer to a submission is lost, and the provider lists what it has taken only after a while."""
    time, listed_from = Time(), 0.0

    class Slow(BatchServer):
        def _job(self, batch: Batch) -> dict[str, Any]:
            return {**super()._job(batch), **({"metadata": {}} if time.now < listed_from else {})}

    inner = Slow("openai", stepping(1))

    def losing(received: Any) -> Answer:
        nonlocal listed_from
        before = len(inner.batches)
        answer = inner(received)
        if len(inner.batches) > before:
            listed_from = time.now + 45
            return Answer(fault="reset")
        return answer

    async def session() -> Summary:
        async with Server(losing, keep=False) as server:
            plan = Plan(linger=0.02, clock=time, sleep=time.sleep)
            return await finish(open_run(tmp_path, "openai", server.url, 4, plan=plan))

    summary = asyncio.run(session())
    assert (summary.statuses, summary.failed) == ({"correct": 4}, 0)
    assert inner.sizes == [3]


def test_a_batch_that_is_not_known_yet_just_after_it_was_taken_is_not_handed_over_again(tmp_path: Path) -> None:
    time, looks = Time(), 0
    inner = BatchServer("openai", stepping(1))

    def slow(received: Any) -> Answer:
        nonlocal looks
        if received.method == "GET" and "/batches/" in received.path:
            looks += 1
            if looks <= 3:
                return failure("openai", 404, "no such batch")
        return inner(received)

    async def session() -> Summary:
        async with Server(slow, keep=False) as server:
            plan = Plan(linger=0.02, clock=time, sleep=time.sleep)
            return await finish(open_run(tmp_path, "openai", server.url, 4, plan=plan))

    assert asyncio.run(session()).statuses == {"correct": 4}
    assert inner.sizes == [3]


def test_a_batch_that_the_provider_has_forgotten_is_asked_again_and_counts_as_paid(tmp_path: Path) -> None:
    inner, ends = BatchServer("openai", stepping(1), polls=10**9), list[str]()

    class Forgetful(BatchServer):
        def __call__(self, received: Any) -> Answer:
            inner.polls = 10**9 if len(inner.batches) < 2 else 1
            lost = received.method == "GET" and "/batches/" in received.path and len(inner.batches) < 2
            return failure("openai", 404, "no such batch") if lost else inner(received)

    async def work(model: Recorded, roster: Roster) -> list[Reply]:
        return list(await asyncio.gather(*(model.complete(numbered(number)) for number in range(3))))

    replies = asyncio.run(by_hand(tmp_path, Forgetful("openai"), work, None, partial(Watched, ends=ends)))
    assert len(replies) == 3
    assert inner.sizes == [3, 3]
    assert Counter(ends) == {"paid": 3, "reply": 3}


def test_whoever_comes_to_a_wave_after_the_first_request_has_failed_hears_why(tmp_path: Path) -> None:
    """As one does whom a budget has kept waiting: nobody gathers that wave any more."""

    class Slow(Watched):
        async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
            await asyncio.sleep(0.05)
            return await super().complete(request, on_delta)

    async def work(model: Recorded, roster: Roster) -> list[Any]:
        asked = asyncio.gather(*(model.complete(numbered(number)) for number in range(3)), return_exceptions=True)
        return list(await asyncio.wait_for(asked, 10))

    handler = BatchServer("openai", lambda conversation, key: failure("openai", 401, "no"))
    ended = asyncio.run(by_hand(tmp_path, handler, work, None, partial(Slow, ends=[]), proven=False))
    assert [type(each) for each in ended] == [ProviderError, SetupError, SetupError]
    assert not handler.batches
