"""Scores run directories: streams their traces once and sums up what a row of a report says.

A trace that ended in an error, or whose check timed out or could not be made, says nothing about the model: it is left
out of every rate and counted apart. A trace without an answer, out of turns or cut off counts as not right.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from json import JSONDecodeError
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from openstrawberry.evaluation.rows import Group, Measures, Mistake, Outcome, Row
from openstrawberry.evaluation.voting import ballot, majority_at_k
from openstrawberry.problems.families import recognise
from openstrawberry.problems.problem import Problem
from openstrawberry.selection.steps import is_clean, told_in_steps
from openstrawberry.stats import Interval, bootstrap_mean, pass_at_k, wilson
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Trace

EXCLUDED = ("error", "timeout", "unknown")
_GROUPS_LIMIT = 60  # more sizes than this are no sizes: the source gives every problem a number of its own
_MISTAKES = 3
_SHOWN = 200  # characters of a question or answer in the list of mistakes


class Attempt(NamedTuple):
    """What counts of one trace. `clean` is None where it is unknown, counts are -1 where they are."""

    excluded: str
    right: bool
    answered: bool
    ballot: str
    clean: bool | None
    steps: int
    tokens_in: int
    tokens_out: int
    dollars: float
    seconds: float


@dataclass
class Tally:
    """All attempts at one problem."""

    problem: str
    family: str
    size: float
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def counted(self) -> list[Attempt]:
        """The attempts that say something about the model."""
        return [attempt for attempt in self.attempts if not attempt.excluded]

    @property
    def outcome(self) -> Outcome:
        """The short record of it."""
        counted = self.counted
        known = [attempt for attempt in counted if attempt.clean is not None]
        clean = [attempt for attempt in known if attempt.clean]
        return Outcome(
            self.problem,
            self.family,
            self.size,
            right=sum(attempt.right for attempt in counted),
            tried=len(counted),
            clean=len(clean) if known and len(known) == len(counted) else -1,
            clean_steps=sum(attempt.steps for attempt in clean),
        )


def score(
    runs: Sequence[Path],
    *,
    name: str = "",
    model: str = "",
    method: str = "",
    ks: Sequence[int] = (),
    samples: int | None = None,
    only: Collection[str] | None = None,
    seed: int = 0,
) -> Row:
    """Everything a report says about the traces in these run directories.

    Args:
        runs: run directories that `generate` made, all of one model and method.
        name, model, method: for the row; found in the traces where they are empty.
        ks: the k of pass@k and maj@k; those larger than the number of samples of a problem leave that problem out.
        samples: count only the first so many samples of each problem.
        only: count only problems with these ids.
        seed: of the bootstrap.

    Raises:
        SetupError: one of them is no run directory.
    """
    tallies: dict[str, Tally] = {}
    mistakes: list[Mistake] = []
    stepwise = False
    for trace in _traces(runs):
        if (samples is not None and trace.sample >= samples) or (only is not None and trace.problem.id not in only):
            continue
        model, method = model or trace.model, method or trace.strategy
        if trace.problem.id not in tallies:
            tallies[trace.problem.id] = Tally(trace.problem.id, *family_and_size(trace.problem))
        tallies[trace.problem.id].attempts.append(attempt(trace))
        stepwise = stepwise or told_in_steps(trace)
        if len(mistakes) < _MISTAKES and trace.verdict.status == "incorrect" and not trace.owed:
            mistakes.append(_mistake(trace))
    if not stepwise:  # answers without steps, or a model that was never taught the step language
        for tally in tallies.values():
            tally.attempts = [attempt._replace(clean=None) for attempt in tally.attempts]
    whole = sorted(tallies.values(), key=lambda tally: (tally.family, tally.size, tally.problem))
    return Row(
        name=name or f"{model} {method}".strip(),
        model=model,
        method=method,
        runs=[str(run) for run in runs],
        overall=measure(whole, ks, seed),
        groups=_groups(whole, ks, seed),
        mistakes=mistakes,
        outcomes=[tally.outcome for tally in whole],
    )


def attempt(trace: Trace) -> Attempt:
    """What counts of one trace."""
    status = trace.verdict.status
    return Attempt(
        excluded="error" if trace.owed else status if status in EXCLUDED else "",
        right=trace.solved,
        answered=status in ("correct", "incorrect"),
        ballot=ballot(trace),
        clean=is_clean(trace),
        steps=_replies(trace),
        tokens_in=trace.usage.input,
        tokens_out=trace.usage.output,
        dollars=trace.cost_usd,
        seconds=trace.seconds,
    )


def family_and_size(problem: Problem) -> tuple[str, float]:
    """The family that the problem names or that its question belongs to (else empty), and its difficulty."""
    try:
        family = problem.meta().get("family", "")
    except (JSONDecodeError, AttributeError):
        family = ""
    if not family and (item := recognise(problem.question)):
        return item.family, problem.difficulty or float(item.size)
    return str(family), problem.difficulty


def measure(tallies: Sequence[Tally], ks: Sequence[int] = (), seed: int = 0) -> Measures:
    """The measures of these problems. A problem without any attempt that counts is in none of the rates."""
    judged = [(tally, counted) for tally in tallies if (counted := tally.counted)]
    all_counted = [attempt for _, counted in judged for attempt in counted]
    every = [attempt for tally in tallies for attempt in tally.attempts]
    known = [(tally.outcome.clean, len(counted)) for tally, counted in judged if tally.outcome.clean >= 0]
    return Measures(
        problems=len(judged),
        traces=len(all_counted),
        excluded={why: n for why in EXCLUDED if (n := sum(attempt.excluded == why for attempt in every))},
        accuracy=_share([(sum(a.right for a in counted), len(counted)) for _, counted in judged], seed),
        pass_at=_at(judged, ks, lambda counted, k: pass_at_k(len(counted), sum(a.right for a in counted), k), seed),
        majority_at=_at(judged, ks, lambda counted, k: majority_at_k([(a.ballot, a.right) for a in counted], k), seed),
        no_answer=_mean(not attempt.answered for attempt in all_counted),
        clean=_share(known, seed),
        steps=_mean(attempt.steps for attempt in all_counted),
        clean_steps=_mean(attempt.steps for attempt in all_counted if attempt.clean),
        tokens_in=_mean(attempt.tokens_in for attempt in all_counted if attempt.tokens_in >= 0),
        tokens_out=_mean(attempt.tokens_out for attempt in all_counted if attempt.tokens_out >= 0),
        dollars=sum(a.dollars for a in every) if every and all(a.dollars >= 0 for a in every) else None,
        seconds=_mean(attempt.seconds for attempt in all_counted),
    )


def _traces(runs: Sequence[Path]) -> Iterator[Trace]:
    for run in runs:
        yield from read_traces(run)


def _groups(tallies: Sequence[Tally], ks: Sequence[int], seed: int) -> list[Group]:
    """Per family and size, where that says something: more than one size, and sizes that several problems share."""
    groups = [(key, list(group)) for key, group in groupby(tallies, key=lambda tally: (tally.family, tally.size))]
    if not 1 < len(groups) <= min(_GROUPS_LIMIT, max(2, len(tallies) // 2)):
        return []
    return [Group(family=family, size=size, measures=measure(group, ks, seed)) for (family, size), group in groups]


def _share(counts: Sequence[tuple[int, int]], seed: int) -> Interval | None:
    """The mean over problems of (hits, tries): Wilson where each was tried once, else bootstrapped over problems."""
    if not counts:
        return None
    if all(tries == 1 for _, tries in counts):
        hits = sum(hits for hits, _ in counts)
        return Interval(hits / len(counts), *wilson(hits, len(counts)))
    return bootstrap_mean([hits / tries for hits, tries in counts], bounds=(0, 1), seed=seed)


def _at(
    judged: Sequence[tuple[Tally, list[Attempt]]],
    ks: Sequence[int],
    value: Callable[[list[Attempt], int], float],
    seed: int,
) -> dict[int, Interval]:
    found = {}
    for k in ks:
        values = [value(counted, k) for _, counted in judged if len(counted) >= k]
        if values:
            found[k] = bootstrap_mean(values, bounds=(0, 1), seed=seed)
    return found


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None


def _replies(trace: Trace) -> int:
    """How often the model was asked on the way to the answer; the examples of few-shot are nobody's replies."""
    turns = (trace.messages[index] for index in trace.path)
    return sum(turn.role == "assistant" and bool(turn.model or turn.key) for turn in turns)


def _mistake(trace: Trace) -> Mistake:
    shown = [text[:_SHOWN] for text in (trace.problem.question, trace.problem.answer, trace.answer)]
    return Mistake(question=shown[0], answer=shown[1], given=shown[2])
