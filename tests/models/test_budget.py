"""A cap that holds whatever happens to the calls under way."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from openstrawberry.chat import Message, Reply, Request, Usage
from openstrawberry.errors import ErrorKind, ProviderError, SetupError
from openstrawberry.models.budget import PER_MESSAGE, PER_REQUEST, Amount, Budget, Budgeted, Spent, most_input
from openstrawberry.models.gate import Gate
from openstrawberry.models.limits import Limited
from openstrawberry.models.prices import Price, Rate, Rates
from openstrawberry.models.providers.scripted import ScriptedModel
from tests.making import Journal

PRICE = Price(lambda moment, batch: Rates(Rate(1.0), Rate(10.0)))
QUESTION = Message(role="user", content="How many?")


def asked(key: str = "key", max_tokens: int = 100, text: str = "How many?") -> Request:
    return Request((Message(role="user", content=text),), max_tokens=max_tokens, key=key)


def said(cost: float | None = 0.0005, read: int | None = 20, written: int | None = 30) -> Reply:
    usage = Usage(input=read, output=written)
    return Reply(content="Three.", finish_reason="stop", usage=usage, cost_usd=cost)


def worst(request: Request) -> float:
    found = PRICE.worst(most_input(request), request.max_tokens)
    assert found is not None
    return found


def after(answer: Callable[[Request], Any], usd: float = 1.0) -> tuple[Amount, list[tuple[str, str, Amount]]]:
    """What is spent after one call, however it ends, and what was noted."""
    journal = Journal()
    budget = Budget(journal, usd)

    async def session() -> None:
        call = asyncio.create_task(Budgeted(ScriptedModel(answer=answer), budget, PRICE).complete(asked()))
        await asyncio.wait([call], timeout=0.05)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    asyncio.run(session())
    return budget.spent, journal.written


def failing(kind: ErrorKind, unbilled: bool) -> Callable[[Request], Any]:
    def answer(request: Request) -> Any:
        raise ProviderError("No.", provider="scripted", kind=kind, unbilled=unbilled)

    return answer


def test_a_success_is_settled_at_what_it_cost() -> None:
    assert after(lambda request: said())[0] == Amount(0.0005, 50)


def test_what_the_provider_did_not_report_is_settled_at_its_worst() -> None:
    most = Amount(worst(asked()), most_input(asked()) + 100)
    assert after(lambda request: said(cost=None, read=None, written=None))[0] == most
    assert after(lambda request: said(cost=0.25, written=None))[0] == Amount(0.25, most.tokens)


def test_a_failure_that_was_certainly_not_billed_is_settled_at_nothing_and_its_note_taken_back() -> None:
    spent, written = after(failing("rate_limit", unbilled=True))
    assert spent == Amount(0.0, 0)
    assert [what for what, _, _ in written] == ["reserve", "release"]


async def _hang(request: Request) -> Any:
    await asyncio.Event().wait()


async def _mistake(request: Request) -> Any:
    raise KeyError("ours")


@pytest.mark.parametrize("answer", [failing("timeout", False), failing("malformed", False), _hang, _mistake])
def test_an_end_that_nobody_knows_is_settled_at_its_worst_and_its_note_stays(answer: Callable[[Request], Any]) -> None:
    spent, written = after(answer)
    assert spent == Amount(worst(asked()), most_input(asked()) + 100)
    assert [what for what, _, _ in written] == ["reserve"]


def test_a_reservation_is_durable_before_anything_is_sent() -> None:
    journal = Journal()
    notes: list[int] = []

    def answer(request: Request) -> Reply:
        notes.append(len(journal.written))
        return said()

    asyncio.run(Budgeted(ScriptedModel(answer=answer), Budget(journal, 1.0), PRICE).complete(asked()))
    assert notes == [1]
    assert journal.written == [("reserve", "key", Amount(worst(asked()), most_input(asked()) + 100))]


def test_a_note_that_cannot_be_written_sends_nothing_and_spends_nothing() -> None:
    class Full(Journal):
        async def reserve(self, key: str, amount: Amount) -> None:
            raise SetupError("The disk is full: free space.")

    model, budget = ScriptedModel(answer=lambda request: said()), Budget(Full(), 1.0)
    with pytest.raises(SetupError):
        asyncio.run(Budgeted(model, budget, PRICE).complete(asked()))
    assert not model.requests
    assert budget.untouched


def test_what_does_not_fit_when_nothing_is_under_way_is_refused_and_says_what_would_do() -> None:
    model, budget = ScriptedModel(answer=lambda request: said()), Budget(Journal(), worst(asked()) / 2)
    with pytest.raises(ProviderError, match=r"\$0 is spent.*--budget-usd 0.0026\.$") as caught:
        asyncio.run(Budgeted(model, budget, PRICE).complete(asked()))
    assert (caught.value.kind, caught.value.retryable, caught.value.unbilled) == ("budget", False, True)
    assert (model.requests, budget.short) == ([], "usd")


def test_the_flag_that_is_offered_covers_the_request_that_did_not_fit() -> None:
    random = Random(3)
    for _ in range(200):
        cap, request = 10 ** random.uniform(-6, 3), asked(max_tokens=10 ** random.randrange(1, 6))
        for limits in ({"usd": cap}, {"tokens": max(1, int(cap))}):
            budget = Budget(Journal(Spent(counted_usd=cap * 0.9, counted_tokens=int(cap))), **limits)  # type: ignore[arg-type]
            try:
                asyncio.run(Budgeted(ScriptedModel(answer=lambda request: said()), budget, PRICE).complete(request))
            except ProviderError:
                flag, value = budget.more().split()
                needed = budget.spent.usd if flag == "--budget-usd" else budget.spent.tokens
                room = worst(request) if flag == "--budget-usd" else most_input(request) + request.max_tokens
                assert float(value) >= (needed or 0) + room
                assert float(value) >= 2 * (cap if flag == "--budget-usd" else int(cap)) * 0.999


def test_a_request_waits_while_calls_under_way_may_make_room() -> None:
    """Room for two at a time; each really takes a twentieth of what it reserves."""
    open_now: list[int] = []
    most: list[int] = []

    async def answer(request: Request) -> Reply:
        open_now.append(1)
        most.append(len(open_now))
        await asyncio.sleep(0)
        open_now.pop()
        return said(worst(asked()) / 20)

    budget = Budget(Journal(), worst(asked()) * 2.5)
    model = Budgeted(ScriptedModel(answer=answer), budget, PRICE)

    async def session() -> list[Any]:
        calls = [model.complete(asked(str(number))) for number in range(60)]
        return await asyncio.gather(*calls, return_exceptions=True)

    ended = asyncio.run(session())
    made = [reply for reply in ended if isinstance(reply, Reply)]
    refused = [error for error in ended if isinstance(error, ProviderError)]
    assert len(made) + len(refused) == 60
    assert max(most) == 2
    assert len(made) == 31  # the 32nd would need a whole reservation where 0.95 of one is left
    assert all(error.kind == "budget" for error in refused)
    assert budget.spent.usd == pytest.approx(31 / 20 * worst(asked()))


def test_a_large_request_is_not_overtaken_for_ever_by_small_ones() -> None:
    order: list[str] = []
    small, large = asked("small", 10), asked("large", 1000)

    async def answer(request: Request) -> Reply:
        order.append(request.key)
        await asyncio.sleep(0)
        return said(0.0)

    model = Budgeted(ScriptedModel(answer=answer), Budget(Journal(), worst(large) + worst(small) / 2), PRICE)

    async def session() -> None:
        await asyncio.gather(*(model.complete(request) for request in (small, large, *[small] * 20)))

    asyncio.run(session())
    assert order[:2] == ["small", "large"]


def test_whoever_gives_up_waiting_leaves_the_door_open() -> None:
    async def session() -> Reply:
        budget = Budget(Journal(), worst(asked()) * 1.5)
        free = asyncio.Event()

        async def answer(request: Request) -> Reply:
            await free.wait()
            return said(0.0)

        model = Budgeted(ScriptedModel(answer=answer), budget, PRICE)
        first = asyncio.create_task(model.complete(asked("first")))
        waiting = asyncio.create_task(model.complete(asked("waiting")))
        third = asyncio.create_task(model.complete(asked("third")))
        await asyncio.sleep(0.01)
        waiting.cancel()
        free.set()
        await first
        return await third

    assert asyncio.run(session()).content == "Three."


def test_tokens_are_capped_like_dollars_also_where_no_price_is_known() -> None:
    room = most_input(asked()) + 100
    budget = Budget(Journal(), tokens=room + 60)
    model = Budgeted(ScriptedModel(answer=lambda request: said(None)), budget, None)
    asyncio.run(model.complete(asked()))
    assert budget.spent == Amount(0.0, 50)
    asyncio.run(model.complete(asked()))
    with pytest.raises(ProviderError, match="tokens does not cover another request: 100 are spent"):
        asyncio.run(model.complete(asked()))
    assert budget.short == "tokens"


def test_what_was_spent_before_counts_and_what_nobody_can_count_is_refused() -> None:
    assert Budget(Journal(Spent(counted_usd=0.75, counted_tokens=9)), 1.0).spent == Amount(0.75, 9)
    unknown = Spent(unpriced=3, counted_usd=None, counted_tokens=None)
    with pytest.raises(SetupError, match="in dollars is not known"):
        _ = Budget(Journal(unknown), 1.0).spent
    with pytest.raises(SetupError, match="in tokens is not known"):
        _ = Budget(Journal(unknown), tokens=10).spent


@pytest.mark.parametrize("text", ["", "abc", "ä", "漢字", "🍓" * 50, "x" * 10_000])
def test_the_bound_on_input_is_bytes_and_something_for_the_template(text: str) -> None:
    thought = Message(role="assistant", content=text, reasoning=text)
    request = Request((QUESTION, thought), response_schema={"type": "object"})
    expected = PER_REQUEST + 2 * PER_MESSAGE + len("How many?") + 2 * len(text.encode()) + len('{"type": "object"}')
    assert most_input(request) == expected


def test_a_thousand_random_calls_never_pass_the_cap_and_nearly_use_it() -> None:
    """Every way in which a call can end, at random; the bill is what a provider would write."""
    random, bill = Random(7), [0.0]

    async def answer(request: Request) -> Reply:
        await asyncio.sleep(0)
        end = random.random()
        if end < 0.1:
            raise ProviderError("Busy.", provider="scripted", kind="overloaded", unbilled=True)
        cost = worst(request) * random.random()
        bill[0] += cost
        if end < 0.2:
            raise ProviderError("Cut.", provider="scripted", kind="connection")
        return said(None if end < 0.25 else cost)

    cap = 250 * worst(asked())
    model = Budgeted(ScriptedModel(answer=answer), Budget(Journal(), cap), PRICE)

    async def worker(number: int) -> None:
        for step in range(16):
            with_key: Awaitable[Reply] = model.complete(asked(f"{number}/{step}", 1 + random.randrange(100)))
            await asyncio.gather(with_key, return_exceptions=True)

    async def session() -> None:
        await asyncio.gather(*(worker(number) for number in range(64)))

    asyncio.run(session())
    assert 0.7 * cap < bill[0] <= cap


def test_whoever_gives_up_in_the_queue_of_the_limits_has_spent_nothing() -> None:
    async def session() -> tuple[Amount, list[str], int]:
        journal, model = Journal(), ScriptedModel(answer=_hang)
        budget = Budget(journal, 1.0)
        capped = Budgeted(Limited(model, Gate("scripted", 1)), budget, PRICE)
        first = asyncio.create_task(capped.complete(asked("first")))
        second = asyncio.create_task(capped.complete(asked("second")))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        spent = [what for what, key, _ in journal.written if key == "second"]
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return budget.spent, spent, len(model.requests)

    spent, second, sent = asyncio.run(session())
    assert (second, sent) == (["reserve", "release"], 1)
    assert spent == Amount(worst(asked()), most_input(asked()) + 100)  # only the first, whose end nobody knows


def test_what_a_used_up_quota_keeps_back_costs_nothing() -> None:
    def empty(request: Request) -> Reply:
        raise ProviderError("No.", provider="scripted", kind="quota", retry_after=7200, unbilled=True)

    async def session() -> list[str]:
        journal = Journal()
        model = ScriptedModel(answer=empty)
        capped = Budgeted(Limited(model, Gate("scripted", 4)), Budget(journal, 1.0), PRICE)
        for key in ("first", "second"):
            with pytest.raises(ProviderError) as caught:
                await capped.complete(asked(key))
            assert caught.value.unbilled
        assert len(model.requests) == 1
        return [f"{what} {key}" for what, key, _ in journal.written]

    assert asyncio.run(session()) == ["reserve first", "release first", "reserve second", "release second"]
