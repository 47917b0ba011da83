"""Verifiers by name, opened once and closed together."""

import asyncio
import subprocess
import sys

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import load_prompts
from openstrawberry.verifiers.catalogue import VERIFIERS, Verifiers, open_verifier
from openstrawberry.verifiers.judge import Judge


def test_each_problem_is_checked_by_the_verifier_it_names() -> None:
    async def run() -> list[str]:
        async with Verifiers() as verifiers:
            pairs = [("numeric", "3.0"), ("exact", "3.0"), ("math", "3.0"), ("choice", "3.0")]
            problems = [Problem(question="?", answer="3", verifier=name) for name, _ in pairs]
            said = [await verifiers.verify(p, answer) for p, (_, answer) in zip(problems, pairs, strict=True)]
            return [f"{verdict.verifier} {verdict.status}" for verdict in said]

    assert asyncio.run(run()) == ["numeric correct", "exact incorrect", "math correct", "choice unknown"]


def test_a_forced_verifier_wins_over_the_one_named() -> None:
    async def run() -> str:
        async with Verifiers("exact") as verifiers:
            return (await verifiers.verify(Problem(question="?", answer="3", verifier="numeric"), "3.0")).status

    assert asyncio.run(run()) == "incorrect"


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(SetupError, match="did you mean 'numeric'"):
        Verifiers("numerik")
    with pytest.raises(SetupError, match="--judge-model"):
        Verifiers("judge")


def test_the_catalogue_imports_no_checker_until_it_is_asked_for() -> None:
    code = "import sys, openstrawberry.verifiers.catalogue; print('sympy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


@pytest.mark.parametrize("name", sorted(VERIFIERS.table))
def test_every_verifier_says_no_answer_to_silence(name: str) -> None:
    async def run() -> str:
        model = ScriptedModel(answer=lambda request: "", spec="scripted:judge")
        verifier = Judge(model, load_prompts("judge", "full")) if name == "judge" else open_verifier(name)
        verdict = await verifier.verify(Problem(question="?", answer="3"), " \n\t")
        await verifier.close()
        return f"{verdict.verifier} {verdict.status}"

    assert asyncio.run(run()) == f"{name} no_answer"
