"""The verifier `numeric`: the same number, exactly, however it is written.

Commas, currency, percent signs, units after the number, fractions, scientific notation, trailing zeros, "x = 5" and
Unicode minus signs are understood (see `problems/numbers.py`); "13" is never "3", and an answer that names two
different numbers is wrong. Numbers are compared as fractions. A relative tolerance is used only where the problem asks
for one: `metadata["tolerance"]`, such as 0.01 for one per cent.

A percent sign or a word such as "million" on one side only: where that side is the known answer, or the question itself
uses the word, both readings are right (to "what percent?" 50 and 50% are the same answer); elsewhere 50% is 0.5.
"""

import math
import re
from fractions import Fraction

from openstrawberry.problems.numbers import MAX_CHARS, Number, read_number
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.exact import known_answers
from openstrawberry.verifiers.verifier import Verdict

_UNIT_WORD = re.compile(r"%|percent|per cent|dozen|hundred|thousand|million|billion|trillion", re.IGNORECASE)


class Numeric:
    """Compares one number with another."""

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        if not answer.strip():
            return _verdict("no_answer")
        known = [number for text in known_answers(problem) if (number := read_number(text))]
        if not known:
            return _verdict(
                "unknown", f"the known answer {problem.answer[:80]!r} is not a number; use --verifier exact"
            )
        if len(answer) > MAX_CHARS:
            return _verdict("incorrect", f"the answer has {len(answer)} characters")
        given = read_number(answer)
        if given is None:
            return _verdict("incorrect", "the answer does not name one number")
        tolerance = _tolerance(problem)
        asks_in_units = bool(_UNIT_WORD.search(problem.question))
        right = any(same(number, given, tolerance, asks_in_units) for number in known)
        return _verdict("correct" if right else "incorrect")

    async def close(self) -> None:
        """Nothing to end."""


def same(known: Number, given: Number, tolerance: Fraction = Fraction(0), asks_in_units: bool = False) -> bool:
    """Whether `given` is `known`, within `tolerance` relative to it."""
    pairs = [(known.value, given.value)]
    if known.unit != 1 and given.unit == 1:
        pairs.append((known.mantissa, given.value))
    if known.unit == 1 and given.unit != 1 and asks_in_units:
        pairs.append((known.value, given.mantissa))
    return any(abs(a - b) <= tolerance * abs(a) for a, b in pairs)


def _tolerance(problem: Problem) -> Fraction:
    if '"tolerance"' not in problem.metadata:
        return Fraction(0)
    asked = problem.meta().get("tolerance")
    if not isinstance(asked, int | float) or isinstance(asked, bool) or not math.isfinite(asked) or not 0 <= asked < 1:
        return Fraction(0)
    return Fraction(str(asked))


def _verdict(status: str, detail: str = "") -> Verdict:
    return Verdict.model_validate({"status": status, "verifier": "numeric", "detail": detail})
