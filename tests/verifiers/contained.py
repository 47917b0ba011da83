"""Sandboxes for tests: one for each level that this machine permits."""

import asyncio
from functools import cache

import pytest

from openstrawberry.problems.problem import Problem
from openstrawberry.problems.source import dump
from openstrawberry.verifiers.code import Code
from openstrawberry.verifiers.levels import Level, Way
from openstrawberry.verifiers.process import Limits
from openstrawberry.verifiers.sandbox import Sandbox, Uncontained
from openstrawberry.verifiers.verifier import Verdict

SMALL = Limits(cpu_s=1, memory=512 * 2**20, file_bytes=2**20, files=32, processes=8)


@cache
def way(level: Level) -> Way | str:
    """The way to contain at `level`, or why there is none."""

    async def find() -> Way | str:
        sandbox = Sandbox((level,))
        try:
            return await sandbox.way()
        except Uncontained as error:
            return str(error)
        finally:
            await sandbox.close()

    return asyncio.run(find())


def sandbox_at(level: Level) -> Sandbox:
    """A sandbox of that level; skips the test where this machine does not permit it."""
    found = way(level)
    if isinstance(found, str):
        pytest.skip(f"{level} does not work here: {found}")
    return Sandbox((level,), found=found)


def any_sandbox() -> Sandbox:
    """The strongest one; skips where there is none."""
    levels: tuple[Level, ...] = ("bubblewrap", "namespaces", "limits")
    return sandbox_at(next((level for level in levels if isinstance(way(level), Way)), "limits"))


def code_problem(**metadata: object) -> Problem:
    """A problem with these tests."""
    return Problem(question="Write it.", answer="", verifier="code", metadata=dump(metadata))


def verdicts(pairs: list[tuple[Problem, str]], sandbox: Sandbox | None = None, limits: Limits = SMALL) -> list[Verdict]:
    """The verdicts on answers, checked side by side."""

    box = sandbox or any_sandbox()

    async def run() -> list[Verdict]:
        verifier = Code(sandbox=box, limits=limits)
        try:
            return list(await asyncio.gather(*(verifier.verify(problem, answer) for problem, answer in pairs)))
        finally:
            await verifier.close()

    return asyncio.run(run())


def verdict(problem: Problem, answer: str, sandbox: Sandbox | None = None, limits: Limits = SMALL) -> Verdict:
    """The verdict on one answer."""
    (found,) = verdicts([(problem, answer)], sandbox, limits)
    return found
