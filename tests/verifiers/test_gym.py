"""reasoning-gym's own scorer."""

import asyncio
from pathlib import Path

import pytest

from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.gym import Gym
from openstrawberry.verifiers.verifier import Verdict

pytest.importorskip("reasoning_gym")


def verdicts(pairs: list[tuple[Problem, str]]) -> list[Verdict]:
    async def run() -> list[Verdict]:
        verifier = Gym(workers=1)
        try:
            return [await verifier.verify(problem, answer) for problem, answer in pairs]
        finally:
            await verifier.close()

    return asyncio.run(run())


def test_the_own_answer_of_a_task_is_right_and_others_are_not() -> None:
    tasks = [
        "gym:basic_arithmetic",
        "gym:rearc",
        "gym:word_sorting?level=1",
        "gym:countdown",
        "gym:prime_factorization",
    ]
    problems = [problem for task in tasks for problem in load_problems(task, limit=2)]
    answers = ["own", "utter nonsense", "\x00", "(" * 100, "x" * 100_000]
    pairs = [(problem, answer) for answer in answers for problem in problems]
    said = verdicts([(one, f" {one.answer}\n" if answer == "own" else answer) for one, answer in pairs])
    wrong = [
        (problem.source, answer[:9], verdict.status)
        for (problem, answer), verdict in zip(pairs, said, strict=True)
        if verdict.status != ("correct" if answer == "own" else "incorrect")
    ]
    assert wrong == []


def test_part_marks_are_not_enough() -> None:
    (problem,) = load_problems("gym:spell_backward?size=1")
    (said,) = verdicts([(problem, f"the answer is {problem.answer}")])
    assert said.status == "incorrect"


def test_a_scorer_cannot_be_made_to_write_files(tmp_path: Path) -> None:
    (problem,) = load_problems("gym:countdown?size=1")
    (said,) = verdicts([(problem, f"open('{tmp_path}/made', 'w').write('x') or 1")])
    assert said.status == "incorrect"
    assert not list(tmp_path.iterdir())


def test_an_answer_that_makes_a_scorer_hang_is_a_timeout() -> None:
    (problem,) = load_problems("gym:countdown?size=1")

    async def run() -> Verdict:
        verifier = Gym(workers=1, deadline_s=1.5)
        try:
            return await verifier.verify(problem, "9**9**9**9")
        finally:
            await verifier.close()

    assert asyncio.run(run()).status == "timeout"


def test_a_problem_that_is_not_from_a_gym_is_unknown_and_an_empty_answer_no_answer() -> None:
    other = Problem(question="?", answer="3", verifier="gym")
    assert [verdict.status for verdict in verdicts([(other, "3"), (other, " ")])] == ["unknown", "no_answer"]
