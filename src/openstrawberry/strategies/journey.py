"""A finished tree, walked into one long thought that takes a few wrong turns and repairs them.

Source: O1-Journey, part 1 (Qin et al. 2024, arXiv 2410.18982): a search labels a tree of solutions, a walk through it
depth first visits some wrong branches before the right one, and the joins are made to read as one stream of thought.

The tree is that of `omega`. The way is a right rollout; a wrong turn leaves it where another rollout said something
else, follows that one to its first bad step, which is known, and comes back with a sentence of repair. A few rollouts
that all failed may be bad luck: a step is called wrong only where that is unlikely, given what the step before was
worth. Late forks are preferred, since an early one tells the good steps before its slip twice. The joins come from
`prompts/journey.yaml`, or a model rewrites the whole (`smooth=model`, in a side conversation).

The trace ends in that long thought as one reply to the bare question. No model wrote it there: it is a *composed*
reply (`Trace.composed`), which training leaves out unless it is asked to learn from it as a whole.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from openstrawberry.problems.procedures import NOT_YET
from openstrawberry.prompts import PromptSet, filled
from openstrawberry.strategies.omega import Omega
from openstrawberry.strategies.rollouts import Rollout
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Task
from openstrawberry.strategies.thoughts import split_thoughts
from openstrawberry.trace import Node, title_of
from openstrawberry.verifiers.extract import final_answer

SHORT = 80  # characters of a step that is named by its own words
_TITLE = re.compile(r"<turn_title>.*?(</turn_title>|$)", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r"</?(think|thinking|final_answer|turn_title)>", re.IGNORECASE)


@dataclass(frozen=True)
class WrongTurn:
    """Replies that leave the way before its reply number `at`; the last of them is the first bad step."""

    at: int
    replies: Sequence[Node]


class Journey(Omega):
    """Options: those of `omega`, which makes the tree, and of the walk."""

    name: ClassVar[str] = "journey"

    detours: int = Field(default=2, ge=0, le=1_000, description="wrong turns that are kept at most")
    doubt: float = Field(default=0.1, ge=0, le=1, description="chance of bad luck up to which a step is called wrong")
    smooth: Literal["template", "model"] = Field(default="template", description="who writes the joins")

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """Those of the search, and one where a model smooths the thought."""
        return super().most_replies(prompts, turns) + (self.smooth == "model")

    def solve(self, task: Task) -> Steps[Answer]:
        """Searches, walks, and answers with the long thought; like an ordinary game where nothing came out right."""
        rollouts = yield from self.explore(task)
        ways = [rollout for rollout in rollouts if rollout.right]
        if not ways:
            return rollouts[0].answer
        walks = [(way, wrong_turns(way, rollouts, self.doubt)[: self.detours]) for way in ways]
        way, turns = max(
            walks, key=lambda walk: (len(walk[1]), sum(turn.at for turn in walk[1]), -len(walk[0].replies))
        )
        thought = "\n".join(told(task, way, turns))
        if self.smooth == "model":
            thought = yield from self.smoothed(task, thought, way.answer.text)
        last = way.answer.node.content.strip()
        content = f"<think>\n{thought}\n</think>\n{last}" if thought else last
        node = task.tree.add("assistant", content, task.user(task.problem.question))
        return Answer(way.answer.text, node, method=way.answer.method)

    def smoothed(self, task: Task, draft: str, answer: str) -> Steps[str]:
        """The draft in one voice; the draft itself where the reply is cut, empty or comes to another answer."""
        asked = filled(task.prompts.text("smooth"), draft=draft, question=task.problem.question)
        node = yield Ask(task.tree.add("user", asked, None, "critic"), temperature=self.temperature)
        parted = split_thoughts(node.content)  # of a model that thinks before it writes
        text = plain(parted[1] if parted and parted[1] else node.content)
        fits = node.finish_reason not in ("length", "filter") and final_answer(node.content) in (None, answer)
        return text if text and fits else draft


def wrong_turns(way: Rollout, rollouts: Sequence[Rollout], doubt: float) -> list[WrongTurn]:
    """Where other rollouts left the way for a step that is known to be bad: no two alike, the last to fork first."""
    found: dict[str, WrongTurn] = {}
    on_the_way = {node.chain for node in way.replies}
    for other in rollouts:
        bad = other.first_bad
        if bad is not None and other.replies[bad].chain not in on_the_way and bad_luck(other, bad) <= doubt:
            at = next(number for number, node in enumerate(other.replies) if node.chain not in on_the_way)
            found.setdefault(other.replies[bad].chain, WrongTurn(at, other.replies[at : bad + 1]))
    return sorted(found.values(), key=lambda turn: -turn.at)


def bad_luck(rollout: Rollout, bad: int) -> float:
    """How likely all rollouts from a step fail though it is worth as much as the one before; a wrong answer is sure."""
    node = rollout.replies[bad]
    return 0.0 if node is rollout.answer.node else float((1 - rollout.prefix(bad).end.value) ** node.visits)


def told(task: Task, way: Rollout, turns: Sequence[WrongTurn]) -> Iterator[str]:
    """The thought, step by step: at each fork the wrong turns first, each with its repair, then the way itself."""
    held = ""  # the last step that holds, or its title
    for number, node in enumerate(way.replies):
        for count, turn in enumerate(turns):
            if turn.at == number:
                yield from steps(turn.replies)
                phrase = task.random("repair", count).choice(task.prompts.pool("repair" if held else "restart"))
                yield phrase.replace("{step}", held)
        for text in steps([node]) if node is not way.answer.node else ():  # the answer stands after the thought
            held = title_of(node.content) if len(text) > SHORT or "<turn_title>" in node.content else text
            yield text


def steps(replies: Sequence[Node]) -> Iterator[str]:
    """The replies as they were, without titles and tags, and without the "Not yet." that answers a nudge."""
    texts = (plain(node.content) for node in replies)
    return (text for text in texts if text and text != NOT_YET)


def plain(text: str) -> str:
    """A reply as part of a thought."""
    return _TAG.sub("", _TITLE.sub("", text)).strip()
