"""What counts against a program, and what is only the fault of its tests or of the machine."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from openstrawberry.verifiers.levels import LEVELS, Level
from openstrawberry.verifiers.sandbox import Sandbox
from tests.verifiers.contained import code_problem, sandbox_at, verdict, verdicts

ONE = code_problem(tests=["assert f() == 1"])
HELLO = code_problem(tests=[{"input": "", "output": "hello"}])
RIGHT, PRINTS = "def f(): return 1", "print('hello')"
each_level = pytest.mark.parametrize("level", LEVELS)


@pytest.fixture
def failing() -> Iterator[Sandbox]:
    """A sandbox in which no process that should run a model's code comes to life."""
    sandbox = sandbox_at("limits")
    assert sandbox.found is not None
    with tempfile.TemporaryDirectory() as folder:  # within reach of another user
        Path(folder).chmod(0o755)
        python = Path(folder) / "python"
        python.write_text(
            "#!/bin/sh\nfor each; do case $each in solution|program) exit 1; esac; done\n"
            f'exec {sandbox.found.python} "$@"'
        )
        python.chmod(0o755)
        yield Sandbox(("limits",), found=replace(sandbox.found, python=str(python)))


def test_a_process_that_never_came_to_life_says_nothing_about_the_code(failing: Sandbox) -> None:
    found = verdicts([(ONE, RIGHT), (HELLO, PRINTS)], failing)
    assert [one.status for one in found] == ["unknown", "unknown"]
    assert "could not be started" in found[0].detail
    assert "could not be started" in found[1].detail


@each_level
def test_what_is_asked_of_the_compiler_is_limited_as_well(level: Level) -> None:
    bomb = "".join("  " * depth + "try: x\n" + "  " * depth + "finally:\n" for depth in range(19)) + " " * 40 + "x" * 9
    found = verdict(HELLO, f"{bomb}\nprint('hello')", sandbox_at(level))
    assert found.status == "incorrect"
    assert "MemoryError" in found.detail or "processor time" in found.detail


def test_programs_may_end_by_the_names_that_an_interpreter_offers() -> None:
    pairs = [(HELLO, f"print('hello')\n{end}()\nprint('more')") for end in ("exit", "quit", "import sys\nsys.exit")]
    assert [one.status for one in verdicts(pairs)] == ["correct"] * 3


@each_level
def test_programs_may_open_their_standard_input_by_name(level: Level) -> None:
    problem = code_problem(tests=[{"input": "abc\n", "output": "abc"}])
    assert verdict(problem, "print(open('/dev/stdin').read())", sandbox_at(level)).detail == ""


def test_what_the_tests_need_and_is_not_here_is_not_the_codes_fault() -> None:
    tests = "import nowhere_to_be_found\nassert f() == 1"
    memory = "x = bytearray(2**40)\nassert f() == 1"
    found = verdicts(
        [
            (code_problem(tests=tests), RIGHT),
            (code_problem(tests=[memory]), RIGHT),
            (ONE, "import nowhere_to_be_found\ndef f(): return 1"),
            (ONE, "def f(): import nowhere_to_be_found"),
            (ONE, "def f(): raise MemoryError"),
        ]
    )
    assert [one.status for one in found] == ["unknown"] * 2 + ["incorrect"] * 3
    assert "nowhere_to_be_found" in found[0].detail


UNCALLED = {
    "a check that nobody calls": "def check(candidate):\n    assert candidate() == 1",
    "behind a main": "if __name__ == '__main__':\n    assert f() == 1",
    "a class for a runner": "class TestF:\n    def test_it(self):\n        assert f() == 1",
    "nothing": "assert True",
}


@pytest.mark.parametrize("tests", UNCALLED.values(), ids=UNCALLED)
def test_tests_that_ask_the_solution_nothing_decide_nothing(tests: str) -> None:
    found = verdict(code_problem(tests=[tests]), "def f(): return 7")
    assert (found.status, found.detail) == ("unknown", "the tests call nothing that the solution defines")


def test_what_a_solution_only_defines_can_be_tested_too() -> None:
    problem = code_problem(tests=["assert LIMIT == 3", "try:\n    raise Own\nexcept ValueError:\n    pass"])
    code = "LIMIT = {}\nclass Own({}): pass"
    found = verdicts([(problem, code.format(3, "ValueError")), (problem, code.format(4, "ValueError"))])
    assert [one.status for one in found] == ["correct", "incorrect"]
    assert verdict(problem, code.format(3, "KeyError")).status == "incorrect"


def test_cases_of_unittest_are_run() -> None:
    text = (
        "import unittest\nclass TestF(unittest.TestCase):\n    def setUp(self): self.wanted = 1\n"
        "    def test_it(self): self.assertEqual(f(), self.wanted)\n"
        "    def test_more(self):\n        with self.assertRaises(ValueError): f(2)\n"
        "if __name__ == '__main__':\n    unittest.main()"
    )
    code = "def f(x=1):\n    if x == 2: raise ValueError(x)\n    return {}"
    found = verdicts([(code_problem(tests=text), code.format(value)) for value in (1, 2)])
    assert [one.status for one in found] == ["correct", "incorrect"]
    assert found[1].detail.endswith("self.assertEqual(f(), self.wanted): AssertionError: 2 != 1")


def test_errors_that_want_more_than_a_text_arrive_as_what_they_are() -> None:
    catch = "try:\n    f(b'\\xff')\n    assert False\nexcept {} as error:\n    str(error)"
    problem = code_problem(tests=[catch.format(name) for name in ("UnicodeDecodeError", "ValueError", "Exception")])
    assert verdict(problem, "def f(b): return b.decode()").detail == ""
    assert verdict(problem, "def f(b): raise KeyError").status == "incorrect"


def test_every_operator_of_a_class_under_test_works() -> None:
    claims = (
        *(
            "-n == N(-3)",
            "+n == n",
            "abs(N(-3)) == 3",
            "~n == N(-4)",
            "int(n) == 3",
            "float(n) == 3.0",
            "n << 1 == N(6)",
        ),
        *("round(n, 1) == 3.1", "list(reversed(n)) == [2, 1]", "f'{n:x}' == 'x3'", "[5, 6, 7, 8][n] == 8"),
    )
    tests = [f"n = N(3)\nassert {claim}" for claim in claims]
    tests.append("n = m = N(3)\nn += 2\nassert m == N(5)")
    code = """
class N:
    def __init__(self, n): self.n = n
    def __eq__(self, other): return self.n == other.n
    def __neg__(self): return N(-self.n)
    def __pos__(self): return self
    def __abs__(self): return abs(self.n)
    def __invert__(self): return N(~self.n)
    def __int__(self): return self.n
    def __float__(self): return float(self.n)
    def __index__(self): return self.n
    def __lshift__(self, by): return N(self.n << by)
    def __round__(self, digits): return self.n + 10 ** -digits
    def __reversed__(self): return iter([2, 1])
    def __format__(self, form): return f"{form}{self.n}"
    def __iadd__(self, other):
        self.n += other
        return self
"""
    assert verdict(code_problem(tests=tests), code).detail == ""
    assert verdict(code_problem(tests=tests), code.replace("N(~self.n)", "self")).status == "incorrect"


def test_named_tuples_keep_their_names() -> None:
    tests = ["p = f([1, 2])\nassert (p.x, p.y) == p == (1, 2) and isinstance(p, tuple)", "assert g(f([3, 4])) == 7"]
    code = "from collections import namedtuple\nP = namedtuple('P', 'x y')\n"
    code += "def f(v): return P(*v)\ndef g(p): return p.x + p.y"
    assert verdict(code_problem(tests=tests), code).detail == ""
    assert verdict(code_problem(tests=tests), code.replace("x y", "y x")).status == "incorrect"


def test_an_async_function_cannot_be_awaited_from_elsewhere_and_is_no_plain_one() -> None:
    awaits = code_problem(tests=["import asyncio\nassert asyncio.run(f()) == 1"])
    inside = code_problem(tests=["import asyncio\nasync def main():\n    assert await f() == 1\nasyncio.run(main())"])
    found = verdicts(
        [(awaits, "async def f(): return 1"), (inside, "async def f(): return 1"), (ONE, "async def f(): 1")]
    )
    assert [one.status for one in found] == ["unknown", "unknown", "incorrect"]
    assert "async" in found[0].detail


def test_a_detail_is_one_short_line_whatever_the_code_says() -> None:
    loads = "raise SystemExit('one\\ntwo' * 10_000)"
    odd = "N = type('N' * 10_000 + '\\n', (), {})\ndef f(): return N()"
    found = verdicts([(ONE, loads), (code_problem(tests=["assert f() + 1"]), odd)])
    assert [one.status for one in found] == ["incorrect", "unknown"]
    for one in found:
        assert "\n" not in one.detail
        assert 0 < len(one.detail) <= 500


def test_input_and_output_may_be_lists_of_lines() -> None:
    add = "print(sum(int(input()) for _ in range(2)))"
    tests = [{"input": ["3", "4"], "output": ["7"]}, {"input": 3, "output": "what has no text is no test"}]
    assert verdict(code_problem(tests=tests), add).status == "correct"
    assert verdict(code_problem(tests=tests[1:]), add).status == "unknown"


def test_a_form_feed_in_a_text_begins_no_line() -> None:
    problem = code_problem(tests="assert f('\x0c') == 1\nassert f('b') == 2")
    assert verdict(problem, "def f(x): return 1 if x == chr(12) else 2").detail == ""
    assert verdict(problem, "def f(x): return 1").detail == "test 2 of 2: assert f('b') == 2"


@pytest.mark.skipif(sys.platform != "linux", reason="macOS has no /proc")
def test_where_only_python_contains_it_still_reads_nothing_of_the_users() -> None:
    tries = [str(Path(__file__)), "/etc/passwd", "/proc/1/environ", "/proc/self/../1/status"]
    code = "".join(
        f"try: open({each!r}).close(); print('read')\nexcept OSError as error: print('no')\n" for each in tries
    )
    code += "open('own', 'w').close()\nopen('own').close()\n"
    code += "import json, sqlite3, unittest\nopen('/proc/self/status').close()"
    problem = code_problem(tests=[{"input": "", "output": "no\n" * len(tries)}])
    assert verdict(problem, code, sandbox_at("limits")).detail == ""


@each_level
def test_code_may_run_an_event_loop_of_its_own(level: Level) -> None:
    code = (
        "import asyncio\nasync def one():\n    await asyncio.sleep(0)\n    return 1\ndef f(): return asyncio.run(one())"
    )
    assert verdict(ONE, code, sandbox_at(level)).detail == ""
