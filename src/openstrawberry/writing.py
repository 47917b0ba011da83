"""Writes tests for problems that have none: a model proposes them, the known solution says which of them hold.

    problems -> strategy write-tests x model -> traces -> kept tests -> problems as JSONL that generate reads

What always holds: a test is kept only if the known solution passes it, alone. A problem whose kept tests a solution
that does nothing passes too is left out, as such tests say nothing. Where no solution is known, tests are kept as they
were written, and the row says that nobody has checked them.

Source: O1-CODER (Zhang et al. 2024) for tests by a model as the reward; the measure of their worth is ours.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.stats import wilson
from openstrawberry.store.reading import read_traces
from openstrawberry.strategies.write_tests import heads_of
from openstrawberry.verifiers.cases import Cases, cases_in, cases_of, tree_of
from openstrawberry.verifiers.code import Code
from openstrawberry.verifiers.program import program_in
from openstrawberry.verifiers.sandbox import Uncontained
from openstrawberry.verifiers.verifier import Verdict

Test = str | dict[str, str]


class Validity:
    """Judges written tests by the known solution; the `Checker` of a run that writes them.

    A list of tests is `correct` where the known solution passes every one and a solution that does nothing does not
    pass them all, `incorrect` where it fails one, and `unknown` where no solution is known or code cannot be run.
    """

    def __init__(self, code: Code | None = None) -> None:
        self._code = code or Code()
        self._known: dict[tuple[str, str], asyncio.Task[bool | None]] = {}

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        """The verdict on a JSON list of tests."""
        tests = read_tests(answer)
        if not tests:
            return Verdict(status="no_answer", verifier="write-tests")
        held = await asyncio.gather(*(self.holds(problem, test) for test in tests))
        if None in held:
            detail = "no solution is known" if not problem.answer.strip() else "the known solution cannot be run"
            return Verdict(status="unknown", verifier="write-tests", detail=detail)
        detail = f"the known solution passes {sum(map(bool, held))} of {len(tests)}"
        if all(held) and await self.idle(problem, tests):
            return Verdict(status="incorrect", verifier="write-tests", detail="doing nothing passes all of them")
        return Verdict(status="correct" if all(held) else "incorrect", verifier="write-tests", detail=detail)

    async def holds(self, problem: Problem, test: Test) -> bool | None:
        """Whether the known solution passes `test`; None where that cannot be told. Each test is run once."""
        key = problem.id, json.dumps(test)
        if key not in self._known:
            self._known[key] = asyncio.ensure_future(self._passes(problem, problem.answer, [test]))
        return await self._known[key]

    async def idle(self, problem: Problem, tests: Sequence[Test]) -> bool:
        """Whether a solution that does nothing passes all of `tests`."""
        return bool(await self._passes(problem, _idle(problem, tests), tests))

    async def warning(self) -> str:
        """What does not hold where code is run, in one sentence."""
        return await self._code.warning()

    async def close(self) -> None:
        """Ends every process."""
        await self._code.close()

    async def _passes(self, problem: Problem, code: str, tests: Sequence[Test]) -> bool | None:
        if not code.strip():
            return None
        try:
            await self._code.sandbox.way()
        except Uncontained:
            return None
        cases = with_tests(problem, tests)
        status, _ = await self._code.outcome(program_in(code, cases), cases)
        return status == "correct"  # a test that cannot be run is none


@dataclass
class Written:
    """What came of it. `unchecked`: tests of problems without a known solution."""

    file: Path
    problems: int = 0
    written: int = 0
    held: int = 0
    unchecked: int = 0
    had_tests: int = 0
    without: int = 0
    idle: int = 0

    @property
    def checked(self) -> int:
        """Tests that a known solution was run on."""
        return self.written - self.unchecked

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the share that holds."""
        return wilson(self.held, self.checked)


@dataclass
class Collector:
    """Gathers the tests that a run has written, keeps those that hold, and writes the problems."""

    problems: Sequence[Problem]
    run: Path
    model: str
    validity: Validity
    _proposed: dict[str, list[Test]] = field(default_factory=lambda: defaultdict(list))

    async def write(self, file: Path) -> Written:
        """Writes every problem that has tests now, one row of JSONL each.

        Raises:
            SetupError: the file cannot be written.
        """
        for trace in read_traces(self.run):
            for test in read_tests(trace.answer):
                if test not in self._proposed[trace.problem.id]:
                    self._proposed[trace.problem.id].append(test)
        result = Written(file)
        rows = [row for problem in self.problems if (row := await self._row(problem, result))]
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh = file.with_name(file.name + ".tmp")
            fresh.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
            fresh.replace(file)
        except OSError as error:
            raise SetupError(
                f"{file} cannot be written ({error.strerror or error}): name another file with --out."
            ) from error
        return result

    async def _row(self, problem: Problem, result: Written) -> dict[str, Any] | None:
        if not cases_of(problem).empty:
            result.had_tests += 1
            return row_of(problem, problem.meta())
        proposed = self._proposed[problem.id]
        held = await asyncio.gather(*(self.validity.holds(problem, test) for test in proposed))
        kept = [test for test, holds in zip(proposed, held, strict=True) if holds is not False]
        result.written += len(proposed)
        result.held += held.count(True)
        result.unchecked += held.count(None)
        if not kept:
            result.without += 1
            return None
        if await self.validity.idle(problem, kept):
            result.idle += 1
            return None
        result.problems += 1
        checked = None not in held
        about = {"model": self.model, "written": len(proposed), "kept": len(kept), "checked": checked}
        return row_of(problem, {**problem.meta(), "tests": kept, "tests_by": about})


def with_tests(problem: Problem, tests: Sequence[Test]) -> Cases:
    """The tests as the verifier `code` reads them."""
    return cases_in({**problem.meta(), "tests": list(tests)})


def read_tests(answer: str) -> list[Test]:
    """The tests in the answer of a trace; anything else in it is left out."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return []
    return [test for test in found if isinstance(test, str | dict)] if isinstance(found, list) else []


def row_of(problem: Problem, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A row that any command reads. A question that does not say what a function is called is told."""
    missing = [head for head in heads_of(problem) if _name(head) not in problem.question]
    told = "\n\nDefine:\n" + "\n".join(missing) if missing else ""
    return {
        "question": problem.question + told,
        "answer": problem.answer,
        "verifier": "code",
        "difficulty": problem.difficulty,
        "metadata": dict(metadata),
    }


def _name(head: str) -> str:
    return head.split("(")[0].split()[1]


def _idle(problem: Problem, tests: Sequence[Test]) -> str:
    """A solution that does nothing: functions that return None, or a program that prints nothing."""
    cases = with_tests(problem, tests)
    names = {_name(head) for head in heads_of(problem)} | cases.wanted
    return "\n".join(_do_nothing(names)) if cases.asserts else "pass"


def _do_nothing(names: set[str] | frozenset[str]) -> Iterator[str]:
    yield "pass"
    for name in sorted(names):
        if tree_of(f"def {name}(): pass") is not None:
            yield f"def {name}(*given, **named): return None"
