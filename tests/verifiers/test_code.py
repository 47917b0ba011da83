"""Unit tests and examples of input and output decide, and nothing that the code does to its own process."""

import asyncio
import json
from pathlib import Path

import pytest

from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.code import Code, same_output
from tests.verifiers.contained import any_sandbox, code_problem, verdict, verdicts

ADD = code_problem(tests=["assert add(2, 2) == 4", "assert add(-1, 1) == 0"])
RIGHT = "def add(a, b):\n    return a + b"

HUMANEVAL = {
    "task_id": "Test/0",
    "prompt": (
        "import math\nfrom typing import List\n\n\ndef area(r: float) -> float:\n    return math.pi * r * r\n\n\n"
        'def total(radii: List[float]) -> float:\n    """ The area of all circles. """\n'
    ),
    "canonical_solution": "    found = 0\n    for r in radii:\n        found += area(r)\n    return found\n",
    "test": (
        "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate([]) == 0\n"
        "    assert math.isclose(candidate([1, 2]), area(1) + area(2))\n"
    ),
    "entry_point": "total",
}
MBPP = {
    "task_id": 9,
    "text": "Write a function to find the depth of a tree.",
    "code": (
        "class Node:\n    def __init__(self, value):\n        self.value, self.left, self.right = value, None, None\n"
        "def depth(node):\n    return 1 + max(depth(node.left), depth(node.right)) if node else 0"
    ),
    "test_list": ["assert depth(root) == 2", "assert (depth(root.left)) == 1", "assert depth(None) == 0"],
    "test_setup_code": "root = Node(1)\nroot.left = Node(2)",
}


def load(folder: Path, preset: str, row: dict[str, object]) -> Problem:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (problem,) = load_problems(f"{preset}@{path}")
    return problem


def test_a_benchmarks_own_solution_is_right_whole_or_as_a_body(tmp_path: Path) -> None:
    humaneval, mbpp = load(tmp_path, "humaneval", HUMANEVAL), load(tmp_path, "mbpp", MBPP)
    whole = HUMANEVAL["prompt"] + HUMANEVAL["canonical_solution"]
    bare = "def total(radii):\n    return sum(area(r) for r in radii)"
    found = verdicts(
        [
            (humaneval, humaneval.answer),  # its first line has lost its indentation
            (humaneval, HUMANEVAL["canonical_solution"]),
            (humaneval, whole),
            (humaneval, f"Here it is.\n```python\n{bare}\n```\nIt works."),
            (humaneval, "    return 1"),
            (mbpp, mbpp.answer),
            (mbpp, mbpp.answer.replace("1 + max", "2 + max")),
        ]
    )
    assert [one.status for one in found] == ["correct"] * 4 + ["incorrect", "correct", "incorrect"]
    assert found[4].detail == "assert candidate([]) == 0"
    assert found[6].detail == "test 1 of 3: assert depth(root) == 2"


def test_the_first_test_that_fails_is_named() -> None:
    pairs = [
        (ADD, RIGHT),
        (ADD, "def add(a, b):\n    return 4"),
        (ADD, "def add(a, b):\n    return a / 0"),
        (ADD, "def add(a, b) return 4"),
        (ADD, "def plus(a, b):\n    return a + b"),
        (ADD, "1 / 0"),
        (ADD, " \n"),
        (ADD, "x" * 200_000),
    ]
    assert [(one.status, one.detail) for one in verdicts(pairs)] == [
        ("correct", ""),
        ("incorrect", "test 2 of 2: assert add(-1, 1) == 0"),
        ("incorrect", "test 1 of 2: assert add(2, 2) == 4: ZeroDivisionError: division by zero"),
        ("incorrect", "the code cannot be loaded: SyntaxError: expected ':' (<solution>, line 1)"),
        ("incorrect", "test 1 of 2: assert add(2, 2) == 4: NameError: name 'add' is not defined"),
        ("incorrect", "the code cannot be loaded: ZeroDivisionError: division by zero"),
        ("no_answer", ""),
        ("incorrect", "the answer has 200000 characters"),
    ]


CHEATS = {
    "exits before the asserts": "import sys\nsys.exit(0)",
    "exits in the call": "import sys\ndef add(a, b):\n    sys.exit(0)",
    "exits without a word": "import os\ndef add(a, b):\n    os._exit(0)",
    "exits at load": "import os\nos._exit(0)",
    "equals everything": (
        "class Yes(int):\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0\n"
        "def add(a, b): return Yes(7)"
    ),
    "an object that equals everything": (
        "class Yes:\n    def __eq__(self, other): return True\n    def __req__(self, other): return True\n"
        "def add(a, b): return Yes()"
    ),
    "is a class that equals everything": "class add:\n    def __init__(*a): pass\n    def __eq__(*a): return True",
    "patches builtins": (
        "import builtins\nbuiltins.AssertionError = Warning\nbuiltins.print = lambda *a: None\n"
        "builtins.__build_class__ = None\ndef add(a, b): return 7"
    ),
    "prints a verdict": (
        'import os\nfor n in range(3, 32):\n    try: os.write(n, b\'[["passed", ""], ["passed", ""]]\\n\')\n'
        "    except OSError: pass\ndef add(a, b): return 7"
    ),
    "answers for the judge": (
        "import os, json\nfor n in range(3, 32):\n"
        "    try: os.write(n, json.dumps(['told', {'builtin': 'eval'}, []]).encode() + b'\\n')\n"
        "    except OSError: pass\ndef add(a, b): return 7"
    ),
    "asks the judge": (
        "import os, json\nfor n in range(3, 32):\n"
        "    try: os.write(n, json.dumps(['ask', 'name', ['x']]).encode() + b'\\n')\n"
        "    except OSError: pass\ndef add(a, b): return 7"
    ),
    "looks for the tests": (
        "import gc, sys, inspect\n"
        "def add(a, b):\n    texts = [o for o in gc.get_objects() if isinstance(o, dict)]\n"
        "    seen = repr([f.f_locals for f in sys._current_frames().values()])\n"
        "    frame = sys._getframe()\n    while frame:\n"
        "        seen += repr(frame.f_locals)\n        frame = frame.f_back\n"
        "    return 4 if 'assert add' in seen or any('assert add' in repr(v) for t in texts for v in t.values()) else 7"
    ),
    "ends when all is done": "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): return 7",
}


def test_no_way_to_cheat_that_we_know_of_is_right() -> None:
    found = dict(zip(CHEATS, verdicts([(ADD, code) for code in CHEATS.values()]), strict=True))
    assert {name: one.status for name, one in found.items()} == dict.fromkeys(CHEATS, "incorrect")


FORGED_NAMES = """
import sys
def abs(x): return 0
def f(x): return 7
class Names:
    def __iter__(self): return iter(())
    def get(self, name): return ""
    def __getitem__(self, name): return ""
frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "serve_for_ever"): frame = frame.f_back
peer = frame.f_locals["self"]
peer._send("told", peer.pack(Names()), [])
peer.serve_for_ever()
"""


def test_what_a_solution_says_it_defines_is_plain_data() -> None:
    problem = code_problem(tests=["assert abs(f(1) - 2.0) < 1e-6"])
    found = verdict(problem, FORGED_NAMES)
    assert (found.status, "writes to the judge" in found.detail) == ("incorrect", True)


def test_floats_and_membership_are_not_fooled_by_an_object_of_ones_own() -> None:
    problem = code_problem(tests=["assert abs(f(1) - 2.0) < 1e-6"]), code_problem(tests=["assert 3 in f(1)"])
    yes = "class Yes:\n" + "".join(
        f"    def __{name}__(self, *a): return {value}\n"
        for name, value in [("sub", "self"), ("abs", "self"), ("lt", "True"), ("contains", "True"), ("eq", "True")]
    )
    found = verdicts([(one, yes + "def f(x): return Yes()") for one in problem])
    assert [one.status for one in found] == ["unknown", "incorrect"]
    assert "its own class Yes" in found[0].detail


VALUES = {
    "same(x) == x and type(same(x)) is type(x)": [
        *("True", "None", "-2**200", "float('inf')", "'é\\ud800'", "b'a'", "bytearray(b'a')", "1j", "range(3)"),
        *("(1, (2,))", "{1: [2], (3,): {4}}", "frozenset({1})", "[[], {}]", "collections.deque([1])"),
        *("fractions.Fraction(1, 3)", "decimal.Decimal('1.10')", "datetime.datetime(2024, 1, 2, 3)"),
        *("datetime.date(2024, 1, 2)", "datetime.timedelta(1, 2, 3)"),
    ],
    "same(x)(3) == 6": ["lambda n: 2 * n"],
    "same(x) is x": ["int", "ValueError"],
}


def test_plain_values_come_through_as_they_are_and_functions_can_be_called() -> None:
    tests = [f"x = {value}\nassert {claim}" for claim, values in VALUES.items() for value in values]
    tests += [
        "assert apply(lambda a, b=1: a + b, 2) == 3",
        "x = [3, 1, 2]\nassert sort(x) is None\nassert x == [1, 2, 3]",
        "assert list(count(3)) == [0, 1, 2]\nassert next(count(1)) == 0",
        "assert keys({1: 2}) == {1}",
        "try:\n    fail()\n    assert False\nexcept ValueError as error:\n    assert str(error) == 'no'",
        "try:\n    own()\n    assert False\nexcept Own:\n    pass",
        "def test_it():\n    assert same(1) == 1",
    ]
    code = (
        "def same(x): return x\ndef apply(f, a): return f(a)\ndef sort(x): x.sort()\ndef keys(d): return d.keys()\n"
        "def count(n):\n    for i in range(n): yield i\n"
        "class Own(KeyError): pass\ndef fail(): raise ValueError('no')\ndef own(): raise Own('x')"
    )
    found = verdict(code_problem(tests=tests), code)
    assert (found.status, found.detail) == ("correct", "")
    wrong = verdict(code_problem(tests=["def test_it():\n    assert same(1) == 2"]), code)
    assert wrong.status == "incorrect"


def test_a_solution_may_be_named_like_a_builtin_but_lends_none_to_the_tests_of_another() -> None:
    named = code_problem(tests=["assert sum(10, 15) == 6", "assert sum(100, 150) == 93"])
    divisors = "def sum(a, b):\n    return 1 + 5 if (a, b) == (10, 15) else 93"
    other = code_problem(tests=["assert abs(f(1) - 2.0) < 1e-6", "assert sorted(f(2)) == [1]"])
    cheat = "def abs(x): return 0\ndef sorted(x): return [1]\ndef f(x): return 7"
    assert [one.status for one in verdicts([(named, divisors), (other, cheat)])] == ["correct", "incorrect"]
    near = code_problem(tests=["assert abs(sum(10, 15) - 6.0) < 1e-6"])
    both = "def sum(a, b): return {}\ndef abs(x): return 0"
    assert verdict(near, both.format(99)).status == "incorrect"
    assert verdict(near, "def sum(a, b): return 6").status == "correct"


def test_a_class_that_the_tests_name_is_used_with_its_operators() -> None:
    tests = [
        "v = Vector(1, 2) + Vector(3, 4)\nassert v == Vector(4, 6) and v != Vector(0, 0)\nassert (v * 2).x == 8",
        "v = Vector(1, 2)\nv.x = 5\nassert v.x == 5 and len(v) == 2 and 2 in v and list(v) == [5, 2] and v[1] == 2",
        "assert isinstance(Vector(1, 2), Vector) and str(Vector(1, 2)) == '<1, 2>'",
        "assert 2 * Vector(1, 2) == Vector(2, 4)",
    ]
    code = """
class Vector:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, other): return Vector(self.x + other.x, self.y + other.y)
    def __mul__(self, n): return Vector(self.x * n, self.y * n)
    __rmul__ = __mul__
    def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
    def __len__(self): return 2
    def __getitem__(self, n): return (self.x, self.y)[n]
    def __str__(self): return f"<{self.x}, {self.y}>"
"""
    assert verdict(code_problem(tests=tests), code).detail == ""
    assert verdict(code_problem(tests=tests), code.replace("* n,", "+ n,", 1)).status == "incorrect"


DOUBLE = code_problem(tests=[{"input": "2\n3 4\n", "output": "6 8\n"}, {"input": "1\n5\n", "output": "10"}])


def test_programs_are_judged_by_what_they_print() -> None:
    pairs = [
        (DOUBLE, "n = input()\nprint(*(2 * int(x) for x in input().split()))"),
        (DOUBLE, "import sys\nprint(*(2 * int(x) for x in open(0).read().split()[1:]), end='  \\n\\n')"),
        (DOUBLE, "```python\nif __name__ == '__main__':\n    print('6 8')\n```"),
        (DOUBLE, "print(1 / 0)"),
        (DOUBLE, "import sys\nprint('6 8')\nsys.exit(3)"),
        (DOUBLE, "print('x' * 2_000_000)"),
        (code_problem(input_output=json.dumps({"inputs": [""], "outputs": ["ok"]})), "print('ok')"),
        (code_problem(tests=[{"output": "0.333333"}], tolerance=1e-4), "print(1 / 3)"),
        (code_problem(tests=[{"output": "0.333333"}]), "print(1 / 3)"),
    ]
    found = verdicts(pairs)
    statuses = ["correct"] * 2 + ["incorrect"] * 4 + ["correct", "correct", "incorrect"]
    assert [one.status for one in found] == statuses
    assert [one.detail for one in found[2:6]] == [
        "test 2 of 2: it printed '6 8\\n', not '10'",
        "test 1 of 2: ZeroDivisionError: division by zero",
        "test 1 of 2: it ended with exit status 3",
        "test 1 of 2: it printed more than 1,048,576 bytes",
    ]


@pytest.mark.parametrize(
    ("printed", "wanted", "tolerance", "same"),
    [
        ("a \nb\n\n", "a\nb", 0.0, True),
        ("a b", "a  b", 0.0, False),
        (" a", "a", 0.0, False),
        ("a\n\nb", "a\nb", 0.0, False),
        ("1.00001 x", "1 x", 1e-3, True),
        ("1.1 x", "1 x", 1e-3, False),
        ("nan", "x", 1e-3, False),
        ("1 2", "1", 1e-3, False),
    ],
)
def test_output_is_compared_line_by_line(printed: str, wanted: str, tolerance: float, same: bool) -> None:
    assert same_output(printed, wanted, tolerance) is same


def test_tests_that_cannot_be_run_are_unknown_and_so_are_none() -> None:
    pairs = [
        (code_problem(), RIGHT),
        (Problem(question="?", answer="", verifier="code", metadata="["), RIGHT),
        (code_problem(tests="assert add(2, 2) =="), RIGHT),
        (
            code_problem(tests="def check(candidate):\n    pass", entry_point="add", prompt="1/0\ndef add(): pass"),
            RIGHT,
        ),
        (code_problem(tests=["import os\nos._exit(0)"]), RIGHT),
        (code_problem(tests=["while True: pass"]), RIGHT),
    ]
    found = verdicts(pairs)
    assert [one.status for one in found[:3] + found[4:]] == ["unknown"] * 5
    assert "--write-tests" in found[0].detail
    assert "SyntaxError" in found[2].detail
    assert found[3].status in ("unknown", "incorrect")
    assert found[5].detail == "the judge of the tests failed: it used more than 1 s of processor time"


def test_an_own_time_limit_goes_first() -> None:
    found = verdict(code_problem(tests=["assert f() == 1"], time_limit_s=1), "def f():\n    while True: pass")
    assert (found.status, found.detail) == ("incorrect", "it used more than 1 s of processor time")


def test_the_event_loop_is_never_held_up() -> None:
    sandbox = any_sandbox()

    async def run() -> tuple[int, list[str]]:
        verifier = Code(sandbox=sandbox)
        ticks = 0
        pairs = asyncio.gather(*(verifier.verify(ADD, RIGHT) for _ in range(4)))
        while not pairs.done():
            await asyncio.sleep(0)
            ticks += 1
        await verifier.close()
        return ticks, [one.status for one in await pairs]

    ticks, statuses = asyncio.run(run())
    assert statuses == ["correct"] * 4
    assert ticks > 50


def test_a_cancelled_check_leaves_nothing_behind() -> None:
    sandbox = any_sandbox()

    async def run() -> None:
        verifier = Code(sandbox=sandbox)
        job = asyncio.ensure_future(verifier.verify(ADD, "def add(a, b):\n    while True: pass"))
        while not verifier.sandbox.running and not job.done():
            await asyncio.sleep(0.01)
        pids = [process.pid for process in verifier.sandbox.running]
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert not verifier.sandbox.running
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert (await verifier.verify(ADD, RIGHT)).status == "correct"
        await verifier.close()

    asyncio.run(run())
