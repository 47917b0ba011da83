"""What must stay unseen: no evaluation problem, nor one of the held-out side, ever enters training.

Three walls, from the outer to the inner:

- *held out*: a problem of the built-in families on the held-out side of their border (`problems/families.py`). Always
  on; it is left out and counted, whatever was asked for.
- *evaluated*: a problem that stands in an evaluation set, by content hash or by the text of its question (case and
  spacing apart). Refused, unless `--drop-evaluated` says to leave such problems out.
- *contaminated*: a question that shares 13 words in a row with an evaluation question (Brown et al. 2020, appendix C),
  or, where it has fewer than 13 words, has the same words altogether, punctuation apart. Left out and counted. A run of
  words that stands in more than 10 evaluation questions is a template ("Answer with the option's letter from ..."), no
  content, and does not count, as there.

Only questions are compared: replies are written by the model, which has read nothing else.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from openstrawberry.errors import SetupError
from openstrawberry.problems.families import recognise
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem

TEMPLATE = 10
_WORD = re.compile(r"\w+")

Seen = Literal["", "held out", "evaluated", "contaminated"]


class Heldout:
    """The evaluation sets, as hashes.

    Args:
        problems: every evaluation problem.
        ngram: words in a row that count as the same text; 0 compares whole questions only.
    """

    def __init__(self, problems: Iterable[Problem] = (), ngram: int = 13) -> None:
        self._n = ngram
        self._ids: set[str] = set()
        self._questions: set[str] = set()
        self._short: set[tuple[str, ...]] = set()
        counts: Counter[int] = Counter()
        for problem in problems:
            self._ids.add(problem.id)
            question = plain(problem.question)
            if question not in self._questions:  # a question that stands twice is no template
                counts.update(self._grams(question))
                self._short.add(_words(question))
            self._questions.add(question)
        self._long = {gram for gram, count in counts.items() if count <= TEMPLATE}

    @classmethod
    def load(cls, sources: Collection[str], ngram: int) -> "Heldout":
        """Reads problem sources.

        Raises:
            SetupError: a source cannot be read.
        """
        return cls(_problems(sources), ngram)

    def seen(self, problem: str, question: str) -> Seen:
        """Why a problem (its id and question) may not be learnt from; "" where it may."""
        item = recognise(question)
        if item is not None and item.split == "held-out":
            return "held out"
        text = plain(question)
        if problem in self._ids or text in self._questions:
            return "evaluated"
        if self._n and (self._grams(text) & self._long or self._short_copy(text)):
            return "contaminated"
        return ""

    def _short_copy(self, question: str) -> bool:
        words = _words(question)
        return len(words) < self._n and words in self._short

    def _grams(self, question: str) -> set[int]:
        """Hashes of every n words in a row; none for a shorter question."""
        words = _words(question)
        n = self._n
        return {hash(words[start : start + n]) for start in range(len(words) - n + 1)} if n else set()


def plain(question: str) -> str:
    """The form in which questions are compared: without case, one space between words."""
    return " ".join(question.casefold().split())


def _words(question: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(question.casefold()))


def _problems(sources: Collection[str]) -> Iterator[Problem]:
    for source in sources:
        try:
            yield from load_problems(source)
        except SetupError as error:
            raise SetupError(f"The evaluation set {source} cannot be read. {error}") from error
