"""The verifier `code`: runs a problem's unit tests, or its examples of input and output, contained (see `sandbox.py`).

Sources: HumanEval (Chen et al. 2021) and MBPP (Austin et al. 2021) for functions, APPS (Hendrycks et al. 2021) for
programs that read standard input.

What always holds: the tests never are in the process that runs the model's code, so it can neither read nor skip nor
patch them (`inside/`). More processor time than allowed is `incorrect`, as that is the code's own doing; more time by
the clock is `timeout`, as that may be the machine's. Tests that cannot be run are `unknown`, and so is everything where
code cannot be contained at all. Details that are kept in a trace are one short line.
"""

import json
import math
import signal
from dataclasses import replace

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.cases import Cases, Exchange, cases_of
from openstrawberry.verifiers.levels import weakness
from openstrawberry.verifiers.process import Limits, Ran
from openstrawberry.verifiers.program import program_in
from openstrawberry.verifiers.sandbox import Sandbox, Uncontained
from openstrawberry.verifiers.verifier import Status, Verdict

MAX_CHARS, MAX_DETAIL = 100_000, 500

Outcome = tuple[Status, str]


class Code:
    """Runs code against tests.

    Args:
        sandbox: where it runs; by default as strongly contained as this machine permits.
        limits: what it may use; a problem's own `time_limit_s` goes before that of the processor time.
    """

    def __init__(self, *, sandbox: Sandbox | None = None, limits: Limits | None = None) -> None:
        self.sandbox = sandbox or Sandbox()
        self.limits = limits or Limits()

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        if not answer.strip():
            return Verdict(status="no_answer", verifier="code")
        cases = cases_of(problem)
        if cases.empty:
            detail = "the problem has no tests; write some with: strawberry problems SOURCE --write-tests"
            return Verdict(status="unknown", verifier="code", detail=detail)
        if len(answer) > MAX_CHARS:
            return Verdict(status="incorrect", verifier="code", detail=f"the answer has {len(answer)} characters")
        status, detail = await self.outcome(program_in(answer, cases), cases)
        return Verdict(status=status, verifier="code", detail=" ".join(detail.splitlines())[:MAX_DETAIL])

    async def outcome(self, code: str, cases: Cases) -> Outcome:
        """What comes of running all of `cases`, up to the first that `code` does not pass."""
        limits = self._limits(cases)
        try:
            if cases.asserts:
                return await self._judged(code, cases, limits)
            for number, exchange in enumerate(cases.exchanges, 1):
                status, detail = await self._exchanged(code, exchange, cases.tolerance, limits)
                if status != "correct":
                    return status, f"test {number} of {len(cases.exchanges)}: {detail}"
        except Uncontained as error:
            return "unknown", str(error)
        except OSError as error:
            return "unknown", f"no process could be started ({error.strerror or error})"
        return "correct", ""

    async def warning(self) -> str:
        """What does not hold on this machine, in one sentence; empty at the strong levels."""
        try:
            return weakness((await self.sandbox.way()).level)
        except Uncontained as error:
            return str(error)

    async def close(self) -> None:
        await self.sandbox.close()

    def _limits(self, cases: Cases) -> Limits:
        return replace(self.limits, cpu_s=cases.time_limit_s or self.limits.cpu_s)

    async def _judged(self, code: str, cases: Cases, limits: Limits) -> Outcome:
        job = {
            "code": f"{cases.prelude}\n{code}" if cases.prelude else code,
            "setup": cases.prelude,
            "tests": cases.asserts,
        }
        judge, solution = await self.sandbox.judged(job, limits)
        if judge.overran:
            return "timeout", f"not done after {limits.wall_s:g} s by the clock"
        try:
            outcomes = json.loads(judge.output)
            said, detail = outcomes[-1]
        except (ValueError, LookupError, TypeError):
            return "unknown", f"the judge of the tests failed: {_ending(judge, limits) or 'it ended without a word'}"
        if said == "passed" and len(outcomes) == len(cases.asserts):
            return "correct", ""
        if said == "broken":
            return "unknown", detail
        if solution.signal == signal.SIGKILL:
            return "unknown", "it was killed, for its memory or by somebody else"
        detail = _ending(solution, limits) if solution.signal else detail
        numbered = said == "failed" and len(cases.asserts) > 1
        return "incorrect", f"test {len(outcomes)} of {len(cases.asserts)}: {detail}" if numbered else detail

    async def _exchanged(self, code: str, exchange: Exchange, tolerance: float, limits: Limits) -> Outcome:
        ran = await self.sandbox.program(code, exchange.given.encode("utf-8", "replace"), limits)
        if ran.overran:
            return "timeout", f"not done after {limits.wall_s:g} s by the clock"
        if not ran.begun:
            return "unknown", f"the program could not be started ({ran.errors or f'exit status {ran.status}'})"
        if ran.signal == signal.SIGKILL:
            return "unknown", "it was killed, for its memory or by somebody else"
        if ran.flooded:
            return "incorrect", f"it printed more than {self.sandbox.output:,} bytes"
        if ran.status:
            return "incorrect", _ending(ran, limits) or ran.errors or f"it ended with exit status {ran.status}"
        printed = ran.output.decode("utf-8", "replace")
        if same_output(printed, exchange.wanted, tolerance):
            return "correct", ""
        return "incorrect", f"it printed {_short(printed)}, not {_short(exchange.wanted)}"


def same_output(printed: str, wanted: str, tolerance: float = 0.0) -> bool:
    """Whether two outputs agree but for spaces at the ends of lines and empty lines at the end.

    With a tolerance, words that are numbers on both sides may differ by it, relative to the larger.
    """
    here, there = ([line.rstrip() for line in text.rstrip().splitlines()] for text in (printed, wanted))
    if here == there:
        return True
    if not tolerance or len(here) != len(there):
        return False
    pairs = [(one.split(), other.split()) for one, other in zip(here, there, strict=True)]
    return all(
        len(one) == len(other) and all(_near(a, b, tolerance) for a, b in zip(one, other, strict=True))
        for one, other in pairs
    )


def _near(one: str, other: str, tolerance: float) -> bool:
    try:
        return one == other or math.isclose(float(one), float(other), rel_tol=tolerance, abs_tol=tolerance)
    except ValueError:
        return False


def _ending(ran: Ran, limits: Limits) -> str:
    """How a signal ended it, as the rest of a sentence; empty if none did."""
    if not ran.signal:
        return ""
    if ran.signal == signal.SIGXCPU:
        return f"it used more than {limits.cpu_s} s of processor time"
    try:
        return f"it crashed ({signal.Signals(ran.signal).name})"
    except ValueError:
        return f"it ended with exit status {ran.status}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
