"""Everything that happens while traces are made, as one stream. The terminal, the page and `--json` all read it."""

from collections.abc import Callable
from dataclasses import dataclass

from openstrawberry.chat import Delta
from openstrawberry.errors import ProviderError
from openstrawberry.strategies.strategy import AskRole
from openstrawberry.trace import Node, Trace
from openstrawberry.verifiers.verifier import Verdict


@dataclass(frozen=True, slots=True)
class TraceStarted:
    """A trace begins."""

    trace_id: str
    question: str
    sample: int


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A model is asked; `node` is what it is asked after, `ask` tells the calls of a trace apart.

    `key` is the place of the reply in the reply record: the same when a continuation replays it.
    """

    trace_id: str
    node: Node
    role: AskRole
    ask: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Streamed:
    """A piece of a reply arrived."""

    trace_id: str
    delta: Delta
    ask: int = 0


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A whole reply arrived; `node` holds it."""

    trace_id: str
    node: Node
    ask: int = 0


@dataclass(frozen=True, slots=True)
class TurnLost:
    """No reply will come: the call failed for good, or nobody wants it any more."""

    trace_id: str
    ask: int = 0


@dataclass(frozen=True, slots=True)
class Retried:
    """A call failed and is made again after `wait` seconds."""

    error: ProviderError
    attempt: int
    wait: float


@dataclass(frozen=True, slots=True)
class Batched:
    """A batch at the provider has moved on; `done` of its `total` requests are answered.

    `state`: `submitted`, `found` (one that an earlier run has left), `running`, `cancelled`, `ended` or `failed`.
    """

    id: str
    state: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer was checked."""

    trace_id: str
    answer: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that a person should know, said once in a run."""

    text: str


@dataclass(frozen=True, slots=True)
class TraceEnded:
    """A trace is finished and, where there is a store, on disk."""

    trace: Trace


TurnEvent = TurnStarted | Streamed | TurnEnded | TurnLost
Event = TraceStarted | TurnEvent | Retried | Batched | Judged | Warned | TraceEnded
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An `Emit` for callers that do not listen."""
