"""Finding the program in what a model wrote, and the tests in what a problem carries."""

import random
import time

import pytest

from openstrawberry.problems.problem import Problem
from openstrawberry.problems.source import dump
from openstrawberry.verifiers.cases import Cases, Exchange, cases_in, cases_of
from openstrawberry.verifiers.extract import extract, final_answer
from openstrawberry.verifiers.program import program_in

HEAD = 'def add(a, b):\n    """The sum."""\n'
ADD = Cases(asserts=("assert add(1, 2) == 3",), head=HEAD, entry_point="add", wanted=frozenset({"add"}))
PROGRAM = Cases(exchanges=(Exchange("", "1"),))
WHOLE = "def add(a, b):\n    return a + b"
CODE = Problem(question="?", answer="", verifier="code", metadata=dump({"tests": ["assert add(1, 2) == 3"]}))


def value_of(program: str) -> object:
    names: dict[str, object] = {}
    exec(program, names)
    add = names["add"]
    assert callable(add)
    return add(1, 2)


REPLIES = {
    "bare": WHOLE,
    "fenced": f"```python\n{WHOLE}\n```",
    "fenced without a language": f"```\n{WHOLE}\n```",
    "with tildes": f"~~~py\n{WHOLE}\n~~~",
    "in prose": f"Sure! Here is the function:\n\n{WHOLE}\n\nIt adds the two numbers, as you asked.",
    "fenced in prose": f"Sure:\n```python\n{WHOLE}\n```\nIt adds.",
    "never closed": f"```python\n{WHOLE}",
    "indented in a list": "1. Do:\n   ```python\n   def add(a, b):\n       return a + b\n   ```\n",
    "a draft and a correction": f"```python\ndef add(a, b):\n    return a - b\n```\nNo:\n```python\n{WHOLE}\n```",
    "a usage after it": f"```python\n{WHOLE}\n```\nUse it so:\n```python\nprint(add(1, 2))\n```",
    "a shell line after it": f"```python\n{WHOLE}\n```\n```bash\npython add.py\n```",
    "a helper in a block of its own": (
        "```python\ndef plus(a, b):\n    return a + b\n```\nand\n```python\nadd = lambda a, b: plus(a, b)\n```"
    ),
    "a body": "    return a + b",
    "a body that lost its indentation": "total = a\n    total += b\n    return total",
    "a body without any": "total = a\ntotal += b\nreturn total",
    "a body in a fence": "```python\n    total = a + b\n    return total\n```",
    "a class that has it": "class A:\n    def other(self): pass\n\nadd = lambda a, b: a + b",
    "behind an if": "import sys\nif sys.version_info > (3,):\n    def add(a, b):\n        return a + b",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_the_function_is_found_however_it_is_given(reply: str) -> None:
    program = program_in(reply, ADD)
    if "plus(a, b)" in reply:
        assert "def plus" in program_in(reply, Cases(asserts=ADD.asserts, wanted=frozenset({"add", "plus"})))
        return
    assert value_of(program) == 3


@pytest.mark.parametrize(
    "reply", [reply for name, reply in REPLIES.items() if not name.startswith(("a body", "never"))]
)
def test_code_inside_a_final_answer_keeps_its_lines(reply: str) -> None:
    text = f"I think so.\n<final_answer>\n{reply}\n</final_answer>"
    answer = final_answer(text)
    assert answer is not None
    assert program_in(answer, ADD).split() == program_in(reply, ADD).split()
    found = extract(text, CODE)
    assert (found.answer, found.method) == (answer, "final_answer")


def test_without_a_final_answer_a_program_is_an_answer_and_prose_is_none() -> None:
    for reply in ("bare", "fenced", "in prose"):
        found = extract(f"<think>def add(): pass</think>{REPLIES[reply]}", CODE)
        assert found.method == "code"
        assert value_of(program_in(found.answer, ADD)) == 3
    for text in ("I cannot do that.", "", r"\boxed{3}", "#### 3", "<think>```python\nx = 1\n```</think> Hm."):
        assert extract(text, CODE).method == "none"


def test_of_several_programs_the_longest_counts_and_never_its_output() -> None:
    program = "n = int(input())\nprint(2 * n)"
    assert program_in(f"```python\n{program}\n```\nFor 3 it prints\n```\n6\n```", PROGRAM).strip() == program


def test_no_text_makes_it_raise() -> None:
    rng = random.Random(3)
    pieces = [
        "```",
        "~~~",
        "python",
        "\n",
        "    ",
        "def add(a, b):",
        "return a",
        "(" * 500,
        "\x00",
        "\ud800",
        "'''",
        "\\",
    ]
    for _ in range(400):
        text = "".join(rng.choices(pieces, k=rng.randrange(10)))
        for cases in (ADD, PROGRAM, Cases()):
            assert isinstance(program_in(text, cases), str)
        assert isinstance(extract(text, CODE).answer, str)


@pytest.mark.parametrize(
    "text", ["```" + "a" * 90_000 + "`", "```" + " " * 90_000 + "`", "def add(a, b):\n" + "It's.\n" * 9_000]
)
def test_no_text_holds_the_event_loop_up(text: str) -> None:
    began = time.process_time()
    assert isinstance(program_in(text, ADD), str)
    assert time.process_time() - began < 5  # a search that goes back and forth takes minutes


def test_any_length_of_prose_after_a_function_is_left_out() -> None:
    assert value_of(program_in(f"{WHOLE}\n\n" + "It's what you (as I think) asked for.\n" * 200, ADD)) == 3


def test_what_python_thinks_of_the_style_of_code_is_said_to_nobody() -> None:
    careless = "def add(a, b):\n    return '\\d'"  # a warning, which these tests take for an error
    assert program_in(f"Sure:\n\n{careless}\n\nIt's done.", ADD).strip() == careless


def test_all_usual_forms_of_tests_are_read() -> None:
    pairs = (Exchange("1", "2"), Exchange("", "3"))
    assert cases_in({"tests": "assert f() == 1\nassert (f() ==\n  1)"}).asserts == (
        "assert f() == 1",
        "assert (f() ==\n  1)",
    )
    assert cases_in({"tests": "x = f()\nassert x"}).asserts == ("x = f()\nassert x",)
    assert cases_in({"tests": ["assert f()"], "setup": "import g"}).asserts == ("import g\nassert f()",)
    assert cases_in({"tests": [{"input": "1", "output": "2"}, {"output": "3"}]}).exchanges == pairs
    assert cases_in({"tests": {"inputs": ["1", ""], "outputs": ["2", "3"]}}).exchanges == pairs
    assert cases_in({"input_output": '{"inputs": ["1", ""], "outputs": ["2", "3"]}'}).exchanges == pairs
    assert cases_in({"tests": "def check(candidate): pass", "entry_point": "f"}).asserts[0].endswith("check(f)\n")


def test_what_a_solution_must_define_is_what_every_test_calls() -> None:
    tests = [
        "assert f(1) == g(2)",
        "from math import isclose\nassert isclose(f(3), len([1]))",
        "x = [f(n) for n in []]",
    ]
    assert cases_in({"tests": tests}).wanted == {"f"}
    assert cases_in({"tests": tests, "entry_point": "h"}).wanted == {"h"}
    assert cases_in({"tests": [{"output": "1"}]}).wanted == frozenset()


def test_the_prelude_is_the_head_without_the_function_itself() -> None:
    head = "import math\n\ndef half(x):\n    return x / 2\n\n" + HEAD
    prelude = cases_in({"prompt": head, "entry_point": "add", "tests": "def check(c): pass"}).prelude
    assert "import math" in prelude
    assert "def half" in prelude
    assert "def add" not in prelude


@pytest.mark.parametrize(
    "metadata",
    ["", "[]", "null", "{", '{"tests": 3}', '{"tests": [null, {"output": 1}, " "]}', '{"tests": {"inputs": [1]}}',
     '{"tests": ["("], "prompt": 3, "setup": [], "tolerance": "x", "time_limit_s": -1, "entry_point": null}'],
)  # fmt: skip
def test_tests_that_cannot_be_read_do_no_harm(metadata: str) -> None:
    cases = cases_of(Problem(question="?", answer="", verifier="code", metadata=metadata))
    assert (cases.tolerance, cases.time_limit_s, cases.exchanges) == (0.0, 0, ())
