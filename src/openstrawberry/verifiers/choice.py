"""The verifier `choice`: the same letter of a multiple-choice question.

Understood: `B`, `b`, `(B)`, `B.`, `B) its text`, `option B`, `the answer is B`, or the full text of an option. The
options are read from the question, where they stand one to a line as `A. text`, `A) text` or `(A) text`. An answer that
names two letters, or a letter with the text of another option, is wrong, and so is one that takes its letter back
("A) is wrong", "A. Wait, it's B").
"""

import re

from openstrawberry.problems.options import read_options
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.exact import known_answers, normalise
from openstrawberry.verifiers.verifier import Verdict

MAX_CHARS = 5_000

_MARKS = "\"'`*! "
_LETTER = re.compile(r"\(?\s*([A-Za-z])\s*(?:[).:\]]|$)\s*(.*)", re.DOTALL)
_NAMED = re.compile(
    r"(?:the\s+)?(?:(?:final|correct|right|best)\s+)?(?:answer|option|choice)\s*(?:is|:|=)?\s*(?:option|choice)?\s*(.+)",
    re.IGNORECASE | re.DOTALL,
)
_AGAIN = re.compile(  # a lone "a" is an article unless something ends after it
    r"\b(?:answer|is|it's|actually|choose|pick)\s?:?\s?(?:(?:option|choice)\s)?[(*]*+"
    r"(?:([b-z])\b(?!')|(a)(?=\s?(?:[.,;:!?)*]|$)))"
)
_DENIED = re.compile(r"(?:is|was)\s(?:wrong|incorrect|false|not|out)\b|isn't\b|wasn't\b")


class Choice:
    """Compares the letters of options."""

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        if not answer.strip():
            return Verdict(status="no_answer", verifier="choice")
        if len(answer) > MAX_CHARS:
            return Verdict(status="incorrect", verifier="choice", detail=f"the answer has {len(answer)} characters")
        options = {letter: normalise(text) for letter, text in read_options(problem.question).items()}
        known = {letter for text in known_answers(problem) if (letter := chosen(text, options))}
        if not known:
            detail = f"the known answer {problem.answer[:80]!r} is not one of the options; use --verifier exact"
            return Verdict(status="unknown", verifier="choice", detail=detail)
        given = chosen(answer, options)
        if given is None:
            return Verdict(status="incorrect", verifier="choice", detail="the answer does not name one option")
        return Verdict(status="correct" if given in known else "incorrect", verifier="choice")

    async def close(self) -> None:
        """Nothing to end."""


def chosen(answer: str, options: dict[str, str]) -> str | None:
    """The capital letter that `answer` chooses among `options` (letter to normalised text), or None."""
    text = normalise(answer)
    by_text = [letter for letter, option in options.items() if option and option == text]
    if len(by_text) == 1:
        return by_text[0]
    text = text.strip(_MARKS)
    if named := _NAMED.fullmatch(text):
        text = named[1].strip(_MARKS)
    match = _LETTER.fullmatch(text)
    if not match:
        return None
    letter, rest = match[1].upper(), normalise(match[2]) if match[2] else ""
    if any(option == rest and other != letter for other, option in options.items()) and options.get(letter) != rest:
        return None
    return None if _contradicts(rest, letter, options) else letter


def _contradicts(rest: str, letter: str, options: dict[str, str]) -> bool:
    """Whether what follows the letter denies it or goes on to a second letter, as in "(a) and (b)"."""
    if not rest or rest == options.get(letter):
        return False
    if _DENIED.match(rest):
        return True
    again = {(first or second).upper() for first, second in _AGAIN.findall(rest)} - {letter}
    if again & set(options) if options else again:
        return True
    others = re.findall(r"(?:\band\b|\bor\b|[,/&])\s*\(?([a-z])\b(?!')|\(([a-z])\)", rest)
    return any((first or second).upper() != letter for first, second in others)
