"""The seven ways in which a problem becomes a new one, and which of them a problem meets in which round.

deepen       asks for more depth: the same matter, harder
constrain    adds a constraint or a requirement
concretise   puts a particular case in the place of a general one
reason       takes more steps of reasoning
complicate   makes the input longer or more intricate: tables, code, several objects
broaden      a new problem of the same domain, rarer than the given one
fresh        a new problem from a few other problems and some of their words

Source: the in-depth and in-breadth operations of WizardLM's Evol-Instruct (Xu et al. 2023, arXiv 2304.12244); the fresh
start from random seeds is h2o-wizardlm's. The wording (`prompts/evolve.yaml`) is our own.
"""

import hashlib
import re
from collections.abc import Sequence
from random import Random
from typing import Literal

from openstrawberry.problems.problem import Problem

Operator = Literal["deepen", "constrain", "concretise", "reason", "complicate", "broaden", "fresh"]
OPERATORS: tuple[Operator, ...] = ("deepen", "constrain", "concretise", "reason", "complicate", "broaden", "fresh")
EXAMPLES, KEYWORDS = 3, 3  # of a fresh start
_WORD = re.compile(r"[^\W\d_]{5,}")


def randomness(seed: int, problem: Problem, round: int, *labels: object) -> Random:
    """A generator that depends on these alone, so that a continuation draws the same."""
    text = repr((seed, problem.id, round, labels))
    return Random(hashlib.sha256(text.encode()).digest())


def examples(random: Random, problem: Problem, others: Sequence[Problem]) -> list[Problem]:
    """A few of the given problems for a fresh start, the one itself left out where there are others."""
    pool = [each for each in others if each.id != problem.id] or [problem]
    return random.sample(pool, min(EXAMPLES, len(pool)))


def keywords(random: Random, problems: Sequence[Problem]) -> list[str]:
    """A few longer words of these problems; none where they have none."""
    words = sorted({word.lower() for each in problems for word in _WORD.findall(each.question[:10_000])})
    return random.sample(words, min(KEYWORDS, len(words)))
