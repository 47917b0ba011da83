"""A trace: everything that was said while one problem was worked on, as a tree.

A chat is a tree with one leaf, a search a tree with many. `Tree` and `Node` are the growing form that strategies and
drivers share; `Trace` is the finished record, one line of JSONL. The record keeps every key with one type on every
line, so that any reader infers the right columns: absent text is `""`, an unknown number is -1 (never 0), free-form
objects are JSON text.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from openstrawberry.chat import Message, Reply, Role, Usage
from openstrawberry.problems.problem import Problem

SCHEMA = 1
UNKNOWN = -1
Channel = Literal["main", "critic", "judge", "hint"]  # hint: what was said by a model that was shown the answer
Stop = Literal["final_answer", "max_turns", "budget", "error", "refused", "truncated"]
OWED: frozenset[str] = frozenset({"error", "budget"})  # stops after which a trace is to be made again
_TAG = re.compile(r"</?[a-z_]{1,40}>", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_JSON_TITLE = re.compile(r'\{\s*"title"\s*:\s*"((?:[^"\\]|\\.)*)"')


@dataclass(eq=False)
class Node:
    """One turn in the tree. Set once when it is added, except `value`, `visits` and `prior`, which a search updates.

    `copy_of`: the turn that this one repeats elsewhere in the tree (see `Tree.copy`).
    """

    index: int
    role: Role
    content: str
    parent: "Node | None"
    channel: Channel = "main"
    reply: Reply | None = None
    key: str = ""
    value: float = 0.0
    visits: int = 0
    prior: float = 0.0
    copy_of: "Node | None" = None

    @property
    def finish_reason(self) -> str:
        """Why the model stopped; empty where no model wrote this node."""
        return self.reply.finish_reason if self.reply else ""

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The conversation from the root to here: the parent's tuple, copied, with one message more."""
        message = Message(role=self.role, content=self.content, reasoning=self.reply.reasoning if self.reply else "")
        return (*(self.parent.messages if self.parent else ()), message)

    @cached_property
    def chain(self) -> str:
        """Hash of the conversation from the root to here, from the parent's hash and this turn alone."""
        before = self.parent.chain if self.parent else ""
        text = "\0".join((before, self.role, self.content, self.reply.reasoning if self.reply else ""))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

    @cached_property
    def root(self) -> "Node":
        """The node that begins this conversation."""
        return self.parent.root if self.parent else self

    def path(self) -> list["Node"]:
        """The nodes from the root to here."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]


@dataclass
class Tree:
    """The nodes of one trace in the order they were added; a parent always stands before its children."""

    nodes: list[Node] = field(default_factory=list)

    def add(
        self,
        role: Role,
        content: str,
        parent: Node | None,
        channel: Channel = "main",
        reply: Reply | None = None,
        key: str = "",
    ) -> Node:
        """Append a turn after `parent` (None starts a conversation)."""
        node = Node(len(self.nodes), role, content, parent, channel, reply, key)
        self.nodes.append(node)
        return node

    def copy(self, node: Node, parent: Node | None, content: str | None = None, reasoning: str | None = None) -> Node:
        """The same turn after another parent and in its channel, or with its texts told apart in another way.

        A reply was paid for once: tokens and dollars stay with the original, where `copy_of` points.
        """
        content = node.content if content is None else content
        reply = node.reply
        if reply is not None:
            reasoning = reply.reasoning if reasoning is None else reasoning
            free = {"usage": Usage(), "latency_s": 0.0, "cost_usd": 0.0, "saved_usd": None}
            reply = reply.model_copy(update={"content": content, "reasoning": reasoning, **free})
        copied = self.add(node.role, content, parent, parent.channel if parent else "main", reply, node.key)
        copied.copy_of = node
        return copied


class Turn(BaseModel):
    """One line of `Trace.messages`. `parent` and `copy_of` are indices into the list, -1 for none: the turn before, and
    the one that this repeats, where its tokens are counted. Token counts: -1 is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: Role
    content: str
    parent: int
    channel: Channel = "main"
    model: str = ""
    title: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    latency_s: float = 0.0
    usage: "Tokens"
    key: str = ""
    value: float = 0.0
    visits: int = 0
    prior: float = 0.0
    copy_of: int = -1


class Tokens(BaseModel):
    """`chat.Usage` with -1 for unknown, so that the column is integer on every line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input: int = UNKNOWN
    cached_input: int = UNKNOWN
    cache_write: int = UNKNOWN
    output: int = UNKNOWN
    reasoning: int = UNKNOWN

    @classmethod
    def of(cls, usage: Usage) -> "Tokens":
        """From a reply's usage."""
        return cls(**{name: UNKNOWN if count is None else count for name, count in usage})

    @classmethod
    def total(cls, parts: Iterable["Tokens"]) -> "Tokens":
        """Sums what is known; a count that no part knows stays unknown."""
        sums = dict.fromkeys(cls.model_fields, UNKNOWN)
        for part in parts:
            for name, count in part:
                if count != UNKNOWN:
                    sums[name] = count + max(sums[name], 0)
        return cls(**sums)


class Checked(BaseModel):
    """The verdict inside a trace. `method` says how the answer was extracted from the model's text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: Literal["correct", "incorrect", "no_answer", "timeout", "unknown"] = "unknown"
    verifier: str = ""
    detail: str = ""
    method: str = ""


class Failure(BaseModel):
    """What ended a trace early; all empty when nothing did."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    message: str = ""
    kind: str = ""
    provider: str = ""
    status: int = 0


class Trace(BaseModel):
    """One finished attempt at one problem.

    `messages` is the flat node list, `path` the indices from root to answer. `started`, `ended`: ISO 8601, UTC.
    `params` (strategy options and sampling), `versions` and `problem.metadata` are JSON text. `cost_usd` -1: unknown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_: int = Field(default=SCHEMA, alias="schema")
    id: str
    problem: Problem
    model: str
    strategy: str
    params: str
    sample: int
    seed: int
    messages: tuple[Turn, ...]
    path: tuple[int, ...]
    answer: str
    stop: Stop
    verdict: Checked = Checked()
    usage: Tokens = Tokens()
    cost_usd: float = float(UNKNOWN)
    error: Failure = Failure()
    started: str
    ended: str
    versions: str = "{}"

    @model_validator(mode="after")
    def _in_order(self) -> "Trace":
        """A turn stands after the one it follows, and the path leads to turns that are there: whoever walks the tree
        comes to an end, whoever wrote the file.
        """
        many = len(self.messages)
        turns = enumerate(self.messages)
        if any(not -1 <= turn.parent < place or turn.copy_of >= many for place, turn in turns):
            raise ValueError("a turn stands before the one that it follows")
        if any(not 0 <= place < many for place in self.path):
            raise ValueError("the path leads to a turn that is not there")
        return self

    @property
    def owed(self) -> bool:
        """Whether it broke off for a reason that was not its own, so that the next run makes it again."""
        return self.stop in OWED

    @property
    def correct(self) -> bool:
        """Whether the verdict says so."""
        return self.verdict.status == "correct"

    @property
    def solved(self) -> bool:
        """Whether the model got it right without having been shown the answer."""
        return self.correct and not self.hinted

    @property
    def turns(self) -> int:
        """Replies on the way to the answer (side conversations and abandoned branches not counted).

        Turns put into a model's mouth (few-shot examples, an opening) are none, unless the trace names no model at all.
        """
        replies = [self.messages[index] for index in self.path if self.messages[index].role == "assistant"]
        return sum(bool(turn.model) for turn in replies) or len(replies)

    @property
    def hinted(self) -> bool:
        """Whether its way to the answer was found by a model that had been shown the answer."""
        copied = (self.messages[index].copy_of for index in self.path)
        return any(self.messages[index].channel == "hint" for index in copied if index >= 0)

    @property
    def composed(self) -> bool:
        """Whether its last reply was put together by the strategy out of what models wrote elsewhere in the tree."""
        last = self.messages[self.path[-1]] if self.path else None
        by_nobody = last is not None and last.role == "assistant" and not last.model
        return by_nobody and any(turn.model for turn in self.messages)

    @property
    def chat(self) -> Iterator[Message]:
        """The conversation from root to answer."""
        for index in self.path:
            turn = self.messages[index]
            yield Message(role=turn.role, content=turn.content, reasoning=turn.reasoning)

    @property
    def seconds(self) -> float:
        """From start to end, by the wall clock."""
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.started)).total_seconds()

    def to_line(self) -> str:
        """One line of JSON without its newline."""
        return self.model_dump_json(by_alias=True)


def turn_of(node: Node) -> Turn:
    """The record of one node."""
    reply = node.reply
    return Turn(
        role=node.role,
        content=node.content,
        parent=node.parent.index if node.parent else -1,
        channel=node.channel,
        model=reply.model if reply else "",
        title=title_of(node.content) if reply else "",
        reasoning=reply.reasoning if reply else "",
        finish_reason=node.finish_reason,
        latency_s=round(reply.latency_s, 4) if reply else 0.0,
        usage=Tokens.of(reply.usage) if reply else Tokens(),
        key=node.key,
        value=node.value,
        visits=node.visits,
        prior=node.prior,
        copy_of=node.copy_of.index if node.copy_of else -1,
    )


def title_of(content: str, limit: int = 60) -> str:
    """The turn's own title, else its first sentence, cut to `limit` characters."""
    title = own_title(content)
    if not title:
        line = _first_line(_TAG.sub(" ", content[:2000]))
        title = _SENTENCE_END.split(line, maxsplit=1)[0]
    return title if len(title) <= limit else title[: limit - 1].rstrip() + "…"


def own_title(content: str) -> str:
    """The title that a turn gives itself, in `<turn_title>` or as JSON; empty where it gives none."""
    opened = content.rfind("<turn_title>")
    own = content[opened + len("<turn_title>") :][:500].partition("</turn_title>")[0].strip() if opened >= 0 else ""
    if not own and (titled := _JSON_TITLE.search(content[:500])):
        own = titled[1].replace('\\"', '"')
    return _first_line(own)


def _first_line(text: str) -> str:
    return next((part.strip() for part in text.splitlines() if part.strip()), "")
