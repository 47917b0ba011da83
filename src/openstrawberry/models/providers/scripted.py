"""A model that says what a script says: for tests, demos and dry runs, without a network.

The same script, conversation and seed always give the same reply. A script is a YAML or JSON file (or, from Python, the
same values, or a function from a `Request` to a line):

    replies: [first call, second call, ...]      # by call, whoever asks; the last one repeats
    turns: [first turn, second turn, ...]        # by how many replies the conversation holds; the last one repeats
    rules:                                       # the first that fits; `when` matches the last user turn,
      - when: final answer                       # `question` the first, `turn` how many replies there are
        say: <final_answer>3</final_answer>

Rules come before turns, turns before replies. Each line is a text; or a mapping with `content`, `reasoning`,
`finish_reason`, `usage`, `logprobs`, `delay` (seconds); or a list, of which the seed draws one; or a fault, `{error:
rate_limit, status: 429, retry_after: 2, times: 1, then: line}`, which the first `times` asks of a conversation run into
(each one does without `times`).
"""

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from openstrawberry.chat import Delta, FinishReason, OnDelta, Reply, Request, Usage
from openstrawberry.errors import ErrorKind, ProviderError, SetupError
from openstrawberry.models.provider import Opening
from openstrawberry.wording import cause, misfit


class Said(BaseModel):
    """One reply. `delay` is waited before it, in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str
    reasoning: str = ""
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    logprobs: tuple[float, ...] | None = None
    delay: float = 0.0


class Fault(BaseModel):
    """One failed call, `times` times (always if None), and then `then`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    error: ErrorKind
    status: int = 0
    retry_after: float | None = None
    unbilled: bool = False
    times: int | None = None
    then: str | Said | None = None


def _kind(value: object) -> str:
    if isinstance(value, list | tuple):
        return "choice"
    fault = isinstance(value, Fault) or (isinstance(value, Mapping) and "error" in value)
    return "text" if isinstance(value, str) else "fault" if fault else "said"


One = Annotated[
    Annotated[str, Tag("text")] | Annotated[Said, Tag("said")] | Annotated[Fault, Tag("fault")], Discriminator(_kind)
]
Line = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[Said, Tag("said")]
    | Annotated[Fault, Tag("fault")]
    | Annotated[tuple[One, ...], Tag("choice"), Field(min_length=1)],
    Discriminator(_kind),
]


class Rule(BaseModel):
    """`say` where every condition that is given holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: Line
    when: re.Pattern[str] | None = None
    question: re.Pattern[str] | None = None
    turn: int | None = None


class Script(BaseModel):
    """What a scripted model says; see the module's docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replies: tuple[Line, ...] = ()
    turns: tuple[Line, ...] = ()
    rules: tuple[Rule, ...] = ()


Answerer = Callable[[Request], "str | Reply | ProviderError | Awaitable[str | Reply]"]
_LINES: TypeAdapter[tuple[Line, ...]] = TypeAdapter(tuple[Line, ...])


class ScriptedModel:
    """Says what `script`, `replies` or `answer` say. `requests` keeps what was asked, in order."""

    def __init__(
        self,
        replies: Sequence[object] = (),
        *,
        script: Script | None = None,
        answer: Answerer | None = None,
        spec: str = "scripted",
    ) -> None:
        self._script = script or Script(replies=_LINES.validate_python(tuple(replies)))
        self._answer = answer
        self._spec = spec
        self._calls = 0
        self._asked: Counter[tuple[int, str]] = Counter()
        self.requests: list[Request] = []

    @property
    def spec(self) -> str:
        return self._spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`."""
        self.requests.append(request)
        reply = await self._reply(request)
        if on_delta is not None:
            if reply.reasoning:
                on_delta(Delta(reply.reasoning, "reasoning"))
            for piece in re.findall(r"\s*\S+\s*", reply.content) or [reply.content]:
                on_delta(Delta(piece))
        return reply

    async def names(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        """Nothing to release."""

    async def _reply(self, request: Request) -> Reply:
        if self._answer is not None:
            answer = self._answer(request)
            answer = await answer if isinstance(answer, Awaitable) else answer
            if isinstance(answer, ProviderError):
                raise answer
            return self._made(answer) if isinstance(answer, str) else answer
        said = self._drawn(self._line(request), request)
        if isinstance(said, str):
            return self._made(said)
        if said.delay:
            await asyncio.sleep(said.delay)
        fields = said.model_dump(exclude={"delay", "usage"})
        return Reply(**fields, usage=said.usage, model=self._spec)

    def _made(self, content: str) -> Reply:
        return Reply(content=content, finish_reason="stop", model=self._spec)

    def _line(self, request: Request) -> Line:
        script, turn = self._script, sum(message.role == "assistant" for message in request.messages)
        users = [message.content for message in request.messages if message.role == "user"] or [""]
        for rule in script.rules:
            if _fits(rule.when, users[-1]) and _fits(rule.question, users[0]) and rule.turn in (None, turn):
                return rule.say
        if script.turns:
            return script.turns[min(turn, len(script.turns) - 1)]
        if script.replies:
            self._calls += 1
            return script.replies[min(self._calls, len(script.replies)) - 1]
        raise ProviderError(
            "The script has nothing to say here.",
            provider="scripted",
            kind="bad_request",
            hint="Add a rule without conditions at its end.",
        )

    def _drawn(self, line: Line, request: Request) -> str | Said:
        """Faults raised or passed, alternatives drawn by the seed and the length of the conversation."""
        if isinstance(line, tuple):
            drawn = hashlib.sha256(f"{request.seed}/{len(request.messages)}".encode()).digest()
            line = line[int.from_bytes(drawn[:8], "big") % len(line)]
        return self._passed(line, request) if isinstance(line, Fault) else line

    def _passed(self, fault: Fault, request: Request) -> str | Said:
        asked = (id(fault), f"{request.seed}/{hash(request.messages)}")
        self._asked[asked] += 1
        if fault.times is not None and self._asked[asked] > fault.times and fault.then is not None:
            return fault.then
        raise ProviderError(
            f"scripted failed as its script says ({fault.error}).",
            provider="scripted",
            kind=fault.error,
            status=fault.status,
            hint="Change the script.",
            retry_after=fault.retry_after,
            unbilled=fault.unbilled,
        )


def open_scripted(opening: Opening) -> ScriptedModel:
    """The script in the file that the spec names.

    Raises:
        SetupError: the file cannot be read, or does not hold a script.
    """
    path = Path(opening.name).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
        loaded = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        script = Script.model_validate(loaded)
    except OSError as error:
        raise SetupError(f"The script {path} cannot be read ({cause(error)}): check --model {opening.spec}.") from error
    except ValidationError as error:
        place, _, advice = misfit(error)
        where = ".".join(map(str, place)) or "its top"
        raise SetupError(f"The script {path} has a mistake at {where}: {advice}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise SetupError(f"The script {path} is not YAML or JSON ({cause(error)}): fix it.") from error
    return ScriptedModel(script=script, spec=opening.spec)


def _fits(pattern: re.Pattern[str] | None, text: str) -> bool:
    return pattern is None or pattern.search(text) is not None
