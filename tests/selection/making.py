"""Traces and runs made by hand."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from openstrawberry.problems.families import Addition
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.procedures import final, lines
from openstrawberry.selection.candidates import Candidate, candidate
from openstrawberry.store.index import Place
from openstrawberry.store.reading import Entry
from openstrawberry.trace import Checked, Stop, Tokens, Trace, Turn

SYSTEM = "One small step."
SUMS = [item for a in range(10, 90) for b in (37, 58) if (item := Addition(a, b)).split == "train"]
"""Sums on the training side."""
HELD_OUT = next(item for a in range(10, 90) if (item := Addition(a, 37)).split == "held-out")


def problem(question: str = "Which colour has the sky?", answer: str = "blue", **fields: Any) -> Problem:
    return Problem(question=question, answer=answer, source="test", **fields)


def sum_problem(item: Addition) -> Problem:
    return problem(item.question(), item.answer, verifier="numeric", difficulty=float(item.size))


def turn(role: str, content: str, parent: int, model: str = "", **fields: Any) -> Turn:
    return Turn(role=role, content=content, parent=parent, model=model, usage=Tokens(), **fields)


def trace(
    asked: Problem,
    replies: Sequence[str],
    status: str = "correct",
    stop: Stop = "final_answer",
    sample: int = 0,
    nudges: Sequence[str] = (),
    system: str | None = SYSTEM,
    name: str = "",
) -> Trace:
    """A chat: the system prompt (None: none), the question, replies with nudges between them ("Next?")."""
    turns = [turn("system", system, -1)] if system is not None else []
    for number, reply in enumerate(replies):
        user = asked.question if number == 0 else (nudges[number - 1] if number <= len(nudges) else "Next?")
        turns.append(turn("user", user, len(turns) - 1))
        turns.append(turn("assistant", reply, len(turns) - 1, model="scripted:test"))
    return whole(asked, turns, tuple(range(len(turns))), status, stop, sample, name)


def whole(
    asked: Problem,
    turns: Sequence[Turn],
    path: tuple[int, ...],
    status: str = "correct",
    stop: Stop = "final_answer",
    sample: int = 0,
    name: str = "",
    answer: str | None = None,
) -> Trace:
    """A trace of any shape."""
    return Trace(
        id=name or f"{asked.id}-{sample}",
        problem=asked,
        model="scripted:test",
        strategy="strawberry",
        params="{}",
        sample=sample,
        seed=0,
        messages=tuple(turns),
        path=path,
        answer=(asked.answer if status == "correct" else "wrong") if answer is None else answer,
        stop=stop,
        verdict=Checked.model_validate({"status": status}),
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T00:00:01+00:00",
    )


def clean_replies(item: Addition, checks: int = 0) -> list[str]:
    """The procedure, with the last step redone `checks` times."""
    steps = lines(item)[:-1]
    return [*steps, *[f"Check: {steps[-1]}"] * checks, final(item)]


def entry(one: Trace) -> Entry:
    return Entry(one.id, one.problem.id, one.problem.question, one.sample, one.stop, one.verdict.status, one.turns,
                 one.problem.difficulty, Place("traces-00000.jsonl", 0, 0), one.hinted)  # fmt: skip


def offered(one: Trace) -> Candidate:
    return candidate(0, entry(one), one)


def write_run(
    folder: Path, traces: Iterable[Trace], prompts: str = "strawberry/brief", strategy: str = "", **options: Any
) -> Path:
    """A run directory with these traces. `strategy`: that of its prompts unless said, with these options."""
    folder.mkdir(parents=True)
    strategy = strategy or prompts.partition("/")[0]
    identity = {"model": "berry", "strategy": strategy, "options": options, "prompts": prompts}
    (folder / "run.json").write_text(json.dumps({"created": "2026", "identity": identity, "config": {"prompts": None}}))
    (folder / "traces-00000.jsonl").write_text("".join(each.to_line() + "\n" for each in traces))
    return folder


def solved(item: Addition, right: int, wrong: int, first: int = 0) -> list[Trace]:
    """Samples of a sum: the right ones clean, no two alike, the wrong ones wrong in their last step but one."""
    asked = sum_problem(item)
    found = []
    for number in range(right):
        found.append(trace(asked, clean_replies(item, checks=number), sample=first + number))
    for number in range(wrong):
        steps = clean_replies(item)[:-1] + [f"Check: {word}" for word in ["no", "maybe", "yes", "so"][: number + 1]]
        found.append(trace(asked, [*steps, "<final_answer>1</final_answer>"], "incorrect",
                           sample=first + right + number))  # fmt: skip
    return found
