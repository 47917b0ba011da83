"""The verifier `exact`: the same text, but for what no reader would call a difference.

Before comparing, both sides are brought to Unicode form NFKC, to lower case (casefold), runs of white space become one
space, and quotation marks, code marks and bold marks around the whole and full stops after it are dropped. Nothing else
is forgiven: articles, commas, plurals and word order count. What may be mathematics is kept: raised, lowered and
fraction characters (`10²` is not `102`), a mark on one side only (`y'`), and an exclamation mark unless a word stands
before it (`n!`).
"""

import itertools
import json
import re
import unicodedata

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.verifier import Verdict

MAX_CHARS = 100_000
"""Answers longer than this, and longer than the known answer, are `incorrect` unread."""

_MARKS = "\"'`* "
_CALL = re.compile(r"((?<![\\\w])(?:[^\W\d_]{3,}+|no|ok))[.!]++\Z")


class Exact:
    """Compares texts. `metadata["accepted_answers"]` may list further answers that are right."""

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        if not answer.strip():
            return Verdict(status="no_answer", verifier="exact")
        known = known_answers(problem)
        if len(answer) > max(MAX_CHARS, 2 * max(map(len, known))):
            return Verdict(status="incorrect", verifier="exact", detail=f"the answer has {len(answer)} characters")
        given = normalise(answer)
        right = any(given == normalise(text) for text in known)
        return Verdict(status="correct" if right else "incorrect", verifier="exact")

    async def close(self) -> None:
        """Nothing to end."""


def normalise(text: str) -> str:
    """The form in which two texts are compared; see the top of this file."""
    folded = "".join(
        "".join(run) if raised else _folded("".join(run)) for raised, run in itertools.groupby(text, _is_raised)
    )
    folded = folded.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    folded = re.sub(r"\s+", " ", folded).strip()
    return _unstopped(_unmarked(_unstopped(folded))) or folded


def known_answers(problem: Problem) -> list[str]:
    """The known answer, and those that `metadata["accepted_answers"]` lists beside it."""
    if '"accepted_answers"' not in problem.metadata:
        return [problem.answer]
    try:
        more = problem.meta().get("accepted_answers")
    except (json.JSONDecodeError, AttributeError):
        more = None
    return [problem.answer, *(str(text) for text in more)] if isinstance(more, list) else [problem.answer]


def _is_raised(character: str) -> bool:
    """Whether NFKC would make an ordinary digit, letter or sum of a character like `²`, `₂` or `½`."""
    return not character.isascii() and unicodedata.decomposition(character).startswith(("<super>", "<sub>", "<frac"))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _unstopped(text: str) -> str:
    """`text` without the full stops that end it, and without the exclamation marks that follow a word."""
    return _CALL.sub(r"\1", text).rstrip(".").rstrip()


def _unmarked(text: str) -> str:
    """`text` without the marks that stand at both its ends."""
    before = text[: len(text) - len(text.lstrip(_MARKS))]
    after = text[len(text.rstrip(_MARKS)) :]
    pairs = zip(before, reversed(after), strict=False)
    paired = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return text[paired : len(text) - paired].strip()
