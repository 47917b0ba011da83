"""Mathematically the same, by a process that can be killed."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.math import Math, decide_quickly
from openstrawberry.verifiers.verifier import Verdict


def verdicts(pairs: Sequence[tuple[str, str]], metadata: str = "{}", deadline_s: float = 20.0) -> list[Verdict]:
    async def run() -> list[Verdict]:
        verifier = Math(workers=1, deadline_s=deadline_s)
        try:
            problems = [Problem(question="?", answer=known, verifier="math", metadata=metadata) for known, _ in pairs]
            checks = [verifier.verify(problem, answer) for problem, (_, answer) in zip(problems, pairs, strict=True)]
            return list(await asyncio.gather(*checks))
        finally:
            await verifier.close()

    return asyncio.run(run())


SAME = [
    (r"\frac{1}{2}", "0.5"),
    (r"\frac12", "1/2"),
    (r"\dfrac{3}{4}", r"$\frac{3}{4}$"),
    ("x^2-1", "(x+1)(x-1)"),
    ("x^2-1", "x**2 - 1"),
    (r"2x\ln x + x", r"x(2\ln x+1)"),
    (r"\sqrt{8}", r"2\sqrt{2}"),
    ("2*pi", r"2\pi"),
    ("sqrt(2)/2", r"\frac{1}{\sqrt{2}}"),
    (r"\{1,2\}", r"\{2,1\}"),
    ("x=5", "5"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}"),
    ("50%", "0.5"),
    (r"10^{-3}", "0.001"),
    ("x^2", "x²"),
    ("100", "10²"),
    ("y'", r"y^{\prime}"),
]
DIFFERENT = [
    ("3", "13"),
    (r"\frac{1}{2}", r"\frac{1}{3}"),
    ("x^2-1", "x^2+1"),
    ("x+", ""),
    (r"\pi", "3.14"),
    ("(1,2)", "(2,1)"),
    (r"\text{even}", "odd"),
    ("Evelyn", "Evlyen"),
    (r"\sqrt{2}", "no idea"),
    ("n!", "n"),
    ("(n-1)!", "(n-1)"),
    ("5", "5!"),
    ("y'", "y"),
    ("y'", "y''"),
    ("11/2", "1 1/2"),
    ("12", "1 2"),
    ("12", r"1\,2"),
    ("102", "10²"),
    (r"\sqrt{2}", "}{" * 50),
]


def test_equal_expressions_are_correct_and_others_are_not() -> None:
    said = verdicts([*SAME, *DIFFERENT])
    assert [(pair, verdict.status) for pair, verdict in zip(SAME, said, strict=False)] == [
        (pair, "correct") for pair in SAME
    ]
    expected = ["no_answer" if not answer else "incorrect" for _, answer in DIFFERENT]
    assert [verdict.status for verdict in said[len(SAME) :]] == expected


def test_a_comparison_that_hangs_is_a_timeout_and_the_next_one_is_answered() -> None:
    said = verdicts([(r"\sin(10^{10^{9}})", "1"), ("x^2-1", "(x+1)(x-1)")], deadline_s=1.5)
    assert [verdict.status for verdict in said] == ["timeout", "correct"]


def test_a_known_answer_that_is_no_mathematics_is_unknown() -> None:
    (said,) = verdicts([("x+*", "5y")])
    assert said.status == "unknown"
    assert "--verifier exact" in said.detail


def test_further_accepted_answers_count() -> None:
    (said,) = verdicts([("x^2", "b(a+1)")], metadata='{"accepted_answers": ["ab+b"]}')
    assert said.status == "correct"


@pytest.mark.parametrize(
    ("known", "answer", "decision"),
    [
        ("x+1", "$x + 1$", True),
        (r"\dfrac{1}{2}", r"\frac{1}{2}", True),
        (r"\text{east}", "East.", True),
        (r"\text{east}", "west", False),
        ("1,234", "1234.0", True),
        ("3", "13", False),
        ("1/3", "0.3333333", None),
        ("x+1", "1+x", None),
        ("n!", "n", None),
        ("y'", "y", None),
        ("X", "x", None),
        ("11/2", "1 1/2", None),
        ("12", "1 2", None),
        ("102", "10²", None),
        (r"\leftarrow", r"\rightarrow", None),
        (r"\left(x, y\right)", "(x,y)", True),
        ("a b", r"a\,b", True),
    ],
)
def test_texts_and_plain_numbers_are_decided_without_a_process(known: str, answer: str, decision: bool | None) -> None:
    assert decide_quickly([known], answer) is decision


def test_nothing_a_model_writes_makes_it_raise() -> None:
    rng = random.Random(6)
    pieces = [
        *"0123456789xyz+-*/^=()[]{}\\_&,.$ \n",
        r"\frac",
        r"\sqrt",
        r"\boxed{",
        r"\begin{matrix}",
        "\x00",
        "\ud800",
    ]
    answers = ["".join(rng.choices(pieces, k=rng.randrange(1, 8))) for _ in range(150)] + ["x" * 1_000_000]
    said = verdicts([(r"\frac{x}{2}", answer) for answer in answers])
    assert {verdict.status for verdict in said} <= {"correct", "incorrect", "no_answer", "unknown"}


def test_what_a_model_writes_cannot_touch_files_or_see_the_environment(tmp_path: Path) -> None:
    target = f"{tmp_path}/made"
    attack = f"__import__('os').system('touch {target}')"
    verdicts([("x", attack), ("x", f"open('{target}','w')")])
    assert not list(tmp_path.iterdir())
