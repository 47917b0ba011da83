"""Preference pairs of single turns: two replies to one conversation, of which one led to the truth, the other did not.

All conversations of a problem are laid over one another as one tree: traces that agree up to a turn share its beginning
(same text of every turn, the user's too), and the branches of a search are there from the start. At a user turn with
several different replies, a reply below which some trace came out right is chosen over one below which some came out
wrong and none right. The prompt is the conversation up to that user turn; each side is one reply.

What is decidable, and what is not:

- A trace's own leaf has its verdict. Another leaf of a search is judged by its `<final_answer>`: the same answer as the
  trace's has the trace's verdict; else it is right when it equals the known answer, and wrong when the problem compares
  texts or plain numbers and it differs. Any other leaf is neither right nor wrong.
- Where the task knows its steps and is told in them, outcome alone is too coarse: a right step may lead to a wrong end
  much later. There (unless the clean guard is off) the chosen reply must be a right step and the rejected a wrong one.
- `correction` pairs are those at an "are you sure?" turn. Where the task knows its steps, the replies are judged by
  them, whatever the guard: after a right step the rejected reply spoilt it, after a wrong one the chosen reply repaired
  it. Elsewhere nobody can say whether the step before was right, so only the outcomes of the siblings decide.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from openstrawberry.problems.families import Item, recognise
from openstrawberry.problems.numbers import read_number
from openstrawberry.problems.procedures import judge
from openstrawberry.selection.candidates import Candidate, Pick, Said, Source, said
from openstrawberry.selection.difficulty import LEARNT, Outcome, Size
from openstrawberry.selection.options import Unit
from openstrawberry.trace import Trace
from openstrawberry.verifiers.exact import known_answers, normalise
from openstrawberry.verifiers.extract import final_answer
from openstrawberry.verifiers.numeric import same


@dataclass
class Branch:
    """A turn in the tree of all conversations of a problem, with the leaves that lie below it."""

    below: dict[Said, "Branch"] = field(default_factory=dict)
    right: list[Source] = field(default_factory=list)
    wrong: list[Source] = field(default_factory=list)


def grow(candidates: Sequence[Candidate]) -> Branch:
    """Lays the conversations over one another."""
    root = Branch()
    for one in candidates:
        at = root
        for turn in one.turns:
            at = at.below.setdefault(turn, Branch())
            if one.kind in (*LEARNT, "wrong"):
                (at.wrong if one.kind == "wrong" else at.right).append(one.source)
    return root


def step_pairs(
    question: str,
    problem: str,
    size: Size,
    root: Branch,
    unit: Unit,
    sure: Collection[str],
    by_steps: bool,
    skewed: bool,
) -> Iterator[tuple[Pick, Said, Said, Said]]:
    """The pairs of a problem, each with the user turn and its two replies; one per user turn, most evidence first.

    `sure`: the texts of "are you sure?" turns. `by_steps`: whether replies are judged by the known procedure.
    """
    item = recognise(question) if by_steps else None
    found = []
    for path, branch in _walk(root):
        if path[-1][0] == "user" and (unit == "step" or _asks_again(path, sure)):
            pair = _best(path, branch, item)
            if pair:
                good, bad = pair
                chosen = _exemplar(branch.below[good].right, -1 if skewed else 0)
                rejected = _exemplar(branch.below[bad].wrong, 1 if skewed else 0)
                evidence = len(branch.below[good].right) + len(branch.below[bad].wrong)
                pick = Pick(unit, problem, size, chosen, rejected, len(path))
                found.append((evidence, (pick, path[-1], good, bad)))
    for _, pair_found in sorted(found, key=lambda each: -each[0]):
        yield pair_found


def leaves(one: Candidate, trace: Trace) -> list[Candidate]:
    """The conversation itself, and the other branches of a search, each judged where that can be decided.

    A turn that stands elsewhere as a copy is no branch of its own.
    """
    seen = {turn.parent for turn in trace.messages} | {turn.copy_of for turn in trace.messages}
    own = trace.path[-1] if trace.path else -1
    found = [one]
    for index, turn in enumerate(trace.messages):
        if turn.role == "assistant" and turn.channel == "main" and index not in seen and index != own:
            path = path_to(trace, index)
            kind = leaf_outcome(trace, turn.content)
            steps = sum(trace.messages[each].role == "assistant" for each in path)
            source = Source(one.source.shelf, one.source.entry, index, steps)
            found.append(Candidate(source, said(trace, path), kind, None))
    return found


def path_to(trace: Trace, leaf: int) -> tuple[int, ...]:
    """The nodes from the root to `leaf`. A parent always stands before its children, so this ends."""
    path = [leaf]
    while (parent := trace.messages[path[-1]].parent) >= 0:
        path.append(parent)
    return tuple(reversed(path))


def leaf_outcome(trace: Trace, content: str) -> Outcome:
    """What a leaf without a verdict counts as; see the top of this file."""
    answer, problem = final_answer(content), trace.problem
    if answer is None:
        return "other"
    if answer == trace.answer and trace.verdict.status in ("correct", "incorrect"):
        return "right" if trace.correct else "wrong"
    known = known_answers(problem)
    if any(normalise(text) == normalise(answer) for text in known):
        return "right"
    if problem.verifier == "numeric" and "tolerance" not in problem.metadata:
        given, numbers = read_number(answer), [number for text in known if (number := read_number(text))]
        if given is None or not numbers:
            return "void"
        return "right" if any(same(number, given) for number in numbers) else "wrong"
    return "wrong" if problem.verifier == "exact" else "void"


def _walk(root: Branch) -> Iterator[tuple[tuple[Said, ...], Branch]]:
    """Every turn below which both ends lie, with the turns that lead to it; below any other nothing can be preferred.

    Without recursion, since a trace may have any length.
    """
    waiting: list[tuple[tuple[Said, ...], Branch]] = [((turn,), child) for turn, child in root.below.items()]
    while waiting:
        path, branch = waiting.pop()
        if branch.right and branch.wrong:
            yield path, branch
            waiting.extend(((*path, turn), child) for turn, child in reversed(branch.below.items()))


def _asks_again(path: Sequence[Said], sure: Collection[str]) -> bool:
    return path[-1][1] in sure and any(role == "assistant" for role, _ in path)


def _best(path: Sequence[Said], branch: Branch, item: Item | None) -> tuple[Said, Said] | None:
    """The reply with most right leaves and the one with most wrong and no right ones."""
    replies = [turn for turn in branch.below if turn[0] == "assistant"]
    good = [turn for turn in replies if branch.below[turn].right]
    bad = [turn for turn in replies if branch.below[turn].wrong and not branch.below[turn].right]
    if item is not None and good and bad:
        before = [content for role, content in path if role == "assistant"]
        good = [turn for turn in good if judge(item, [*before, turn[1]]).right[-1]]
        bad = [turn for turn in bad if not judge(item, [*before, turn[1]]).right[-1]]
    if not good or not bad:
        return None
    return (
        max(good, key=lambda turn: len(branch.below[turn].right)),
        max(bad, key=lambda turn: len(branch.below[turn].wrong)),
    )


def _exemplar(sources: Sequence[Source], sign: int) -> Source:
    """The trace that speaks for a reply: the longest (1), the shortest (-1), or the first (0)."""
    return max(sources, key=lambda source: sign * source.steps)
