"""The contract of a verifier, and the verdict it gives."""

from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from openstrawberry.problems.problem import Problem

Status = Literal["correct", "incorrect", "no_answer", "timeout", "unknown"]


class Verdict(BaseModel):
    """Whether an answer is right.

    `timeout` and `unknown` are never counted as wrong. `verifier` is who said so, `detail` why (empty when obvious).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: Status = "unknown"
    verifier: str = ""
    detail: str = ""


class Verifier(Protocol):
    """Checks an extracted answer against a problem's known one."""

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        """Never raises for anything a model may have written: junk is `incorrect`, an empty answer `no_answer`."""
        ...

    async def close(self) -> None:
        """Ends worker processes, if any."""
        ...


@runtime_checkable
class Cautious(Protocol):
    """A verifier of which a person may have to know something before it is used."""

    async def warning(self) -> str:
        """One sentence, empty where there is nothing to say."""
        ...
