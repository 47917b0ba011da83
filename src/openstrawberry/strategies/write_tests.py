"""Tests that a model writes for a problem: asserts for a function, inputs and outputs for a program.

Source: O1-CODER (Zhang et al. 2024), where tests that a model has written give the reward for code. The model sees the
problem and the heads of the functions that are asked for, never a solution. What the tests are worth is measured
afterwards, against a known solution (`openstrawberry/writing.py`); the verdict on a trace is what came of that, so that
`select` makes preference pairs for the writing of tests out of the same runs.
"""

import ast
import json
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet, filled
from openstrawberry.strategies.strategy import Answer, Steps, Strategy, Task
from openstrawberry.strategies.structured import ask_json
from openstrawberry.trace import Stop
from openstrawberry.verifiers.cases import cases_of, tree_of

LONGEST = 20_000
"""Characters of a test; longer ones are no test that somebody worked out by hand."""


class Asserts(BaseModel):
    """Tests of a function."""

    tests: list[str] = Field(description="each a few lines of Python that end in an assert")


class Example(BaseModel):
    """One run of a program."""

    input: str = Field(default="", description="the whole of standard input")
    output: str = Field(description="the whole of standard output")


class Examples(BaseModel):
    """Tests of a program."""

    tests: list[Example]


class WriteTests(Strategy):
    """One question, answered in JSON; asked again where that cannot be read."""

    name: ClassVar[str] = "write-tests"

    count: int = Field(default=8, ge=1, le=100, description="tests that are asked for")
    style: Literal["auto", "function", "program"] = Field(
        default="auto", description="function (asserts), program (input and output), or auto: as the problem has it"
    )
    repairs: int = Field(default=2, ge=0, le=10, description="how often JSON that cannot be read is asked for again")
    temperature: float | None = Field(default=None, ge=0, description="sampling temperature; unset: the model's own")

    @property
    def sees_answers(self) -> bool:
        """The heads of the functions that are asked for come from the known solution."""
        return True

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """One, and its repairs."""
        return min(1 + self.repairs, turns or 1 + self.repairs)

    def solve(self, task: Task) -> Steps[Answer]:
        """Asks for the tests; the answer is their JSON list, each test once."""
        style = self.style if self.style != "auto" else style_of(task.problem)
        heads = _told(heads_of(task.problem))
        text = filled(task.prompts.text(style), count=str(self.count), heads=heads, question=task.problem.question)
        kind: type[Asserts] | type[Examples] = Asserts if style == "function" else Examples
        read = yield from ask_json(task, text, kind, temperature=self.temperature, repairs=self.repairs)
        if read.value is None:
            stop: Stop = "refused" if read.node.finish_reason == "filter" else "final_answer"
            return Answer("", read.node, stop, detail=f"the tests could not be read: {read.trouble}")
        tests = read.value.model_dump()["tests"]
        kept = [test for place, test in enumerate(tests) if test not in tests[:place] and _is_test(test)]
        if not kept:
            return Answer("", read.node, method="json", detail="none of what was written is a test")
        return Answer(json.dumps(kept[: self.count]), read.node, method="json")


def style_of(problem: Problem) -> Literal["function", "program"]:
    """Whether a function is asked for, or a program that reads standard input."""
    cases = cases_of(problem)
    return "function" if cases.entry_point or cases.head or heads_of(problem) else "program"


def heads_of(problem: Problem) -> list[str]:
    """The heads of the functions and classes at the top of the known solution, without what is in them.

    Empty for a program: one that does something when it is run, or that has no known solution.
    """
    tree = tree_of(problem.answer)
    body = tree.body if tree else []
    defined = [node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    runs = any(isinstance(node, ast.For | ast.While | ast.If | ast.With | ast.Try) or _is_call(node) for node in body)
    return [] if runs and not cases_of(problem).entry_point else [_head(node) for node in defined]


def _head(node: ast.FunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.FunctionDef):
        return f"def {node.name}({ast.unparse(node.args)})"
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    return "\n".join([f"class {node.name}", *(f"    {_head(method)}" for method in methods)])


def _is_call(node: ast.stmt) -> bool:
    """Whether it is an expression on a line of its own, and no docstring."""
    return isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)


def _told(heads: list[str]) -> str:
    return "\n".join(["A solution defines:", *heads]) if heads else ""


def _is_test(test: object) -> bool:
    if isinstance(test, str):
        return 0 < len(test.strip()) <= LONGEST and tree_of(test) is not None
    return isinstance(test, dict) and sum(map(len, test.values())) <= LONGEST and bool(test["output"].strip())
