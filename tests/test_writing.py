"""Writing tests from the command line, and solving code problems with every strategy, over the wire."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Event, Warned
from openstrawberry.generate import Run
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import Verifiers
from openstrawberry.verifiers.code import Code
from openstrawberry.verifiers.levels import WEAKER
from openstrawberry.writing import Validity, read_tests
from tests.cli.commands import Shell
from tests.servers.dialects import Said, openai
from tests.servers.http import Answer, Received, Server
from tests.verifiers.contained import any_sandbox, code_problem, sandbox_at

ADD = {"question": "Add two numbers.", "answer": "def add(a, b):\n    return a + b"}
ECHO = {"question": "Print what you read.", "answer": "print(input())"}
UNSOLVED = {"question": "Double the number n that you read."}
HAS = {"question": "Has tests.", "answer": "def f(): return 1", "tests": ["assert f() == 1"]}
EASY = {"question": "Return nothing.", "answer": "def nothing():\n    return None"}
LOST = {"question": "Whatever is asked.", "answer": "def lost():\n    return 1"}
SAID = {
    "Add two": [
        "assert add(1, 2) == 3",
        "assert add(1, 2) == 4",
        "assert add('a', 1) is None",
        "assert add(0, 0) == 0",
    ],
    "Print what": [{"input": "7", "output": "7\n"}, {"input": "", "output": "nothing"}],
    "Double the": [{"input": "2", "output": "4"}],
    "Return nothing": ["assert nothing() is None"],
    "Whatever": ["assert lost() == 2"],
}


def script(folder: Path) -> Path:
    rules = [{"question": start, "say": json.dumps({"tests": tests})} for start, tests in SAID.items()]
    path = folder / "writer.yaml"
    path.write_text(yaml.safe_dump({"rules": rules, "replies": ["hm"]}))
    return path


def test_tests_are_written_measured_kept_and_read_by_generate(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    any_sandbox()
    monkeypatch.chdir(shell.folder)
    source = shell.folder / "bare.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in (ADD, ECHO, UNSOLVED, HAS, EASY, LOST)))
    model = f"scripted:{script(shell.folder)}"
    done = shell.strawberry("problems", source, "--write-tests", "--model", model, "--json")
    assert done.code == 0, done.err
    report = done.events[-1]
    wanted = {"problems": 3, "written": 9, "held": 4, "unchecked": 1, "had_tests": 1, "idle": 1, "without": 1}
    assert {name: report[name] for name in wanted} == wanted
    assert report["file"] == "bare-with-tests.jsonl"
    add, echo, unsolved, has = load_problems(report["file"])
    assert add.meta()["tests"] == [SAID["Add two"][0], SAID["Add two"][3]]
    assert add.meta()["tests_by"] == {"model": model, "written": 4, "kept": 2, "checked": True}
    assert add.question == "Add two numbers.\n\nDefine:\ndef add(a, b)"
    assert (echo.meta()["tests"], echo.question) == (SAID["Print what"][:1], ECHO["question"])
    assert (unsolved.meta()["tests_by"]["checked"], unsolved.answer) == (False, "")
    assert has.meta() == {"tests": HAS["tests"]}
    assert sum(event["event"] == "trace" for event in done.events) == 5  # nothing is asked where there are tests
    statuses = {trace.problem.question[:9]: trace.verdict.status for trace in read_traces(Path(report["run"]))}
    assert (statuses["Add two n"], statuses["Double th"], statuses["Return no"]) == (
        "incorrect",
        "unknown",
        "incorrect",
    )
    verified = shell.strawberry("verify", report["run"], "--json")
    assert (verified.code, verified.events) == (0, [])  # tests are no answers
    assert {trace.problem.question[:9]: trace.verdict.status for trace in read_traces(Path(report["run"]))} == statuses

    solver = shell.folder / "solver.yaml"
    solver.write_text(yaml.safe_dump({"replies": [f"<final_answer>\n{ADD['answer']}\n</final_answer>"]}))
    shell.run = shell.folder / "solved"
    solved = shell.strawberry(
        "generate", "--model", f"scripted:{solver}", "--problems", report["file"], "--out", shell.run, "--json",
        "--samples", 1, "--strategy", "zero-shot",
    )  # fmt: skip
    assert solved.code == 0
    found = {event["question"][:3]: event["status"] for event in solved.events if event["event"] == "trace"}
    assert found == {"Add": "correct", "Pri": "incorrect", "Dou": "incorrect", "Has": "incorrect"}


def test_the_report_is_a_few_lines(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    any_sandbox()
    monkeypatch.chdir(shell.folder)
    (shell.folder / "bare.jsonl").write_text(json.dumps(ADD) + "\n")
    arguments = ("problems", "bare.jsonl", "--write-tests", "--model", f"scripted:{script(shell.folder)}")
    done = shell.strawberry(*arguments, "--out", "tests.jsonl")
    assert "tests  4 by the model; the known solution passes 2 of 4 (50%, 95% interval 15% to 85%)" in done.out
    assert "problems  1 have tests now" in done.out
    assert "strawberry generate --problems tests.jsonl" in done.out
    again = shell.strawberry("problems", "tests.jsonl", "--write-tests", "--model", "berry")
    assert (again.code, "Every problem of tests.jsonl has tests" in again.err) == (1, True)


def test_flags_of_writing_are_refused_where_nothing_is_written(shell: Shell) -> None:
    done = shell.strawberry("problems", shell.problems, "--model", "berry")
    assert (done.code, done.err) == (
        2,
        "strawberry: --model is for writing tests: add --write-tests, or leave it out.\n",
    )


def test_a_budget_for_writing_knows_prices_of_ones_own(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shell.folder)
    (shell.folder / "bare.jsonl").write_text(json.dumps(ADD) + "\n")
    (shell.folder / "prices.yaml").write_text('"scripted:*": {input: 10, output: 100}')
    arguments = ("problems", "bare.jsonl", "--write-tests", "--model", f"scripted:{script(shell.folder)}")
    done = shell.strawberry(*arguments, "--budget-usd", "0.0001", "--prices", "prices.yaml")
    assert (done.code, "The budget of $0.0001 does not cover another request" in done.err) == (1, True)


def test_the_embedded_model_is_not_asked_for_tests(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shell.folder)
    (shell.folder / "bare.jsonl").write_text(json.dumps(ADD) + "\n")
    done = shell.strawberry("problems", "bare.jsonl", "--write-tests")
    assert (done.code, "name a real model with --model" in done.err) == (1, True)
    assert shell.strawberry("problems", "--write-tests").err == done.err  # nor for those that it knows


def test_tests_are_judged_by_the_known_solution() -> None:
    problem = Problem(**ADD, verifier="code")
    sandbox = any_sandbox()
    lists = [["assert add(1, 2) == 3"], ["assert add(1, 2) == 4"], ["assert add(1, 2) != 5"], ["assert True"], []]

    async def run() -> list[tuple[str, str]]:
        validity = Validity(Code(sandbox=sandbox))
        try:
            found = [await validity.verify(problem, json.dumps(tests)) for tests in lists]
            found.append(await validity.verify(Problem(question="?", answer="", verifier="code"), '["assert f()"]'))
            return [(one.status, one.detail) for one in found]
        finally:
            await validity.close()

    assert asyncio.run(run()) == [
        ("correct", "the known solution passes 1 of 1"),
        ("incorrect", "the known solution passes 0 of 1"),
        ("incorrect", "doing nothing passes all of them"),
        ("incorrect", "the known solution passes 0 of 1"),
        ("no_answer", ""),
        ("unknown", "no solution is known"),
    ]
    assert read_tests("[[[[") == read_tests('{"a": 1}') == read_tests("[1, null]") == []


CODE = (
    "def shout(text):\n    result = []\n    for word in text.split():\n        result.append(word.upper())\n"
    "    return ' '.join(result)"
)
REPLIES = {
    "plain": f"<final_answer>\n{CODE}\n</final_answer>",
    "fenced": f"<final_answer>\n```python\n{CODE}\n```\n</final_answer>",
    "fenced in prose": f"Done.\n<final_answer>Here it is:\n\n```python\n{CODE}\n```\n\nIt splits.</final_answer>",
}


def solve(folder: Path, strategy: str, text: str, **options: object) -> tuple[list[Trace], list[Event]]:
    """One trace through a real SDK against a loopback server that always says `text`."""
    problem = code_problem(tests=["assert shout('a b') == 'A B'", "assert shout('') == ''"])
    heard: list[Event] = []

    def handler(received: Received) -> Answer:
        return openai(Said(text), stream=False)

    async def session() -> None:
        async with Server(handler) as server:
            config = RunConfig(
                model=f"compat:m@{server.url}/v1", out=folder / "run", samples=1, strategy=strategy, **options
            )
            run = Run(config, Settings({}), emit=heard.append, problems=[problem])
            try:
                await run.run()
            finally:
                await run.close()

    asyncio.run(session())
    return list(read_traces(folder / "run")), heard


@pytest.mark.parametrize("strategy", ["zero-shot", "cot", "strawberry"])
@pytest.mark.parametrize("text", REPLIES.values(), ids=REPLIES)
def test_code_in_a_final_answer_is_solved_by_every_strategy(tmp_path: Path, strategy: str, text: str) -> None:
    any_sandbox()
    (trace,), heard = solve(tmp_path, strategy, text)
    assert (trace.verdict.status, trace.verdict.verifier, trace.verdict.detail) == ("correct", "code", "")
    assert trace.verdict.method == "final_answer"
    assert sum(isinstance(event, Warned) for event in heard) <= 1


def test_a_fenced_block_without_a_final_answer_is_an_answer_too(tmp_path: Path) -> None:
    any_sandbox()
    (trace,), _ = solve(tmp_path, "cot", f"Let me think.\n\n```python\n{CODE}\n```")
    assert (trace.verdict.status, trace.verdict.method) == ("correct", "code")


def test_weak_isolation_is_said_once_in_a_run() -> None:
    sandbox = sandbox_at("limits")
    said: list[str] = []

    async def run() -> None:
        async with Verifiers(made={"code": lambda: Code(sandbox=sandbox)}, warn=said.append) as verifiers:
            problem = code_problem(tests=["assert f() == 1"])
            for _ in range(3):
                assert (await verifiers.verify(problem, "def f(): return 1")).status == "correct"

    asyncio.run(run())
    assert said == [WEAKER]
