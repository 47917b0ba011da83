"""Rows on their way out: the formats that trainers read.

    trl        {"prompt", "chosen", "rejected", "offset", ...}   preference pairs as message lists
    openai     {"input", "preferred_output", "non_preferred_output", "metadata"}   the same for OpenAI and Azure
    kto        {"prompt", "completion", "label", ...}   single traces, right or wrong (Ethayarajh et al. 2024)
    sft        {"messages", "given", ...}   right traces; the first `given` messages were given, not written
    prm        {"prompt", "completions", "asked", "labels", "values", "visits", ...}   paths with step labels
    sharegpt   {"conversations": [{"from", "value"}], ...}   right traces, for tools that read ShareGPT

Two renderings: `chat`, the turns as they were, and `flat`, the steps joined into one reply (`<think>`, the steps,
`</think>`, the last turn), so that a model learns to reason by itself without being nudged. `flat` asks the bare
question, and leaves out the "Not yet." that answers a nudge.

In a row of `prm`, `completions` are the replies and `asked[i]` is the user turn between replies i - 1 and i ("" for the
first, whose user turn ends the prompt); `labels` (bool), `values` (0 to 1) and `visits` have one entry per reply. Where
they come from stands in `labels.py`.

What always holds: a message has exactly the keys role and content; every row names the traces it came from.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from openstrawberry.problems.procedures import NOT_YET
from openstrawberry.selection.candidates import Pick, Single, Source
from openstrawberry.selection.difficulty import family_of, size_of
from openstrawberry.selection.options import Selecting
from openstrawberry.selection.pairs import offset
from openstrawberry.selection.siblings import path_to
from openstrawberry.store.reading import Shelf
from openstrawberry.trace import Trace, Turn

Row = dict[str, Any]
_THINK = re.compile(r"</?\s*think\s*>", re.IGNORECASE)
_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}


def export(picks: Iterable[Pick | Single], shelves: Sequence[Shelf], options: Selecting) -> Iterator[Row]:
    """The rows of what was picked, read from disk one after another."""
    read = lru_cache(maxsize=64)(lambda shelf, entry: shelves[shelf].read(entry))
    for pick in picks:
        if isinstance(pick, Pick):
            yield _pair(pick, _told(read, pick.chosen), _told(read, pick.rejected), options)
        else:
            yield _single(pick, _told(read, pick.source), options)


def _told(read: Any, source: Source) -> tuple[Trace, list[Turn]]:
    trace: Trace = read(source.shelf, source.entry)
    path = trace.path if source.leaf < 0 else path_to(trace, source.leaf)
    return trace, [trace.messages[index] for index in path]


def _pair(pick: Pick, chosen: tuple[Trace, list[Turn]], rejected: tuple[Trace, list[Turn]], options: Selecting) -> Row:
    trace = chosen[0]
    if options.rendering == "flat":
        prompt = _question(trace)
        sides = [[flat(turns)] for _, turns in (chosen, rejected)]
    else:
        prompt = messages(chosen[1][: pick.prompt])
        end = pick.prompt + 1 if pick.unit != "trace" else None
        sides = [messages(turns[pick.prompt : end]) for _, turns in (chosen, rejected)]
    about: Row = {
        "offset": offset(options.skew, pick.chosen.steps, pick.rejected.steps),
        "unit": pick.unit,
        **_about(trace),
        "chosen_trace": pick.chosen.entry.id,
        "rejected_trace": pick.rejected.entry.id,
        "chosen_steps": pick.chosen.steps,
        "rejected_steps": pick.rejected.steps,
        "hinted": pick.chosen.entry.hinted,
    }
    if options.format == "openai":
        asked = {"messages": prompt, "tools": [], "parallel_tool_calls": True}
        return {"input": asked, "preferred_output": sides[0], "non_preferred_output": sides[1], "metadata": about}
    return {"prompt": prompt, "chosen": sides[0], "rejected": sides[1], **about}


def _single(pick: Single, told: tuple[Trace, list[Turn]], options: Selecting) -> Row:
    trace, turns = told
    if options.format == "prm":
        return _labelled(pick, trace, turns)
    if options.rendering == "flat":
        prompt, reply = _question(trace), [flat(turns)]
    else:
        prompt, reply = messages(turns[: pick.prompt]), messages(turns[pick.prompt :])
    about = {**_about(trace), "trace": pick.source.entry.id, "steps": pick.source.steps, "hinted": trace.hinted}
    if options.composed:
        about["composed"] = trace.composed
    if options.format == "kto":
        return {"prompt": prompt, "completion": reply, "label": pick.label, **about}
    if options.format == "sharegpt":
        said = [{"from": _SHAREGPT[each["role"]], "value": each["content"]} for each in (*prompt, *reply)]
        return {"conversations": said, **about}
    return {"messages": [*prompt, *reply], "given": len(prompt), **about}


def _labelled(pick: Single, trace: Trace, turns: list[Turn]) -> Row:
    replies = [number for number in range(pick.prompt, len(turns)) if turns[number].role == "assistant"]
    first, *later = replies
    return {
        "prompt": messages(turns[:first]),
        "completions": [turns[number].content for number in replies],
        "asked": ["", *(turns[number - 1].content if turns[number - 1].role == "user" else "" for number in later)],
        "labels": [value > 0 for value in pick.values],
        "values": [round(value, 6) for value in pick.values],
        "visits": list(pick.visits),
        **_about(trace),
        "size": size_of(trace.problem.question),
        "trace": pick.source.entry.id,
        "steps": pick.source.steps,
    }


def _about(trace: Trace) -> Row:
    problem = trace.problem
    return {
        "problem": problem.id,
        "question": problem.question,
        "answer": problem.answer,
        "source": problem.source,
        "difficulty": problem.difficulty,
        "family": family_of(problem.question),
    }


def messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Turns as a trainer reads them: role and content, nothing else."""
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def flat(turns: Sequence[Turn]) -> dict[str, str]:
    """The steps as one reply that thinks and then answers. A provider's own reasoning goes before its step."""
    replies = [turn for turn in turns if turn.role == "assistant"]
    replies = [turn for turn in replies if turn.model] or replies  # not the examples of few-shot
    *steps, last = replies
    said = [text for turn in steps for text in (turn.reasoning, turn.content) if text.strip() != NOT_YET]
    lines = [text for text in (_THINK.sub("", each).strip() for each in (*said, last.reasoning)) if text]
    thought = "<think>\n" + "\n".join(lines) + "\n</think>\n" if lines else ""
    answer = _THINK.sub("", last.content) if lines else last.content
    return {"role": "assistant", "content": thought + answer.strip()}


def _question(trace: Trace) -> list[dict[str, str]]:
    return [{"role": "user", "content": trace.problem.question}]
