"""The contract of a strategy: a plain generator that yields actions, is sent their results, and returns an `Answer`.

    def solve(self, task):
        node = task.user(task.problem.question)
        node = yield Ask(node)                      # one reply after this node
        return Answer(final_answer(node.content), node)

A strategy does no I/O: no client, file, clock or retry. Whoever drives it (the asyncio pool, a batch API, a test that
answers by hand) decides how actions are carried out. Its only randomness is `task.random(...)`, so the same problem,
sample and seed always ask the same things. Parallel work is a group (`together`): members run side by side and their
results are handed on in whatever order they arrive, so no algorithm waits at a barrier unless it asks for one.

The idea of an algorithm as a generator that is sent its I/O is httpx's auth flow; the vocabulary is our own.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from openstrawberry.errors import ProviderError
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet
from openstrawberry.trace import Channel, Node, Stop, Tree

T = TypeVar("T")
AskRole = Literal["solver", "critic", "judge"]


@dataclass(frozen=True, slots=True)
class Ask:
    """Wants one reply after `node`; the result is the new `Node`. None leaves the run's own setting.

    Which model plays `role` is the driver's business. `thoughts`: the model's own are wanted, also from one that shows
    them only when it is asked to. `logprobs`: the reply must come with log probabilities.
    """

    node: Node
    role: AskRole = "solver"
    temperature: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    response_schema: Mapping[str, Any] | None = None
    thoughts: bool = False
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Wants a `Verdict` on an answer, while data is made for problems with known answers."""

    answer: str


@dataclass(frozen=True, slots=True)
class Score:
    """Wants a process reward for the conversation up to `node`; the result is a float."""

    node: Node


@dataclass(frozen=True, slots=True)
class Answer:
    """How a strategy ends: the answer (empty if there is none), the node it stands in, and why it stopped there.

    `method` says how the answer was extracted from the text, `detail` what a reader of the trace should know besides.
    """

    text: str
    node: Node
    stop: Stop = "final_answer"
    method: str = ""
    detail: str = ""


class Group:
    """Sub-strategies that run side by side. Yielding the group waits for the next member to finish.

        group = together(rollout(a), rollout(b))
        while group:
            number, result = yield group            # in order of arrival; group.add(...) may start more

    A member that raises makes the yield raise; the others go on until `cancel()`, or until the owner ends.
    """

    def __init__(self) -> None:
        self.started = 0
        self.claimed = 0
        self.cancelled = False
        self.new: list[tuple[int, Generator[Any, Any, Any]]] = []
        self.finished: list[tuple[int, Any, BaseException | None]] = []

    def add(self, generator: Generator[Any, Any, Any]) -> int:
        """Adds a member, started at the next yield; returns its number, counted from 0."""
        self.new.append((self.started, generator))
        self.started += 1
        return self.started - 1

    def cancel(self) -> None:
        """Drops every member that has not finished; takes effect at the owner's next yield."""
        self.cancelled = True

    def __bool__(self) -> bool:
        """Whether results are still to come."""
        return not self.cancelled and self.claimed < self.started


Action = Ask | Check | Score | Group
Steps = Generator[Action, Any, T]


def together(*generators: Generator[Any, Any, Any]) -> Group:
    """A `Group` of these members, numbered in this order."""
    group = Group()
    for generator in generators:
        group.add(generator)
    return group


def gather(*generators: Generator[Any, Any, T]) -> Steps[list[T]]:
    """`results = yield from gather(...)`: waits for all members, results in the members' order; an error ends all."""
    group = together(*generators)
    results: dict[int, T] = {}
    try:
        while group:
            number, result = yield group
            results[number] = result
    except Exception:
        group.cancel()
        raise
    return [results[number] for number in range(len(generators))]


@dataclass
class Task:
    """What a strategy works on: one problem, one sample of it, and the tree that grows.

    `channel` is where its conversations stand that name no other.
    """

    problem: Problem
    prompts: PromptSet
    sample: int = 0
    seed: int = 0
    tree: Tree = field(default_factory=Tree)
    member: tuple[object, ...] = ()
    channel: Channel = "main"

    def within(self, strategy: str, *member: object) -> "Task":
        """The task as the strategy `strategy` sees it when it works for this one (see `Strategy.uses`).

        Same problem and tree, its own prompts; `member` tells several of them apart, so that each draws its own.
        """
        return replace(self, prompts=self.prompts.within(strategy), member=(*self.member, strategy, *member))

    def random(self, *labels: object) -> Random:
        """A generator that depends on problem, sample, seed and `labels` only, so replays draw the same."""
        text = repr((self.problem.id, self.sample, self.seed, (*self.member, *labels)))
        return Random(hashlib.sha256(text.encode()).digest())

    def shared_random(self, *labels: object) -> Random:
        """Like `random`, but the same for every sample of the problem: what is drawn with it is a common beginning."""
        return Random(hashlib.sha256(repr((self.problem.id, self.seed, labels)).encode()).digest())

    def system(self, text: str, channel: Channel | None = None) -> Node:
        """Starts a conversation with a system prompt."""
        return self.tree.add("system", text, None, channel or self.channel)

    def user(self, text: str, after: Node | None = None) -> Node:
        """Adds a user turn after `after`, or starts a conversation with it."""
        return self.tree.add("user", text, after, after.channel if after else self.channel)


def attempt(steps: Steps[Answer], task: Task, node: Node | None = None) -> Steps[Answer]:
    """One attempt of several, from `node` on: if it outgrows the model's context, it is truncated and ends no other."""
    try:
        return (yield from steps)
    except ProviderError as error:
        if error.kind != "context":
            raise
        return Answer("", node or task.user(task.problem.question), stop="truncated", detail=str(error))


class Strategy(BaseModel, ABC):
    """Base of all strategies: an immutable pydantic model whose fields are the options (`--set key=value`).

    `model_fields` names that stand in `RESUMABLE` may change between a run and its continuation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    RESUMABLE: ClassVar[frozenset[str]] = frozenset({"max_turns"})

    @property
    def uses(self) -> tuple[str, ...]:
        """Names of the strategies that work for this one, and whose prompts are wanted (`Task.within`)."""
        return ()

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int | None:
        """Replies that one trace takes at most, None where nobody can say; `turns`: where no conversation has more."""
        limit: int | None = getattr(self, "max_turns", None)
        return limit if limit is None or turns is None else min(limit, turns)

    @property
    def checks_steps(self) -> bool:
        """Whether the values that it leaves on its nodes are decided by the known answer, and by nothing else."""
        return self.sees_answers

    @property
    def sees_answers(self) -> bool:
        """Whether it looks at the known answers: fit for making data, and never for measuring a model."""
        return False

    def scores(self, prompts: PromptSet) -> bool:
        """Whether it wants process rewards (`Score`), so that a run without a model of them need not begin."""
        return False

    @abstractmethod
    def solve(self, task: Task) -> Steps[Answer]:
        """Works on one task. Must end by itself whatever is sent in."""
