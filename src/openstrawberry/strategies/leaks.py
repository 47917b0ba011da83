"""Whether a text betrays that whoever wrote it had been told the answer.

For `rationalize`: what is kept must read as if it had been found. Two things give it away: to speak of the hint, and to
state the answer before there is any reasoning. Wording that the question itself uses gives nothing away.
"""

import re
from collections.abc import Sequence

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.extract import clean

LEAST_WORDS = 8  # of reasoning before the answer is stated
_GIVEN = r"(?:given|provided|known|supplied|stated|told|shown|revealed|disclosed)"
_ANSWER = r"(?:(?:final|correct|right)\s+)?answer"
_TELLING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:the|this|that|your|given|provided|per|a)\s+(?:\w+\s+)?hint(?:s|ed)?\b(?!\s+(?:would|could|might))",
        r"\bhint(?:s|ed)?\s+(?:says?|said|tells?|told|states?|gives?|gave|shows?|indicates?|confirms?)\b",
        rf"\b(?:given|provided|supplied|stated|revealed|reference|target)\s+{_ANSWER}\b",
        r"\b(?:known|expected|intended)\s+(?:final\s+|correct\s+)?answer\b",
        rf"\b{_ANSWER}\s+(?:(?:is|was|were|are|has|have|had)\s+)?(?:been\s+|already\s+)*{_GIVEN}\b(?!\s+by\b)",
        r"\b(?:told|informed|given|gave|know|knew|assured)\s+(?:me\s+|us\s+)?(?:that\s+)?the\s+"
        r"(?:(?:final|correct|right)\s+)?answer\b",
        r"\banswer\s+(?:is\s+supposed|is\s+meant|was\s+supposed|was\s+meant|ought)\s+to\s+be\b",
        r"\bmatch(?:es|ing)?\s+(?:with\s+)?the\s+(?:given|known|expected|stated|provided|target|correct)\b",
        r"\b(?:work|working|reason|reasoning)\s+backwards?\s+from\s+the\b",
        r"\bas\s+(?:given|stated|told|noted|revealed)\s+(?:in|by|above\s+in)\s+(?:the|your)\s+(?:note|prompt|message)\b",
        r"\b(?:the|your|that)\s+note\s+(?:says?|said|tells?|told|states?|gives?|gave)\b|\bfor\s+(?:my|your)\s+eyes\b",
        r"\bpretend(?:ing)?\s+(?:that\s+)?(?:I|we)\s+(?:do\s+not|don.t|did\s+not|didn.t)\s+know\b",
    )
)


def leak(said: Sequence[str], problem: Problem) -> str:
    """What in these replies, in their order, gives the hint away: one clause, "" if nothing does."""
    text = "\n".join(said)
    for pattern in _TELLING:
        if (told := pattern.search(text)) and not pattern.search(problem.question):
            return f"it says {' '.join(told[0].split())!r}"
    if len(re.findall(r"\w+", text[: _stated(text, problem.answer)])) < LEAST_WORDS:
        return "it states the answer before any reasoning"
    return ""


def _stated(text: str, answer: str) -> int:
    """Where the answer is first given as the answer, else the end of the text."""
    known = re.escape(answer.strip())
    claim = re.compile(
        rf"<final_answer>|\\boxed\{{|####|\b(?:answer|solution|result)\b[^\w\n]*(?:\w+[^\w\n]+){{0,3}}{known}(?!\w)",
        re.IGNORECASE,
    )
    first = text.lstrip().partition("\n")[0]
    if clean(first).rstrip(".") == answer.strip():
        return 0
    found = claim.search(text)
    return found.start() if found else len(text)
