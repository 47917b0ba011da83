"""The contract of a verifier, and the verdict it gives."""

from typing import Literal, Protocol

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
