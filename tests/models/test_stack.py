"""The wrappers in their order: what holds only because one of them stands outside another. Time is virtual."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from openstrawberry.chat import Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.budget import Budget
from openstrawberry.models.gate import Gate
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.replies import Recorded
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.models.stack import Member, Money, compose
from tests.making import Journal, Memory
from tests.models.test_budget import PRICE, asked, said, worst
from tests.virtual import now, virtually


def stack(budget: Budget, *answers: Callable[[Request], Any]) -> Recorded:
    """A run's model: one member for each of `answers`, which share the load."""
    clock = asyncio.get_running_loop().time
    members = [
        Member(ScriptedModel(answer=answer, spec=f"scripted:{number}"), Gate("scripted", 64, clock=clock))
        for number, answer in enumerate(answers)
    ]
    spec = ",".join(member.model.spec for member in members)
    money = Money(lambda _: PRICE, budget)
    return compose(members, Memory(), RetryPolicy(), lambda *_: None, spec=spec, money=money)


def test_a_retry_after_holds_also_for_what_has_waited_for_money() -> None:
    """Whoever waits for room in the budget asks the limits only then: a wait that was told meanwhile counts for it."""
    closed_until, early, answered = 0.0, 0, 0

    async def provider(request: Request) -> Reply:
        nonlocal closed_until, early, answered
        early += now() < closed_until
        if answered == 3 and not closed_until:
            closed_until = now() + 30
            raise ProviderError("No.", provider="scripted", kind="rate_limit", retry_after=30, unbilled=True)
        await asyncio.sleep(5)
        answered += 1
        return said(cost=0.0)

    async def work() -> float:
        model = stack(Budget(Journal(), worst(asked())), provider)  # room for one at a time
        await asyncio.gather(*(model.complete(asked(f"key {number}")) for number in range(8)))
        return now()

    assert virtually(work) == 8 * 5 + 30
    assert (early, answered) == (0, 8)


@pytest.mark.parametrize("unbilled", [False, True], ids=["who knows", "certainly not billed"])
def test_each_attempt_at_each_member_is_counted(unbilled: bool) -> None:
    """Half of the traces go first to a member that never answers, and then to the other."""

    def lost(request: Request) -> Reply:
        raise ProviderError("Cut.", provider="scripted", kind="connection", unbilled=unbilled)

    async def work() -> set[float]:
        costs = set()
        for number in range(40):
            budget = Budget(Journal(), 1.0)
            request = replace(asked(), cache_key=f"trace {number}")
            assert (await stack(budget, lost, lambda request: said()).complete(request)).content == "Three."
            costs.add(round(budget.spent.usd or 0.0, 9))
        return costs

    attempt = 0.0 if unbilled else worst(asked())
    assert virtually(work) == {0.0005, round(0.0005 + attempt, 9)}
