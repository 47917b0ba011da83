"""Drives one trace: carries out what the strategy asks for, and turns what happened into a `Trace`.

Two homes for failure meet here. A call that fails inside a trace ends that trace, with what went wrong in its record.
But while nothing has succeeded in this run yet, the same failure means that the set-up is wrong, and ends the command.
"""

import asyncio
import hashlib
import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from openstrawberry.chat import Request
from openstrawberry.engine.events import Emit, Judged, Streamed, TraceStarted, TurnEnded, TurnLost, TurnStarted, ignore
from openstrawberry.engine.slots import Slots
from openstrawberry.engine.stepper import Leaf, Place, Stepper
from openstrawberry.errors import ProviderError, SetupError, StrawberryError
from openstrawberry.models.model import no_logprobs, without_address
from openstrawberry.models.replies import Recorded, reply_key
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.strategy import Answer, Ask, AskRole, Check, Strategy, Task
from openstrawberry.trace import UNKNOWN, Checked, Failure, Node, Stop, Tokens, Trace, turn_of
from openstrawberry.verifiers.verifier import Verdict

NO_SCORER = "This strategy scores steps: name a process reward model with --prm prm:PATH, or choose another --strategy."
_STOPS: Mapping[str, Stop] = {"context": "truncated", "budget": "budget"}


class Checker(Protocol):
    """Whoever gives verdicts: a verifier, or several behind one call."""

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        """The verdict on `answer`."""
        ...


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters of a run; a strategy's own choice for a turn goes first."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = 4096
    reasoning: str | None = None


@dataclass(frozen=True)
class Setting:
    """What all traces of a run share.

    `models` names who plays each role; a role that is missing is played by the solver. `identity` (the run's digest)
    goes into trace ids and, with the number of a slot, into cache keys. `stream`: whether replies are streamed (and
    `Streamed` events emitted). `resumed`: whether the run goes on with an earlier one's work. `longest`: tokens of the
    longest reply by role, where it differs from that of `sampling`.
    """

    strategy: Strategy
    prompts: PromptSet
    models: Mapping[AskRole, Recorded]
    checker: Checker
    sampling: Sampling = Sampling()
    longest: Mapping[AskRole, int] = field(default_factory=dict)
    seed: int = 0
    identity: str = ""
    stream: bool = False
    resumed: bool = False
    versions: str = "{}"
    scorer: Callable[[Node], Awaitable[float]] | None = None
    emit: Emit = field(default=ignore)
    slots: Slots = field(default_factory=Slots)

    def model(self, role: AskRole) -> Recorded:
        """Who plays `role`."""
        return self.models.get(role) or self.models["solver"]

    @property
    def proven(self) -> bool:
        """Whether any model of the run has answered."""
        return any(model.proven for model in self.models.values())

    def trace_id(self, problem: Problem, sample: int) -> str:
        """The id of a trace: the same in every continuation of a run."""
        return _hash(self.identity, problem.id, sample, self.seed)[:16]


async def drive(setting: Setting, problem: Problem, sample: int = 0) -> Trace:
    """Makes one trace.

    Raises:
        SetupError: nothing has worked in this run yet, and this did not either.
    """
    with setting.slots.taken() as slot:
        return await _Drive(setting, problem, sample, slot).run()


class _Drive:
    """The state of one trace while it is driven."""

    def __init__(self, setting: Setting, problem: Problem, sample: int, slot: int) -> None:
        self.setting = setting
        self.problem = problem
        self.sample = sample
        self.cache_key = f"{setting.identity}-{slot}".lstrip("-")
        self.id = setting.trace_id(problem, sample)
        self.task = Task(problem, setting.prompts, sample, setting.seed)
        self.draws: Counter[tuple[str, AskRole, Place]] = Counter()
        self.stepper: Stepper[Answer]
        self.requests: dict[int, Request] = {}

    async def run(self) -> Trace:
        started = _now()
        self.setting.emit(TraceStarted(self.id, self.problem.question, self.sample))
        failure = Failure()
        try:
            answer = await self._solve()
            verdict = await self._verdict(answer)
        except ProviderError as error:
            stop = _STOPS.get(error.kind, "error")
            answer, verdict = self._broken_off(stop), Checked()
            failure = Failure(message=str(error), kind=error.kind, provider=error.provider, status=error.status)
        except (StrawberryError, asyncio.CancelledError):
            raise
        except Exception as error:  # the one boundary: a fault in a strategy or verifier costs its trace, not the run
            answer, verdict = self._broken_off("error"), Checked()
            told = f"The strategy or the verifier has a fault ({type(error).__name__}: {error}): please report it."
            failure = Failure(message=told, kind="internal")
        return self._record(answer, verdict, failure, started)

    async def _solve(self) -> Answer:
        stepper = self.stepper = Stepper(self.setting.strategy.solve(self.task))
        running: dict[asyncio.Task[Any], int] = {}
        try:
            while not stepper.done:
                if not running and len(stepper.open) == 1:  # a chat: no need for a task per turn
                    ((ticket, action),) = stepper.open.items()
                    await self._settle(stepper, ticket, self._perform(ticket, action))
                else:
                    await self._next(stepper, running)
            return stepper.result
        finally:
            stepper.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _next(self, stepper: Stepper[Answer], running: dict[asyncio.Task[Any], int]) -> None:
        under_way = set(running.values())
        fresh = [ticket for ticket in stepper.open if ticket not in under_way]
        # What is on record is settled first: a race that one call has won is not run again when the trace is replayed.
        recorded = [ticket for ticket in fresh if self._on_record(ticket, stepper.open[ticket])]
        for ticket in recorded or fresh:
            running[asyncio.create_task(self._perform(ticket, stepper.open[ticket]))] = ticket
        finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in sorted(finished, key=running.__getitem__):
            ticket = running.pop(task)
            if ticket in stepper.open and not stepper.done:
                await self._settle(stepper, ticket, task)
            elif not task.cancelled():
                task.exception()  # looked at, so that asyncio does not complain: nobody wants it any more
        for task, ticket in list(running.items()):
            if ticket not in stepper.open:  # its owner has ended: nobody wants the result
                task.cancel()

    async def _settle(self, stepper: Stepper[Answer], ticket: int, work: Awaitable[Any]) -> None:
        try:
            result = await work
        except ProviderError as error:
            if error.kind == "budget":  # not the strategy's to live with: the whole trace is made another time
                raise
            stepper.throw(ticket, error)
        else:
            stepper.send(ticket, result)

    def _on_record(self, ticket: int, action: Leaf) -> bool:
        if not isinstance(action, Ask):
            return False
        return self.setting.model(action.role).knows(self._request(ticket, action))

    async def _perform(self, ticket: int, action: Leaf) -> Any:
        if isinstance(action, Ask):
            return await self._ask(ticket, action)
        if isinstance(action, Check):
            return await self._check(action.answer)
        if self.setting.scorer is None:
            raise SetupError(NO_SCORER)
        return await self.setting.scorer(action.node)

    async def _ask(self, ticket: int, ask: Ask) -> Node:
        setting, model = self.setting, self.setting.model(ask.role)
        request = self._request(ticket, ask)
        del self.requests[ticket]
        setting.emit(TurnStarted(self.id, ask.node, ask.role, ticket, request.key))
        listen = (lambda delta: setting.emit(Streamed(self.id, delta, ticket))) if setting.stream else None
        try:
            reply = await model.complete(request, listen)
        except BaseException as error:
            setting.emit(TurnLost(self.id, ticket))
            if isinstance(error, ProviderError):
                self._unless_proven(error, model)
            raise
        if ask.logprobs and reply.logprobs is None and reply.content:
            raise no_logprobs(model.spec)
        node = self.task.tree.add("assistant", reply.content, ask.node, ask.node.channel, reply, request.key)
        setting.emit(TurnEnded(self.id, node, ticket))
        return node

    def _request(self, ticket: int, ask: Ask) -> Request:
        """The request of an open action: made once, since making it counts a draw."""
        if ticket not in self.requests:
            spec = without_address(self.setting.model(ask.role).spec)
            self.requests[ticket] = self._draw(ask, spec, self.stepper.place(ticket))
        return self.requests[ticket]

    def _draw(self, ask: Ask, spec: str, place: Place) -> Request:
        sampling = self.setting.sampling
        # Counted by what was said, not by where it stands: equal beginnings of several branches are several draws too.
        # But each branch has draws of its own, or it would depend on who comes first what it gets, and how it goes on.
        draw = self.draws[ask.node.chain, ask.role, place]
        self.draws[ask.node.chain, ask.role, place] += 1
        which = (ask.role, ask.node.chain, draw, *([place] if place else []))
        seed = _hash(self.setting.seed, self.problem.id, self.sample, *which)
        request = Request(
            messages=ask.node.messages,
            temperature=sampling.temperature if ask.temperature is None else ask.temperature,
            top_p=sampling.top_p,
            max_tokens=ask.max_tokens or self.setting.longest.get(ask.role, sampling.max_tokens),
            stop=ask.stop,
            seed=int(seed[:8], 16) >> 1,
            response_schema=ask.response_schema,
            reasoning=sampling.reasoning,
            thoughts=ask.thoughts,
            logprobs=ask.logprobs,
            cache_key=self._cache_key(ask.node.root),
        )
        return replace(request, key=reply_key(spec, ask.role, request, ask.node.chain, self.sample, draw, place))

    def _cache_key(self, root: Node) -> str:
        """The slot's; a conversation that begins differently (a critic's) has a key of its own.

        So neither pushes the other out of a cache that is found by its key, and a critic that is asked in the middle of
        the conversation itself reads what is cached of it.
        """
        same = root.chain == self.task.tree.nodes[0].chain
        return self.cache_key if same else f"{self.cache_key}-{root.chain[:8]}"

    async def _check(self, answer: str) -> Verdict:
        try:
            verdict = await self.setting.checker.verify(self.problem, answer)
        except ProviderError as error:
            self._unless_proven(error, self.setting.model("judge"))
            raise
        self.setting.emit(Judged(self.id, answer, verdict))
        return verdict

    async def _verdict(self, answer: Answer) -> Checked:
        if answer.stop == "truncated" and not answer.text:
            return Checked(status="no_answer", detail=answer.detail, method=answer.method)
        verdict = await self._check(answer.text)
        detail = "; ".join(filter(None, (verdict.detail, answer.detail)))
        return Checked(**{**verdict.model_dump(), "detail": detail}, method=answer.method)

    def _unless_proven(self, error: ProviderError, model: Recorded) -> None:
        """A model that has never answered is set up wrongly, however well the others of the run work."""
        known_to_work = model.proven or (error.kind == "quota" and self.setting.resumed)
        if error.is_setup and not known_to_work:
            raise SetupError(str(error)) from error

    def _broken_off(self, stop: Stop) -> Answer:
        tree = self.task.tree
        main = [node for node in tree.nodes if node.channel == "main"]
        return Answer("", (main or tree.nodes or [tree.add("user", "", None)])[-1], stop)

    def _record(self, answer: Answer, verdict: Checked, failure: Failure, started: datetime) -> Trace:
        setting = self.setting
        turns = tuple(turn_of(node) for node in self.task.tree.nodes)
        return Trace(
            id=self.id,
            problem=self.problem,
            model=without_address(setting.model("solver").spec),
            strategy=setting.strategy.name,
            params=json.dumps({**vars(setting.sampling), **setting.strategy.model_dump()}),
            sample=self.sample,
            seed=setting.seed,
            messages=turns,
            path=tuple(node.index for node in answer.node.path()),
            answer=answer.text,
            stop=answer.stop,
            verdict=verdict,
            usage=Tokens.total(turn.usage for turn in turns if turn.model),
            cost_usd=_cost(self.task.tree.nodes),
            error=failure,
            started=started.isoformat(timespec="milliseconds"),
            ended=_now().isoformat(timespec="milliseconds"),
            versions=setting.versions,
        )


def _cost(nodes: Iterable[Node]) -> float:
    """Dollars of all replies, side conversations and abandoned branches included; unknown if one of them is."""
    costs = [node.reply.cost_usd for node in nodes if node.reply]
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if len(known) == len(costs) else float(UNKNOWN)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
