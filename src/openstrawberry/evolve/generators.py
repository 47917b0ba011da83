"""New problems that no model has to write or solve: the families of the package, and the tasks of reasoning-gym.

Their generators make a problem of any size and compute its answer, so a family that is recognised is evolved without a
single call. Four of the seven operators mean something to a generator:

    deepen     one size up (a digit, a letter, a level)
    reason     two sizes up, since every size adds steps
    broaden    another problem of the same size
    fresh      family and size of another of the given problems, one size up

What always holds: a problem of a built-in family lies on the training side, whatever side its parent lies on; its
answer comes from the item itself.
"""

from random import Random
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.evolve.operators import Operator
from openstrawberry.problems.families import Item, draw, phrase, recognise
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.source import dump

STEPS: dict[str, int] = {"deepen": 1, "reason": 2, "broaden": 0, "fresh": 1}
"""Sizes up, by operator: those that a generator knows."""


def can_generate(problem: Problem) -> bool:
    """Whether a generator knows problems like this one."""
    return recognise(problem.question) is not None or _gym(problem) is not None


def computed(question: str) -> Problem | None:
    """A question of a built-in family as a problem with its answer, however it came about."""
    item = recognise(question)
    return _problem(item, question) if item is not None else None


def harder(problem: Problem, operator: Operator, random: Random) -> Problem | None:
    """A problem like `problem`, as many sizes up as the operator says; None where there is none of that size.

    Raises:
        SetupError: the problem is a gym task and reasoning-gym is missing.
    """
    item = recognise(problem.question)
    if item is not None:
        return _next_item(item, STEPS[operator], random)
    gym = _gym(problem)
    return _next_level(gym, STEPS[operator], random) if gym else None


def plain(problem: Problem) -> str:
    """The question by which copies are told: one of a built-in family in its first wording."""
    item = recognise(problem.question)
    return item.question() if item is not None else problem.question


def _next_item(item: Item, up: int, random: Random) -> Problem | None:
    try:
        found = draw(random, item.family, item.size + up, "train")
    except ValueError:  # words end at 24 letters
        return None
    return _problem(found, phrase(random, found))


def _problem(item: Item, question: str) -> Problem:
    metadata = dump({"family": item.family, "size": item.size})
    size = float(item.size)
    return Problem(
        question=question, answer=item.answer, verifier="numeric", difficulty=size, source="evolve", metadata=metadata
    )


def _next_level(gym: dict[str, Any], up: int, random: Random) -> Problem | None:
    asked = {key: text for key, text in gym["config"].items() if key not in ("size", "seed")}
    asked |= {"size": "1", "seed": str(random.randrange(2**31))}
    if up:
        asked["level"] = str(int(asked.get("level", "0")) + up)
    source = f"gym:{gym['task']}?" + "&".join(f"{key}={text}" for key, text in asked.items())
    try:
        found = next(load_problems(source))
    except SetupError as error:
        if up and not isinstance(error.__cause__, ImportError):  # no such level, or the task has none
            return None
        raise
    return found.model_copy(update={"source": "evolve"})


def _gym(problem: Problem) -> dict[str, Any] | None:
    """The task that made a problem, as `problems/gym.py` keeps it."""
    if problem.verifier != "gym":
        return None
    kept = problem.meta().get("gym")
    usable = isinstance(kept, dict) and isinstance(kept.get("task"), str) and isinstance(kept.get("config"), dict)
    return kept if usable else None
