"""Hard caps on what a run spends, in dollars and in tokens.

Each attempt reserves its worst case before it is sent, and settles after: a success at what it cost, a failure that was
certainly not billed at nothing, everything else (a timeout, a cut stream, a cancelled call) at its worst. So the sum of
what is spent and what is reserved bounds every bill, whatever happens to the calls under way. Reservations are durable
before anything is sent: a run that was killed counts what it had under way when it goes on.

What this rests on: no tokenizer makes more tokens of a text than it has bytes in UTF-8, chat templates add at most
`PER_MESSAGE` and `PER_REQUEST`, and a provider writes no more than `max_tokens`. A bill beyond that is counted when it
comes.
"""

import asyncio
import itertools
import json
import math
from dataclasses import dataclass
from typing import Literal, Protocol

from openstrawberry.chat import OnDelta, Reply, Request
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.model import Model
from openstrawberry.models.prices import Price

PER_MESSAGE = 16
PER_REQUEST = 256


@dataclass(frozen=True, slots=True)
class Amount:
    """Dollars (None: unknown, where no budget in dollars is set) and tokens."""

    usd: float | None = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has spent so far, in all its commands.

    `usd` is the cost of the replies whose cost is known, `unpriced` the number of the others, `saved_usd` what the
    prompt cache saved. `counted_*` is what a budget counts: calls under way, and those whose end or cost is unknown, at
    their worst; None where that is not known either, because they were made without a budget.
    """

    usd: float = 0.0
    unpriced: int = 0
    saved_usd: float = 0.0
    counted_usd: float | None = 0.0
    counted_tokens: int | None = 0

    def __add__(self, other: "Spent") -> "Spent":
        """What two runs have spent together; unknown where it is of one of them."""
        usd, tokens = (self.counted_usd, other.counted_usd), (self.counted_tokens, other.counted_tokens)
        return Spent(
            self.usd + other.usd,
            self.unpriced + other.unpriced,
            self.saved_usd + other.saved_usd,
            None if None in usd else math.fsum(each or 0.0 for each in usd),
            None if None in tokens else sum(each or 0 for each in tokens),
        )


NOTHING = Spent()


class Ledger(Protocol):
    """Where reservations are kept. The store implements it; models never know a path.

    Recording a reply takes away the reservation of its key; one that is left behind counts at its worst.
    """

    def spent(self) -> Spent:
        """What was spent before."""
        ...

    async def reserve(self, key: str, amount: Amount) -> None:
        """Notes that the request with this key may cost so much; returns when that is durable."""
        ...

    async def release(self, key: str) -> None:
        """Takes back what was reserved: the request was certainly not billed."""
        ...


class Budget:
    """One cap for all models of a run. `usd`, `tokens`: None for no limit; tokens are those read and written.

    `elsewhere`: what other runs have spent that share the cap. `short` says which limit was too small, empty while none
    was.
    """

    def __init__(
        self, ledger: Ledger, usd: float | None = None, tokens: int | None = None, elsewhere: Spent = NOTHING
    ) -> None:
        self.usd = usd
        self.tokens = tokens
        self.short: Literal["", "usd", "tokens"] = ""
        self._ledger = ledger
        self._elsewhere = elsewhere
        self._spent: Amount | None = None
        self._wanted = Amount()
        self._open: dict[int, tuple[str, Amount]] = {}
        self._tickets = itertools.count()
        self._door = asyncio.Lock()  # first come, first served: a large request is not overtaken for ever
        self._settled = asyncio.Event()

    @property
    def spent(self) -> Amount:
        """What is spent for certain or possibly, without what is under way.

        Raises:
            SetupError: earlier replies of this run cannot be counted.
        """
        if self._spent is None:
            self._spent = self._before()
        return self._spent

    @property
    def untouched(self) -> bool:
        """Whether nothing was spent yet."""
        return not self.spent.usd and not self.spent.tokens

    async def reserve(self, key: str, amount: Amount) -> int:
        """Sets `amount` aside, waiting for calls under way where it does not fit yet; returns a ticket to settle with.

        Raises:
            ProviderError: `budget`, when it does not fit and nothing that is under way can make room.
        """
        async with self._door:
            while short := self._short(amount):
                if not self._open:
                    raise self._used_up(short, amount)
                self._settled.clear()
                await self._settled.wait()
            ticket = next(self._tickets)
            self._open[ticket] = key, amount
        try:
            await self._ledger.reserve(key, amount)
        except BaseException:
            self.settle(ticket, Amount())  # never sent
            raise
        return ticket

    def settle(self, ticket: int, amount: Amount) -> None:
        """Replaces what was reserved by what it was; gives room to those who wait."""
        del self._open[ticket]
        spent = self.spent
        self._spent = Amount((spent.usd or 0.0) + (amount.usd or 0.0), spent.tokens + amount.tokens)
        self._settled.set()

    async def release(self, ticket: int) -> None:
        """Settles a call that was certainly not billed."""
        key, _ = self._open[ticket]
        self.settle(ticket, Amount())
        await self._ledger.release(key)

    def more(self) -> str:
        """The flag that lets the run go on: twice as much, and at least enough for the request that did not fit."""
        if self.short == "tokens":
            return f"--budget-tokens {max(2 * (self.tokens or 0), self.spent.tokens + 2 * self._wanted.tokens)}"
        wanted = max(2 * (self.usd or 0.0), (self.spent.usd or 0.0) + 2 * (self._wanted.usd or 0.0))
        digits = 1 - math.floor(math.log10(wanted))
        return f"--budget-usd {math.ceil(wanted * 10**digits) / 10**digits:.{max(digits, 0)}f}"

    def _short(self, amount: Amount) -> Literal["", "usd", "tokens"]:
        amounts = [self.spent, amount, *(each for _, each in self._open.values())]
        if self.usd is not None and math.fsum(each.usd or 0.0 for each in amounts) > self.usd:
            return "usd"
        if self.tokens is not None and sum(each.tokens for each in amounts) > self.tokens:
            return "tokens"
        return ""

    def _used_up(self, short: Literal["usd", "tokens"], amount: Amount) -> ProviderError:
        self.short, self._wanted = short, amount
        if short == "usd":
            cap, spent, wanted = f"${self.usd:,.6g}", f"${self.spent.usd:,.6g} is", f"cost ${amount.usd:,.6g}"
        else:
            cap, spent, wanted = f"{self.tokens:,} tokens", f"{self.spent.tokens:,} are", f"take {amount.tokens:,}"
        return ProviderError(
            f"The budget of {cap} does not cover another request: {spent} spent, and the next one may {wanted}.",
            provider="strawberry",
            kind="budget",
            hint=f"Raise it with {self.more()}.",
            unbilled=True,
        )

    def _before(self) -> Amount:
        """What the ledger says was spent; without it a hard cap would be a guess."""
        spent = self._ledger.spent() + self._elsewhere
        untold = "dollars" if self.usd is not None and spent.counted_usd is None else ""
        untold = "tokens" if self.tokens is not None and spent.counted_tokens is None else untold
        if untold:
            raise SetupError(
                f"Some replies of this run were made without a budget, and what they took in {untold} is not known: "
                "go on without a budget, or start a new run with another --out."
            )
        return Amount(spent.counted_usd or 0.0, spent.counted_tokens or 0)


class Budgeted:
    """Sends what fits into `budget`. `price` is None where only tokens are limited."""

    def __init__(self, model: Model, budget: Budget, price: Price | None, cache_ttl: str = "5m") -> None:
        self._model = model
        self._budget = budget
        self._price = price
        self._cache_ttl = cache_ttl

    @property
    def spec(self) -> str:
        """The wrapped model's."""
        return self._model.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`.

        Raises:
            ProviderError: `budget`, when the request does not fit any more.
        """
        worst = worst_of(request, self._price, cache_ttl=self._cache_ttl)
        ticket = await self._budget.reserve(request.key, worst)
        try:
            reply = await self._model.complete(request, on_delta)
        except BaseException as error:
            if getattr(error, "unbilled", False):
                await self._budget.release(ticket)
            else:
                self._budget.settle(ticket, worst)
            raise
        self._budget.settle(ticket, taken(reply, worst))
        return reply

    async def close(self) -> None:
        """Closes the wrapped model."""
        await self._model.close()


def worst_of(request: Request, price: Price | None, *, batch: bool = False, cache_ttl: str = "5m") -> Amount:
    """What `request` takes at most."""
    read = most_input(request)
    usd = price.worst(read, request.max_tokens, batch=batch, cache_ttl=cache_ttl) if price else None
    return Amount(usd, read + request.max_tokens)


def most_input(request: Request) -> int:
    """Tokens that `request` has at most, before it is answered."""
    texts = (text for message in request.messages for text in (message.content, message.reasoning))
    schema = json.dumps(request.response_schema) if request.response_schema is not None else ""
    return PER_REQUEST + PER_MESSAGE * len(request.messages) + len(schema) + sum(map(_bytes, texts))


def taken(reply: Reply, worst: Amount) -> Amount:
    """What a reply took, at its worst where the provider did not say."""
    read, written = reply.usage.input, reply.usage.output
    tokens = worst.tokens if read is None or written is None else read + written
    return Amount(worst.usd if reply.cost_usd is None else reply.cost_usd, tokens)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
