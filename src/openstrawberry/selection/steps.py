"""The process verifier: whether a trace came to its answer by right steps.

A right answer can be luck, and a preference for short traces rewards the lucky short cut. Where the task knows its own
steps (`problems/procedures.py`) every step is checked; elsewhere cleanliness is unknown, and said to be so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openstrawberry.problems.families import recognise
from openstrawberry.problems.procedures import judge, lines
from openstrawberry.trace import Trace, Turn


def is_clean(trace: Trace) -> bool | None:
    """Whether every step of the trace follows the known procedure and the last gives the answer.

    None where the task does not know its steps.
    """
    item = recognise(trace.problem.question)
    return None if item is None else judge(item, steps(path_of(trace))).clean


def told_in_steps(trace: Trace) -> bool:
    """Whether the trace begins with the first line of the procedure: whether its model speaks the step language.

    A model that was never taught it reasons in its own words, which the process verifier would all call wrong.
    """
    item, said = recognise(trace.problem.question), steps(path_of(trace))
    return item is not None and bool(said) and said[0].strip() == lines(item)[0]


def steps(turns: Sequence[Turn]) -> list[str]:
    """The steps of a conversation: its replies, or the lines of the reply where there is only one (chain of thought).

    Turns that no model wrote (the examples of few-shot) are no steps, unless the trace names no model anywhere.
    """
    replies = [turn for turn in turns if turn.role == "assistant"]
    said = [turn.content for turn in replies if turn.model] or [turn.content for turn in replies]
    return [line for line in said[0].splitlines() if line.strip()] if len(said) == 1 else said


@dataclass(frozen=True)
class Guard:
    """Which right traces may be learnt from. `mode`: `Selecting.clean`; `told`: the runs speak the step language."""

    mode: bool | None
    told: bool

    @property
    def state(self) -> str:
        """In words, for the report."""
        if self.mode is None:
            return "on, where the task knows its steps" if self.told else "off: no trace is told in steps it knows"
        return "on" if self.mode else "off"

    def admits(self, clean: bool | None) -> bool:
        """Whether a right trace that is clean, not clean, or nobody knows (None) may be chosen."""
        if self.mode is None:
            return clean is not False or not self.told
        return clean is True or not self.mode


def path_of(trace: Trace) -> list[Turn]:
    """The turns from the root to the answer."""
    return [trace.messages[index] for index in trace.path]
