"""The lettered options of a multiple-choice question: written into it, and read back out of it.

What always holds: `read_options(with_options(question, texts))` gives the texts back, in order, lettered from A.
"""

import re
import string
from collections.abc import Sequence

LETTERS = string.ascii_uppercase

_OPTION = re.compile(r"(?m)^[ \t]*(?:[-*][ \t]+)?(?:\(([A-Za-z])\)|([A-Za-z])[.):])[ \t]+(\S.*)$")
_INLINE = re.compile(r"(?<![\w(])\(([A-Za-z])\)[ \t]*|(?<!\S)([A-Z])[.)][ \t]+")


def with_options(question: str, texts: Sequence[str]) -> str:
    """`question` with one line `A. text` for each option; line breaks inside an option become spaces."""
    lines = [f"{letter}. {' '.join(text.split())}" for letter, text in zip(LETTERS, texts, strict=False)]
    return "\n".join([question.rstrip(), "", *lines])


def read_options(question: str) -> dict[str, str]:
    """Capital letter to text of the options that `question` lists from A on, at least two; empty where there are none.

    Options stand one to a line, or all in one line as `(A) red (B) green`. Where the letters start anew, the last list
    counts.
    """
    found = [(m[1] or m[2], m[3].rstrip()) for m in _OPTION.finditer(question)]
    return _last_list(found) or _last_list(_inline(question))


def _inline(question: str) -> list[tuple[str, str]]:
    marks = list(_INLINE.finditer(question))
    ends = [*(mark.start() for mark in marks[1:]), len(question)]
    texts = [question[mark.end() : end].strip(" \t\n,;") for mark, end in zip(marks, ends, strict=False)]
    return [(mark[1] or mark[2], text) for mark, text in zip(marks, texts, strict=True)]


def _last_list(found: list[tuple[str, str]]) -> dict[str, str]:
    options: dict[str, str] = {}
    for letter, text in ((letter.upper(), text) for letter, text in found):
        if letter == "A":
            options = {"A": text}
        elif options and letter == LETTERS[min(len(options), 25)]:
            options[letter] = text
    return options if len(options) > 1 else {}
