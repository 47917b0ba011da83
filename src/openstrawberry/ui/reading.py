"""A trace as a person reads it: steps with titles, what was asked before each, what others said beside it.

The record of a trace is a flat list of turns (see `trace.py`). Here it becomes a `Reading`: the steps on the way to the
answer in their order, each with the side conversations (critic, judge) and the abandoned branches that belong to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from openstrawberry.trace import UNKNOWN, Trace, Turn
from openstrawberry.ui.tree import replies
from openstrawberry.wording import counted

Sign = str  # of a verdict: ✓ ✗ – ?
SIGNS: dict[str, Sign] = {"correct": "✓", "incorrect": "✗", "no_answer": "–"}
WORDS = {
    "correct": "right",
    "incorrect": "wrong",
    "no_answer": "no answer",
    "timeout": "the check took too long",
    "unknown": "unchecked",
}
LEAST = 200  # characters of a text that is shown whole, however long the trace


@dataclass(frozen=True)
class Side:
    """A conversation beside a step. `channel`: who holds it ("critic", "judge"), or "main" for an abandoned branch."""

    channel: str
    turns: tuple[Turn, ...]


@dataclass
class Step:
    """One reply on the way to the answer. `index`: its place in the trace's list. `asked`: the user turn before it."""

    number: int
    index: int
    turn: Turn
    asked: str
    sides: list[Side] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What the model called it, else its first sentence; never empty."""
        return self.turn.title or f"Step {self.number}"

    @property
    def facts(self) -> str:
        """Seconds, tokens, how it ended, and a search's figures, in one line."""
        turn, tokens = self.turn, self.turn.usage
        parts = [f"{turn.latency_s:.1f} s"] if turn.latency_s else []
        parts += [f"{tokens.output:,} tokens"] if tokens.output != UNKNOWN else []
        parts += [f"{tokens.cached_input:,} of {tokens.input:,} from cache"] if tokens.cached_input > 0 else []
        parts += {"length": ["cut at the limit"], "filter": ["refused"]}.get(turn.finish_reason, [])
        parts += [f"value {turn.value:.2f}, {counted(turn.visits, 'visit')}"] if turn.visits else []
        return " · ".join(parts)


@dataclass(frozen=True)
class Reading:
    """A whole trace. `given`: what stood before the first question (system prompt, examples), as turns."""

    trace: Trace
    given: tuple[Turn, ...]
    steps: tuple[Step, ...]

    @property
    def sign(self) -> Sign:
        """The verdict as one character."""
        return "!" if self.trace.owed else SIGNS.get(self.trace.verdict.status, "?")

    @property
    def outcome(self) -> str:
        """How it ended, in words."""
        trace = self.trace
        if trace.owed:
            return trace.error.message or f"broken off ({trace.stop})"
        ends = {"max_turns": "out of turns", "refused": "refused", "truncated": "cut off"}
        end = f", {ends[trace.stop]}" if trace.stop in ends else ""
        hint = ", shown the answer" if trace.correct and trace.hinted else ""
        return WORDS.get(trace.verdict.status, trace.verdict.status) + hint + end

    @property
    def branches(self) -> int:
        """Replies beside the path, of the same conversation: what a search looked at and left."""
        on_path = set(self.trace.path)
        return sum(index not in on_path for index in replies(self.trace))


def read(trace: Trace) -> Reading:
    """Reads a trace. Any list of turns can be read, also that of a trace that broke off."""
    turns = trace.messages
    steps: list[Step] = []
    given: list[Turn] = []
    asked: list[str] = []
    for index in trace.path:
        turn = turns[index]
        if turn.role == "assistant" and (turn.model or turn.finish_reason or index == trace.path[-1]):
            steps.append(Step(len(steps) + 1, index, turn, "\n\n".join(asked)))
            asked = []
        elif turn.role == "user":
            asked.append(turn.content)
        else:  # a system prompt, or a worked example that no model wrote
            given += [Turn(role="user", content=text, parent=-1, usage=turn.usage) for text in asked]
            asked = []
            given.append(turn)
    for side, owner in _sides(trace, [step.index for step in steps]):
        if steps:
            steps[owner].sides.append(side)
    return Reading(trace, tuple(given), tuple(steps))


def _sides(trace: Trace, steps: Sequence[int]) -> list[tuple[Side, int]]:
    """Side conversations of critics and judges, each with the number of the step that it stands beside."""
    found: list[tuple[Side, int]] = []
    turns, on_path = trace.messages, set(trace.path)
    last: dict[int, int] = {}  # a turn beside the path -> the last turn of its line
    for index, turn in enumerate(turns):
        if index in on_path or turn.channel == "main":
            continue
        last.pop(turn.parent, None)
        last[index] = index
    for end in last:
        line: list[Turn] = []
        at = end
        while at != -1 and at not in on_path and turns[at].channel != "main":
            line.append(turns[at])
            at = turns[at].parent
        # It is about the reply that it hangs from, or about the last one that was there when it began.
        begun = at if at != -1 else end
        before = [number for number, reply in enumerate(steps) if reply <= begun]
        found.append((Side(turns[end].channel, tuple(reversed(line))), before[-1] if before else 0))
    return found


def shortened(trace: Trace, most: int) -> Trace:
    """`trace`, its longest texts cut until all have about `most` characters together; as it is if they have no more."""
    turns, problem = trace.messages, trace.problem
    sizes = [len(text) for turn in turns for text in (turn.content, turn.reasoning)]
    sizes += [len(problem.question), len(problem.answer), len(trace.answer)]
    limit = max(sizes, default=0)
    while limit > LEAST and sum(min(size, limit) for size in sizes) > most:
        limit //= 2
    if limit >= max(sizes, default=0):
        return trace
    texts = {"question": cut(problem.question, limit), "answer": cut(problem.answer, limit)}
    return trace.model_copy(update={
        "messages": tuple(turn.model_copy(update={
            "content": cut(turn.content, limit), "reasoning": cut(turn.reasoning, limit)}) for turn in turns),
        "problem": problem.model_copy(update=texts),
        "answer": cut(trace.answer, limit),
    })  # fmt: skip


def cut(text: str, limit: int) -> str:
    """`text`, or its beginning and its end with as many characters as `limit`, and how many are not shown."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … [{len(text) - 2 * half:,} characters left out] … {text[len(text) - half :]}"
