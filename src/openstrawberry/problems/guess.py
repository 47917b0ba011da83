r"""Which verifier suits a row that names none: a plain number, a lettered option, mathematics, or any other text.

What always holds: where this says `numeric`, the verifier `numeric` can read the answer; where it says `choice`, the
question lists the option. A date, a score or a time (`2024-05-01`, `3:1`) is text, not a calculation.
"""

import re

from openstrawberry.problems.numbers import is_plain_number
from openstrawberry.problems.options import read_options

MAX_CHARS = 2_000
"""Longer answers are text."""

_LATEX = re.compile(r"\\[A-Za-z(\[{|]|\$.+\$|[\w)}]\s*\^\s*[\w({\\-]|[A-Za-z]_\{?\w", re.DOTALL)
_ATOM = r"(?:\d+(?:\.\d+)?|\.\d+|(?:sqrt|sin|cos|tan|log|ln|exp|pi|inf|oo)\b|[A-Za-z](?![A-Za-z]))"
_EXPRESSION = re.compile(rf"(?:\s*+(?:{_ATOM}|[-+*/^=<>(),\[\]{{}}|!≤≥±·×−∞π]))++\s*+")
_OPERATION = re.compile(r"[-+*/^=<>([{!≤≥±·×−∞π]|sqrt|pi|(?<=\d)[a-z]|,")
_DIGITS_ONLY = re.compile(r"\d+(?:\s*[-/:.]\s*\d+)+")


def guess_verifier(question: str, answer: str) -> str:
    """`numeric`, `choice`, `math` or `exact`."""
    text = answer.strip()
    if is_plain_number(text):
        return "numeric"
    if len(text) == 1 and text.upper() in read_options(question):
        return "choice"
    return "math" if is_mathematical(text) else "exact"


def is_mathematical(text: str) -> bool:
    """Whether `text` is LaTeX, or an expression made of numbers, single letters, operators and brackets."""
    if not text or len(text) > MAX_CHARS or _DIGITS_ONLY.fullmatch(text):
        return False
    if _LATEX.search(text):
        return True
    return bool(_EXPRESSION.fullmatch(text) and _OPERATION.search(text) and re.search(r"[\dπ∞]|[A-Za-z]", text))
