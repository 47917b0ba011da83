r"""The verifier `math`: mathematically the same, by math-verify in processes that can be killed.

`\frac{1}{2}`, `1/2` and `0.5` are the same answer, and so are `(x+1)(x-1)` and `x^2-1`. What always holds: equal texts
and plain numbers are decided here without starting a process; a comparison that overruns its deadline is `timeout`, and
one that cannot be made (the known answer cannot be read, a process died twice) is `unknown`, never `incorrect`. A known
answer that is a word (`\text{even}`) is compared as the verifier `exact` does; of any other, every character counts but
spaces, dollar signs and LaTeX commands for looks: `n!` is not `n`, `y'` not `y`, `1 2` not `12`.
"""

import re

from openstrawberry.problems.numbers import is_plain_number, read_number
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.exact import known_answers, normalise
from openstrawberry.verifiers.numeric import same
from openstrawberry.verifiers.verifier import Verdict
from openstrawberry.verifiers.workers import WorkerDied, Workers, WorkerTimeout

MAX_CHARS = 2_000
"""Longer answers are `incorrect` unread: no final answer needs them, and parsing is superlinear."""

_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mbox|textit)\s*\{([^{}]*)\}")
_COSMETIC = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\!|\$")
_SPACE = re.compile(r"(?:\\[,;: ]|\s)++")
_SPACE_TO_DROP = re.compile(r"(?<!\d) | (?!\d)")  # all but the one between two digits: `1 1/2` is not `11/2`
_WORDS = re.compile(r"[A-Za-z]{3,}(?:[\s\-'][A-Za-z]+)*\.?")


class Math:
    """Compares mathematical expressions.

    Args:
        workers: the most processes alive at once.
        deadline_s: seconds one comparison may take.
    """

    def __init__(self, *, workers: int = 2, deadline_s: float = 6.0) -> None:
        self._workers = Workers("math", size=workers, deadline_s=deadline_s)

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        if not answer.strip():
            return Verdict(status="no_answer", verifier="math")
        known = known_answers(problem)
        quick = decide_quickly(known, answer)
        if quick is not None:
            return Verdict(status="correct" if quick else "incorrect", verifier="math")
        if len(answer) > MAX_CHARS:
            return Verdict(status="incorrect", verifier="math", detail=f"the answer has {len(answer)} characters")
        try:
            status, detail = await self._workers.run(known, answer)
        except WorkerTimeout as error:
            return Verdict(status="timeout", verifier="math", detail=str(error))
        except WorkerDied as error:
            return Verdict(status="unknown", verifier="math", detail=str(error))
        return Verdict.model_validate({"status": status, "verifier": "math", "detail": detail})

    async def close(self) -> None:
        await self._workers.close()


def decide_quickly(known: list[str], answer: str) -> bool | None:
    """Right, wrong, or None where it takes mathematics to tell."""
    given = plain(answer)
    if any(plain(text) == given for text in known):
        return True
    words = [bare for text in known if _WORDS.fullmatch(bare := _TEXT.sub(r"\1", text).strip())]
    if normalise(_TEXT.sub(r"\1", answer).strip()) in map(normalise, words):
        return True
    if len(words) == len(known):
        return False
    numbers = [read_number(text) for text in known if is_plain_number(text)]
    number = read_number(answer) if is_plain_number(answer) else None
    if number and any(one and same(one, number) for one in numbers):
        return True
    exact = bool(number) and len(numbers) == len(known) and not any("/" in text or "frac" in text for text in known)
    return False if exact else None


def plain(text: str) -> str:
    """`text` without what changes only its looks."""
    bare = _COSMETIC.sub("", _TEXT.sub(r"\1", text))
    bare = _SPACE_TO_DROP.sub("", _SPACE.sub(" ", bare).strip())
    return bare.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac").removesuffix(".")
