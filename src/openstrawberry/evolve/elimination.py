"""What can be told of a new problem from its text alone, and the reasons for which one is eliminated.

Source: the elimination of WizardLM's Evol-Instruct (no information gained, the writer cannot, nothing but stop words,
words of the prompt copied), and what their users found to be missing: near copies, and answers given away.
"""

import re
from typing import Literal, get_args

from openstrawberry.problems.problem import Problem
from openstrawberry.selection.clean import Duplicates
from openstrawberry.trace import Node
from openstrawberry.verifiers.extract import without_thoughts

Reason = Literal[
    "refused",  # the writer would not, or the provider's filter did not let it
    "cut off",  # the problem did not fit into a reply
    "no problem",  # nothing that could be read as one
    "prompt leaked",  # it speaks of the prompt that asked for it
    "answer given",  # it tells its own answer
    "copy",  # the same text as another problem
    "near copy",  # nearly the same
    "nothing new",  # the judge: no more is asked than before
    "unanswerable",  # the judge: something is missing, or no single answer can be checked
    "held out",  # on the side of a built-in family that must stay unseen
    "nothing harder",  # the generator has none
    "no answer",  # hardly a solver gave one
    "no agreement",  # the solvers disagree, so that the answer is not known
    "always right",  # too easy for the target; evolved further
    "never right",  # too hard for the target
    "no verdict",  # its tries could not be judged
]
REASONS: tuple[Reason, ...] = get_args(Reason)

LONGEST = 20_000  # characters of a problem
_OPEN = re.compile(r"<\s*new_problem\s*>", re.IGNORECASE)
_CLOSE = re.compile(r"<\s*/\s*new_problem\s*>", re.IGNORECASE)
_GIVEN = re.compile(
    r"</?\s*final_answer|^####|\\boxed\s*\{\s*[-+\d\\]"
    r"|^[^\w\n]*(?:the )?(?:correct |final )?(?:answer|solution)[^\w\n:=]*[:=][^\w\n]*+\w(?!.*(?:\bor\b|\?))",
    re.IGNORECASE | re.MULTILINE,
)  # `Answer: 24`, but neither an empty line to fill in nor `Answer: yes or no`
_LETTER = re.compile(r"[^\W\d_]")


def written(node: Node) -> str:
    """The problem in a writer's reply: what stands in the last `<new_problem>`; empty where nothing does."""
    said = without_thoughts(node.content)
    opened = [tag.end() for tag in _OPEN.finditer(said)]
    return _CLOSE.split(said[opened[-1] :], maxsplit=1)[0].strip() if opened else ""


def spoilt(node: Node, question: str, parent: str, refusals: list[str], leaks: list[str]) -> Reason | None:
    """Why a reply is no new problem, as far as its text tells; None where it may be one.

    `refusals` begin a reply that refuses, `leaks` are words of the writer's prompt: in a problem they count only where
    the parent does not have them too.
    """
    said = (question or without_thoughts(node.content)).casefold().lstrip(" \n*\"'")
    if node.finish_reason == "filter" or said.startswith(tuple(each.casefold() for each in refusals)):
        return "refused"
    if node.finish_reason == "length" and not _CLOSE.search(node.content):
        return "cut off"
    if len(question) > LONGEST or len(_LETTER.findall(question)) + sum(map(str.isdigit, question)) < 3:
        return "no problem"
    before = parent.casefold()
    if any(leak.casefold() in said and leak.casefold() not in before for leak in leaks):
        return "prompt leaked"
    if _GIVEN.search(question) and not _GIVEN.search(parent):
        return "answer given"
    return None


class Known:
    """All problems there are so far: nothing that is new may be a copy of one of them.

    Args:
        near: likeness from which texts count as copies (`selection/clean.py`).
    """

    def __init__(self, near: float) -> None:
        self._texts = Duplicates(near)

    def add(self, question: str) -> Reason | None:
        """Remembers a problem; says so if it is a copy. Case and spacing make no new problem."""
        found = self._texts.add(" ".join(question.casefold().split()))
        return {"new": None, "exact": "copy", "near": "near copy"}[found]


def copied(question: str, parent: Problem, near: float) -> Reason | None:
    """Whether a problem is no more than its parent."""
    known = Known(near)
    known.add(parent.question)
    return known.add(question)
