"""The verifier `exact`: the same text, but for what no reader would call a difference.

Before comparing, both sides are brought to Unicode form NFKC, to lower case (casefold), runs of white space become one
space, and quotation marks, code marks and bold marks around the whole and full stops or exclamation marks after it are
dropped. Nothing else is forgiven: articles, commas, plurals and word order count.
"""

import json
import re
import unicodedata

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.verifier import Verdict

MAX_CHARS = 100_000
"""Answers longer than this, and longer than the known answer, are `incorrect` unread."""


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
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = folded.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    folded = re.sub(r"\s+", " ", folded).strip()
    bare = folded.rstrip(".!").strip("\"'`* ").rstrip(".!").strip()
    return bare or folded


def known_answers(problem: Problem) -> list[str]:
    """The known answer, and those that `metadata["accepted_answers"]` lists beside it."""
    if '"accepted_answers"' not in problem.metadata:
        return [problem.answer]
    try:
        more = problem.meta().get("accepted_answers")
    except (json.JSONDecodeError, AttributeError):
        more = None
    return [problem.answer, *(str(text) for text in more)] if isinstance(more, list) else [problem.answer]
