"""Tests that a model writes, answered by hand."""

import json

import pytest

from openstrawberry.chat import Reply
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.source import dump
from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.strategy import Answer, Ask, Task
from openstrawberry.strategies.write_tests import WriteTests, heads_of, style_of
from tests.strategies.playing import play, scripted

FUNCTION = Problem(question="Add two numbers.", answer="def add(a, b=0):\n    return a + b", verifier="code")
PROGRAM = Problem(question="Read n, print 2n.", answer="n = int(input())\nprint(2 * n)", verifier="code")
TESTS = ["assert add(1, 2) == 3", "assert add(0) == 0"]


def written(problem: Problem, *replies: str | Reply, **options: object) -> tuple[Answer, Task, list[Ask]]:
    task, asked = Task(problem, load_prompts("write-tests", "brief")), list[Ask]()
    return play(WriteTests(**options), task, scripted(replies), asked=asked), task, asked


def test_the_whole_conversation_with_one_repair() -> None:
    good = json.dumps({"tests": TESTS})
    answer, task, asked = written(FUNCTION, "Here are my tests.", good, count=2)
    assert [(node.role, node.channel) for node in task.tree.nodes] == [("user", "main"), ("assistant", "main")] * 2
    told = [node.content for node in task.tree.nodes]
    assert told[0].startswith(
        "Add two numbers.\nA solution defines:\ndef add(a, b=0)\n"
        "Do not solve it. Write 2 short Python tests for it. Each ends in one assert with a value that you are sure of."
        "\n\nAnswer with one JSON value that fits this JSON schema"
    )
    assert "return a + b" not in told[0]  # the known solution is never shown
    assert told[2].startswith("That could not be read: there is no JSON in it.")
    assert (json.loads(answer.text), answer.stop, answer.method) == (TESTS, "final_answer", "json")
    assert answer.node is task.tree.nodes[-1]
    assert all(ask.response_schema is not None for ask in asked)


def test_a_program_gets_inputs_and_outputs() -> None:
    tests = [{"input": "3", "output": "6"}]
    answer, task, _ = written(PROGRAM, json.dumps({"tests": tests}))
    assert "the whole input" in task.tree.nodes[0].content
    assert json.loads(answer.text) == tests


def test_what_is_no_test_or_stands_twice_is_left_out() -> None:
    tests = [TESTS[0], TESTS[0], "assert (", " ", "x" * 30_000, TESTS[1]]
    answer, _, _ = written(FUNCTION, json.dumps({"tests": tests}))
    assert json.loads(answer.text) == TESTS
    none, _, _ = written(FUNCTION, json.dumps({"tests": ["("]}))
    assert (none.text, none.detail) == ("", "none of what was written is a test")
    assert json.loads(written(FUNCTION, json.dumps({"tests": TESTS}), count=1)[0].text) == TESTS[:1]
    assert written(PROGRAM, json.dumps({"tests": [{"input": "", "output": " "}]}))[0].text == ""


def test_a_refusal_and_endless_junk_end() -> None:
    assert written(FUNCTION, Reply(content="I cannot.", finish_reason="filter"))[0].stop == "refused"
    answer, _, asked = written(FUNCTION, "hm", repairs=3)
    assert (answer.text, answer.stop, len(asked)) == ("", "final_answer", 4)
    assert answer.detail == "the tests could not be read: there is no JSON in it"


@pytest.mark.parametrize(
    ("answer", "metadata", "style", "heads"),
    [
        ("def f(x, *, y=1): return x", {}, "function", ["def f(x, *, y=1)"]),
        ('"""Doc."""\nimport re\nclass A:\n    def go(self): pass', {}, "function", ["class A\n    def go(self)"]),
        ("def main():\n    print(1)\nmain()", {}, "program", []),
        ("def main(): pass\nif __name__ == '__main__':\n    main()", {}, "program", []),
        ("", {}, "program", []),
        ("no code", {}, "program", []),
        ("return x", {"entry_point": "f"}, "function", []),
    ],
)
def test_the_known_solution_says_what_kind_of_tests_fit(
    answer: str, metadata: dict[str, str], style: str, heads: list[str]
) -> None:
    problem = Problem(question="?", answer=answer, verifier="code", metadata=dump(metadata))
    assert (style_of(problem), heads_of(problem)) == (style, heads)
