r"""Finds the answer in what a model wrote. Pure functions; the caller records which method found it.

The methods, in the order in which `extract` tries them:

    final_answer   the last `<final_answer>...</final_answer>`, the form that the prompts ask for
    code           the text itself, where a program stands in it; only, and last, for the verifier `code`
    boxed          the last `\boxed{...}`, braces balanced
    hash           the line after the last `####`, as GSM8K writes it
    choice         "the answer is (B)", or a lone letter; only for the verifier `choice`
    last_number    the last number of the text; only for the verifier `numeric`, and named so that its use is counted
    whole          the whole text where it is one short line
    none           nothing was found

What always holds: text inside `<think>` and `<thinking>` is never an answer; work is linear in the length of the text;
nothing here raises, whatever the text.
"""

import re
from dataclasses import dataclass
from typing import Literal

from openstrawberry.problems.boxed import balanced, last_boxed
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.cases import cases_of
from openstrawberry.verifiers.program import has_program

Method = Literal["final_answer", "code", "boxed", "hash", "choice", "last_number", "whole", "none"]

WHOLE_CHARS = 200
"""Longest single line that counts as an answer by itself."""

_TAG = re.compile(r"<(/?)\s*final_answer\s*>", re.IGNORECASE)
_THOUGHT = re.compile(r"<(/?)\s*(?:think|thinking)\s*>", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»"}
_PLACEHOLDERS = {  # lower case; "none" and "unknown" are not among them, as some questions are answered so
    "",
    *(
        "answer",
        "answer here",
        "the answer",
        "the answer here",
        "your answer",
        "your answer here",
        "insert answer here",
    ),
    *("final answer", "final answer here", "your final answer", "the final answer", "your final answer here"),
    *("not yet", "not yet known", "not yet determined", "not ready", "not ready yet", "still working", "no answer yet"),
    *("unknown yet", "unknown so far", "none yet", "to be determined", "tbd", "todo", "pending", "n/a", "?", "???"),
}
_SENTENCE_END = (".", "!", "?", ":", "…", ">")
_LETTER_TAIL = (  # possessive throughout, so that long runs of spaces cost nothing
    r"(?:(?i:option|choice)\s++)?+[*_$(\[]*+(?:\\(?:boxed|text)\{)*+\(?+([A-Z])\b(?!['’])"
    r"(?!\W?\s*+(?:or|and|/)\s*+\(?[A-Z]\b)"
)
_ANSWER_LETTER = re.compile(
    r"(?i:\banswer)(?i:\s++(?:choice|option))?+[*_\s]*+(?:[:=]|(?i:is|would\s++be|must\s++be)\b)[*_:\s]*+"
    + _LETTER_TAIL
)
_OTHER_LETTER = re.compile(r"(?:answer|option|choice)\s*+(?:is|:|=)?+\s*+:?+\s*+" + _LETTER_TAIL)
_LONE_LETTER = re.compile(r"^[ \t*_(\[$]*+([A-Za-z])[ \t\r*_)\]$.:]*+$", re.MULTILINE)
_LAST_NUMBER = re.compile(
    r"(?:\b(?:minus|negative)\s++)?+(?<![\w.,])[-−]?[$€£]?\d[\d,]*+(?:\.\d+)?+(?:/\d+)?+%?[¼-¾⅐-⅞⁰¹²³⁴-⁹]*+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Extraction:
    """An answer, empty where there is none, and how it was found."""

    answer: str
    method: Method

    @property
    def found(self) -> bool:
        return self.method != "none"


def extract(text: str, problem: Problem) -> Extraction:
    """The answer that `text` gives to `problem`, by the first method that finds one."""
    visible = without_thoughts(text)
    answer = final_answer(text)
    if answer is not None:
        return Extraction(answer, "final_answer")
    if problem.verifier == "code":
        return (
            Extraction(visible.strip("\n"), "code")
            if has_program(visible, cases_of(problem))
            else Extraction("", "none")
        )
    if boxed := last_boxed(visible):
        return Extraction(clean(boxed), "boxed")
    if hashed := _hashed(visible):
        return Extraction(clean(hashed), "hash")
    if problem.verifier == "choice" and (letter := _chosen(visible)):
        return Extraction(letter, "choice")
    if problem.verifier == "numeric" and (numbers := _LAST_NUMBER.findall(visible)):
        return Extraction(numbers[-1], "last_number")
    line = clean(visible)
    if line and "\n" not in line and len(line) <= WHOLE_CHARS:
        return Extraction(line, "whole")
    return Extraction("", "none")


def final_answer(text: str) -> str | None:
    """The content of the last `<final_answer>` element, cleaned of its dressing, or None.

    A tag that is opened at the end and never closed counts where it opens a line or a sentence and one short line is
    all that follows, as models that stop at the closing tag leave it; in mid-sentence it is only spoken of. An element
    that is empty, echoes the prompt ("...", "your answer") or puts the answer off ("not yet") does not count.
    """
    visible = without_thoughts(text)
    found: str | None = None
    start = opened = -1
    for tag in _TAG.finditer(visible):
        if not tag[1]:
            start, opened = tag.span()
        elif opened >= 0:
            found = _real(visible[opened : tag.start()]) or found
            opened = -1
    if opened >= 0 and _opens_a_sentence(visible[:start]):
        last = _real(visible[opened:])
        found = last if last and "\n" not in last and len(last) <= WHOLE_CHARS else found
    return found


def _opens_a_sentence(before: str) -> bool:
    """Whether what follows `before` starts a line, but for bold marks and the like, or a sentence."""
    line = before[before.rfind("\n") + 1 :].strip(" \t\r*_#-")
    return not line or line.endswith(_SENTENCE_END)


def without_thoughts(text: str) -> str:
    """`text` without `<think>` and `<thinking>` elements; one that is never closed hides all that follows.

    A closing tag whose opening tag stood in the prompt hides all that precedes it.
    """
    kept: list[str] = []
    start, depth = 0, 0
    for tag in _THOUGHT.finditer(text):
        if not tag[1]:
            if depth == 0:
                kept.append(text[start : tag.start()])
            depth += 1
        elif depth == 0:
            kept.clear()
        else:
            depth -= 1
        start = tag.end()
    if depth == 0:
        kept.append(text[start:])
    return "".join(kept)


def clean(answer: str) -> str:
    r"""`answer` without the dressing around it: code fences, bold, quotes, a box, spaces."""
    text = answer.strip()
    for _ in range(8):  # dressings may be nested; each round takes one off
        before = text
        text = _undress(text).strip()
        if text == before:
            break
    return text


def _undress(text: str) -> str:
    fence = re.fullmatch(r"```[\w+-]*[ \t]*\n(.*?)\n?```", text, re.DOTALL)
    if fence and "\n```" not in fence[1]:  # several blocks with words between them are not one
        return fence[1]
    for mark in ("**", "__", "```"):
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark) and text.count(mark) == 2:
            return text[len(mark) : -len(mark)]
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[-1] not in text[1:-1]:
        return text[1:-1]
    bare = text.strip("$ ") if text.count("$") in (2, 4) and text.startswith("$") and text.endswith("$") else text
    if bare.startswith((r"\boxed{", r"\fbox{")) and balanced(bare, bare.index("{")) == bare[bare.index("{") + 1 : -1]:
        return bare[bare.index("{") + 1 : -1]
    return text


def _real(content: str) -> str | None:
    answer = clean(content)
    return None if answer.strip(" .[]()<>{}…").lower() in _PLACEHOLDERS else answer


def _hashed(text: str) -> str | None:
    head, mark, tail = text.rpartition("#### ")
    if not mark:
        head, mark, tail = text.rpartition("####")
    if not mark or (head and not head.endswith("\n")):
        return None
    return (tail.strip().splitlines() or [""])[0].strip() or None


def _chosen(text: str) -> str | None:
    if named := _ANSWER_LETTER.findall(text) or _OTHER_LETTER.findall(text):
        return str(named[-1])
    lone = _LONE_LETTER.findall(text)
    return str(lone[-1]).upper() if lone else None
