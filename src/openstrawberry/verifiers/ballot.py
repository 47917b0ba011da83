"""What an answer votes for: answers that no reader would call different are one ballot.

Votes are counted without looking at the truth, so this is not a verdict: it only brings answers to one form.
"""

from openstrawberry.problems.numbers import read_number
from openstrawberry.verifiers.exact import normalise

_NUMERIC = ("numeric", "math")
_LONGEST = 2_000  # characters of an answer that tell it from others


def ballot(answer: str, verifier: str) -> str:
    """The normalised form of `answer` to a problem of `verifier`; empty where it has none. "1,000" is "1000.0"."""
    answer = answer[:_LONGEST]
    if not answer.strip():
        return ""
    number = read_number(answer) if verifier in _NUMERIC else None
    return str(number.value) if number else normalise(answer)
