"""When a request may be sent. Time is virtual: an hour of waiting costs nothing, and every wait is exact."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from openstrawberry.chat import Message, Reply, Request, Usage
from openstrawberry.errors import ErrorKind, ProviderError
from openstrawberry.models.gate import LATEST, Gate, Pace
from openstrawberry.models.limits import Limited
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.retry import Retrying, RetryPolicy
from tests.servers.limiter import SlidingWindow, TokenBucket
from tests.virtual import now, virtually

REQUEST = Request((Message(role="user", content="How many?"),))
NOON = 1_795_262_400.0  # 2026-11-21 12:00 UTC


NO_PACE, NO_USAGE = Pace(), Usage()


def gate(ceiling: int = 64, pace: Pace = NO_PACE, provider: str = "openai") -> Gate:
    clock = asyncio.get_running_loop().time
    return Gate(provider, ceiling, pace, patience=900.0, clock=clock, wall=lambda: NOON + clock())


def busy(
    kind: ErrorKind = "rate_limit", retry_after: float | None = None, message: str = "Slow down."
) -> ProviderError:
    status = 429 if kind in ("rate_limit", "quota") else 503
    return ProviderError(message, provider="openai", kind=kind, status=status, retry_after=retry_after, hint="Wait.")


class Provider:
    """Answers after `latency` seconds what `ask` lets through, and refuses the rest at once."""

    def __init__(
        self,
        ask: Callable[[float], float] = lambda _: 0.0,
        latency: float = 0.3,
        whole_seconds: bool = False,
        usage: Usage = NO_USAGE,
    ) -> None:
        self.ask, self.latency, self.whole_seconds, self.usage = ask, latency, whole_seconds, usage
        self.sent: list[float] = []
        self.passed: list[float] = []
        self.refused: list[tuple[float, float]] = []
        self.flying = self.most = 0
        self.gate: Gate | None = None
        self.headers: Callable[[], Mapping[str, str]] = dict

    async def __call__(self, request: Request) -> Reply:
        self.sent.append(now())
        wait = self.ask(now())
        if self.gate is not None:
            self.gate.heard(self.headers())
        if wait > 0:
            wait = float(int(wait) + 1) if self.whole_seconds else wait
            self.refused.append((now(), now() + wait))
            raise busy(retry_after=wait)
        self.passed.append(now())
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.flying -= 1
        return Reply(content="ok", finish_reason="stop", usage=self.usage)

    @property
    def too_early(self) -> int:
        """How many requests came after a refusal and before its wait was over."""
        return sum(refused < sent < until - 1e-9 for refused, until in self.refused for sent in self.sent)


async def used(provider: Provider, gate: Gate, seconds: float, traces: int = 64) -> None:
    """`traces` conversations that ask one thing after the other for so long."""
    clock = asyncio.get_running_loop().time
    policy = RetryPolicy(attempts=1000, total=1e9)
    model = Retrying(Limited(ScriptedModel(answer=provider), gate), policy, clock=clock, proven=True)

    async def trace() -> None:
        while True:
            await model.complete(REQUEST)

    tasks = [asyncio.create_task(trace()) for _ in range(traces)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    assert [str(error) for error in await asyncio.gather(*tasks, return_exceptions=True) if str(error)] == []


def most_in(times: list[float], window: float) -> int:
    """The most of `times` that lie within any `window` seconds."""
    first = most = 0
    for last, time in enumerate(times):
        while time - times[first] >= window - 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


# Pacing.


@pytest.mark.parametrize("limit", [1, 5, 50, 59, 60, 600])
def test_no_minute_has_more_requests_than_allowed_and_nearly_all_are_used(limit: int) -> None:
    async def work() -> list[float]:
        provider = Provider()
        await used(provider, gate(pace=Pace(requests_per_minute=limit)), 300, traces=8)
        return provider.sent

    sent = virtually(work)
    assert most_in(sent, 60) <= limit
    assert len(sent) >= 0.95 * limit * 5


def test_tokens_are_paced_by_what_replies_really_took() -> None:
    usage = Usage(input=900, output=100)  # far more than the characters suggest

    async def work() -> list[float]:
        provider = Provider(usage=usage)
        await used(provider, gate(pace=Pace(tokens_per_minute=60_000)), 900, traces=8)
        return provider.sent

    later = [time for time in virtually(work) if time >= 300]
    assert 0.95 * 60 <= len(later) / 10 <= 60


def test_a_request_larger_than_a_second_of_tokens_passes_and_is_paid_off() -> None:
    async def work() -> list[float]:
        provider = Provider(usage=Usage(input=5_000, output=1_000))
        await used(provider, gate(pace=Pace(tokens_per_minute=6_000)), 600, traces=1)
        return provider.sent

    assert 9 <= len(virtually(work)) <= 11


Strict = Callable[[], "TokenBucket | SlidingWindow"]
STRICT: dict[str, Strict] = {
    "bucket": lambda: TokenBucket(10, 10),
    "ten seconds": lambda: SlidingWindow(100, 10),
    "a minute": lambda: SlidingWindow(600, 60),
}


@pytest.mark.parametrize("whole_seconds", [False, True], ids=["exact", "whole seconds"])
@pytest.mark.parametrize("headers", [True, False], ids=["headers", "silent"])
@pytest.mark.parametrize("strict", STRICT.values(), ids=STRICT)
def test_a_strict_provider_is_used_to_the_full_and_never_asked_too_early(
    strict: Strict, headers: bool, whole_seconds: bool
) -> None:
    async def work() -> Provider:
        limit, mine = strict(), gate()
        provider = Provider(limit.ask, whole_seconds=whole_seconds)
        if headers:
            provider.gate = mine
            provider.headers = lambda: {
                "x-ratelimit-limit-requests": "600",
                "x-ratelimit-remaining-requests": str(limit.remaining),
            }
        await used(provider, mine, 120, traces=32)
        return provider

    provider = virtually(work)
    assert len(provider.passed) >= 0.95 * 1200
    assert provider.too_early == 0


# Slots.


async def flown(mine: Gate, count: int) -> list[object]:
    return [await mine.enter(REQUEST) for _ in range(count)]


def test_no_more_are_on_their_way_than_the_ceiling_allows() -> None:
    async def work() -> int:
        provider = Provider()
        await used(provider, gate(ceiling=5), 60, traces=20)
        return provider.most

    assert virtually(work) == 5


@pytest.mark.parametrize("kind", ["rate_limit", "overloaded"])
def test_slots_are_halved_once_for_all_that_was_sent_before(kind: ErrorKind) -> None:
    async def work() -> list[float]:
        mine = gate(ceiling=64)
        permits = await flown(mine, 64)
        seen = [mine.slots]
        for permit in permits:
            mine.failed(permit, busy(kind))
            seen.append(mine.slots)
        permits = await flown(mine, 32)
        mine.failed(permits[0], busy(kind))
        return [*seen, mine.slots]

    assert virtually(work) == [64] + [32] * 64 + [16]


@pytest.mark.parametrize("kind", ["server", "connection", "timeout", "malformed", "bad_request"])
def test_other_failures_take_no_slots(kind: ErrorKind) -> None:
    async def work() -> float:
        mine = gate(ceiling=8)
        for _ in range(3):
            (permit,) = await flown(mine, 1)
            mine.failed(permit, busy(kind))
        return mine.slots

    assert virtually(work) == 8


def test_slots_never_fall_below_one_and_grow_back_to_the_ceiling_while_replies_are_clean() -> None:
    async def work() -> tuple[float, float, int]:
        mine = gate(ceiling=16)
        for _ in range(10):
            (permit,) = await flown(mine, 1)
            mine.failed(permit, busy())
        least, replies = mine.slots, 0
        while mine.slots < 16:
            for permit in await flown(mine, int(mine.slots)):
                mine.answered(permit, Usage())
                replies += 1
        return least, mine.slots, replies

    least, most, replies = virtually(work)
    assert (least, most) == (1, 16)
    assert 100 < replies < 160  # a slot for each round of replies


def test_replies_to_what_was_sent_before_a_cut_are_no_sign_that_it_is_over() -> None:
    async def work() -> float:
        mine = gate(ceiling=8)
        first, *others = await flown(mine, 8)
        mine.failed(first, busy())
        for permit in others:
            mine.answered(permit, Usage())
        return mine.slots

    assert virtually(work) == 4


# Retry-After.


def test_a_retry_after_holds_everybody_for_exactly_as_long_and_is_waited_once() -> None:
    async def work() -> tuple[list[float], list[float], float]:
        provider = Provider(lambda at: 7.25 if at == 0 else 0.0, latency=1)
        retries: list[float] = []
        model = Retrying(
            Limited(ScriptedModel(answer=provider), gate()),
            clock=asyncio.get_running_loop().time,
            on_retry=lambda error, attempt, wait: retries.append(wait),
        )
        first = asyncio.create_task(model.complete(REQUEST))
        await asyncio.sleep(2)
        await asyncio.gather(first, *(model.complete(REQUEST) for _ in range(3)))
        return retries, provider.sent, now()

    retries, sent, ended = virtually(work)
    assert retries == [7.25]
    assert sent == [0, 7.25, 8.25, 8.25, 8.25]
    assert ended == 9.25


def test_the_longest_of_several_waits_holds() -> None:
    async def work() -> float:
        mine = gate()
        for permit, wait in zip(await flown(mine, 3), (5, 30, 10), strict=True):
            mine.failed(permit, busy("overloaded", retry_after=wait))
        await mine.enter(REQUEST)
        return now()

    assert virtually(work) == 30


def test_without_a_retry_after_nobody_is_held() -> None:
    async def work() -> float:
        mine = gate()
        for permit in await flown(mine, 3):
            mine.failed(permit, busy())
        await mine.enter(REQUEST)
        return now()

    assert virtually(work) == 0


# The queue.


def test_first_come_first_served() -> None:
    order: list[int] = []

    async def one(mine: Gate, number: int) -> None:
        permit = await mine.enter(REQUEST)
        order.append(number)
        await asyncio.sleep(1)
        mine.answered(permit, Usage())

    async def work() -> None:
        mine = gate(ceiling=2, pace=Pace(requests_per_minute=30))
        await asyncio.gather(*(one(mine, number) for number in range(20)))

    virtually(work)
    assert order == list(range(20))


def test_one_slow_reply_holds_nobody_up() -> None:
    async def work() -> tuple[int, float]:
        mine = gate(ceiling=2)
        slow = await mine.enter(REQUEST)
        provider = Provider(latency=1)
        model = Limited(ScriptedModel(answer=provider), mine)
        for _ in range(50):
            await model.complete(REQUEST)
        mine.answered(slow, Usage())
        return len(provider.sent), now()

    assert virtually(work) == (50, 50)


def test_the_latencies_of_the_latest_replies_are_counted_from_their_sending() -> None:
    async def work() -> list[float]:
        mine = gate(ceiling=1)
        model = Limited(ScriptedModel(answer=Provider(latency=3)), mine)
        await asyncio.gather(model.complete(REQUEST), model.complete(REQUEST))  # the second waits for the first
        fast = Limited(ScriptedModel(answer=Provider(latency=1)), mine)
        for _ in range(LATEST - 1):
            await fast.complete(REQUEST)
        return list(mine.latencies)

    assert virtually(work) == [3.0, *[1.0] * (LATEST - 1)]


def test_whoever_gives_up_leaves_no_slot_and_no_place_in_the_queue_taken() -> None:
    async def work() -> tuple[int, int]:
        mine = gate(ceiling=4)
        provider = Provider(latency=10)
        model = Limited(ScriptedModel(answer=provider), mine)
        for round_ in range(20):
            tasks = [asyncio.create_task(model.complete(REQUEST)) for _ in range(12)]
            await asyncio.sleep(0.1 * round_)
            for task in tasks[round_ % 3 :: 2] + tasks:  # on their way, first in the queue, and behind
                task.cancel()
                await asyncio.sleep(0)
            assert all(
                isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
            )
        provider.most = 0
        await asyncio.gather(*(model.complete(REQUEST) for _ in range(8)))
        return provider.most, provider.flying

    assert virtually(work) == (4, 0)


def test_a_mistake_of_ours_gives_its_slot_back() -> None:
    def broken(request: Request) -> str:
        raise KeyError("ours")

    async def work() -> None:
        mine = gate(ceiling=1)
        model = Limited(ScriptedModel(answer=broken), mine)
        for _ in range(3):
            with pytest.raises(KeyError):
                await model.complete(REQUEST)

    virtually(work)


def test_the_latency_of_a_reply_is_the_providers_not_the_queues() -> None:
    async def work() -> list[float]:
        model = Limited(ScriptedModel(answer=Provider(latency=2)), gate(ceiling=1))
        return [reply.latency_s for reply in await asyncio.gather(*(model.complete(REQUEST) for _ in range(3)))]

    assert virtually(work) == [2, 2, 2]


def test_a_long_queue_of_our_own_wears_out_nobodys_patience() -> None:
    async def work() -> float:
        failing = iter([True, True, True] * 30)

        async def answer(request: Request) -> Reply:
            if next(failing, False):
                raise busy("server")
            return Reply(content="ok", finish_reason="stop")

        mine = gate(pace=Pace(requests_per_minute=1))
        clock = asyncio.get_running_loop().time
        model = Retrying(Limited(ScriptedModel(answer=answer), mine), RetryPolicy(), clock=clock, proven=True)
        await asyncio.gather(*(model.complete(REQUEST) for _ in range(30)))
        return now()

    assert virtually(work) > 4 * RetryPolicy().total


# What headers teach.


def test_what_the_provider_says_remains_is_all_that_is_sent() -> None:
    async def work() -> list[float]:
        mine = gate()
        mine.heard({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "3"})
        times = []
        for _ in range(6):
            await mine.enter(REQUEST)
            times.append(now())
        return times

    gap = 1 / 0.98
    assert virtually(work) == pytest.approx([0, 0, 0, gap, 2 * gap, 3 * gap])


def test_the_providers_count_of_tokens_corrects_ours() -> None:
    """Ours takes cached tokens for real ones; the provider does not count them, and says that enough remains."""

    async def work() -> float:
        mine = gate()
        headers = {"x-ratelimit-limit-tokens": "6000", "x-ratelimit-remaining-tokens": "5900"}
        for _ in range(30):
            permit = await mine.enter(REQUEST)
            mine.heard(headers)
            mine.answered(permit, Usage(input=3000, output=10))
        return now()

    assert virtually(work) < 120  # 90,000 tokens by our own count: a quarter of an hour


def test_anthropics_limits_on_tokens_read_and_written_are_kept_apart() -> None:
    async def work() -> float:
        mine = gate(provider="anthropic")
        mine.heard(
            {
                "anthropic-ratelimit-input-tokens-limit": "1000000",
                "anthropic-ratelimit-input-tokens-remaining": "1000000",
                "anthropic-ratelimit-output-tokens-limit": "600",
                "anthropic-ratelimit-output-tokens-remaining": "0",
            }
        )
        await mine.enter(replace(REQUEST, max_tokens=49))
        return now()

    assert virtually(work) == pytest.approx(5)  # 49 tokens at 98% of 600 a minute


# Quotas.


async def closed_by(mine: Gate, error: ProviderError) -> tuple[ProviderError, ProviderError]:
    """What becomes of the request that met `error`, and of one that comes after it."""
    told = mine.failed(await mine.enter(REQUEST), error)
    with pytest.raises(ProviderError) as caught:
        await mine.enter(REQUEST)
    return told, caught.value


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (busy("quota", retry_after=3 * 3600), "It resumes at 15:00 UTC: run the same command then."),
        (busy("quota", retry_after=16 * 3600), "It resumes at 04:00 UTC on 22 November: run the same command then."),
        (busy("rate_limit", retry_after=901), "It resumes at 12:16 UTC: run the same command then."),
        (busy("overloaded", retry_after=7200), "It resumes at 14:00 UTC: run the same command then."),
    ],
    ids=["a day's, today", "a day's, tomorrow", "beyond patience", "overloaded for long"],
)
def test_a_quota_says_when_it_resumes_and_nothing_is_sent_until_then(error: ProviderError, says: str) -> None:
    async def work() -> None:
        mine = gate()
        for told in await closed_by(mine, error):
            assert (told.kind, told.retryable) == ("quota", False)
            assert str(told) == f"Slow down. {says}"
        await asyncio.sleep((error.retry_after or 0) - 1)
        with pytest.raises(ProviderError, match="It resumes at"):
            await mine.enter(REQUEST)
        await asyncio.sleep(1)
        await mine.enter(REQUEST)

    virtually(work)


def test_a_days_allowance_that_is_used_up_is_known_from_headers() -> None:
    headers = {"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "57600"}

    async def work() -> ProviderError:
        mine = gate(provider="cerebras")
        mine.heard(headers)
        return (await closed_by(mine, busy()))[0]

    told = virtually(work)
    assert told.kind == "quota"
    assert "It resumes at 04:00 UTC on 22 November" in str(told)


@pytest.mark.parametrize(("left", "reset"), [("1", "86400s"), ("0", "60s")], ids=["something left", "soon back"])
def test_a_day_with_something_left_or_soon_back_is_no_quota(left: str, reset: str) -> None:
    async def work() -> ProviderError:
        mine = gate(provider="groq")
        mine.heard({"x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": reset})
        (permit,) = await flown(mine, 1)
        return mine.failed(permit, busy(retry_after=2))

    assert virtually(work).kind == "rate_limit"


def test_an_empty_account_stays_closed_with_the_providers_own_words() -> None:
    async def work() -> tuple[ProviderError, ProviderError]:
        mine = gate()
        told = await closed_by(mine, busy("quota", message="Your balance is too low."))
        await asyncio.sleep(1e6)
        with pytest.raises(ProviderError, match="balance"):
            await mine.enter(REQUEST)
        return told

    first, second = virtually(work)
    assert str(first) == str(second) == "Your balance is too low. Wait."
    assert first is not second


def test_who_waits_in_the_queue_when_the_quota_ends_does_not_wait_on() -> None:
    async def work() -> float:
        mine = gate(ceiling=1)
        (permit,) = await flown(mine, 1)
        waiting = [asyncio.create_task(mine.enter(REQUEST)) for _ in range(5)]
        await asyncio.sleep(1)
        mine.failed(permit, busy("quota", retry_after=3600))
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [getattr(end, "kind", "") for end in ends] == ["quota"] * 5
        return now()

    assert virtually(work) == 1


# What others ask before they choose.


def test_the_delay_is_known_before_it_is_waited() -> None:
    async def work() -> list[float]:
        free, paced, held, closed = gate(), gate(pace=Pace(requests_per_minute=6)), gate(), gate()
        await paced.enter(REQUEST)
        held.failed(await held.enter(REQUEST), busy(retry_after=42))
        closed.failed(await closed.enter(REQUEST), busy("quota", retry_after=3600))
        return [each.delay(REQUEST) for each in (free, paced, held, closed)]

    assert virtually(work) == pytest.approx([0, 10 / 0.98, 42, float("inf")])


def test_a_quota_resumes_when_the_last_of_its_waits_is_over() -> None:
    """A 429 may ask for a minute while the headers say that the day's allowance is back in hours."""

    async def work() -> float | None:
        mine = gate(provider="groq")
        mine.heard({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "7200s"})
        told, _ = await closed_by(mine, busy("quota", retry_after=60))
        return told.retry_after

    assert virtually(work) == 7200
