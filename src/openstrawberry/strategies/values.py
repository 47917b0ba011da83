"""How good a step is, from 0 to 1: five sources, one of which a search asks.

    check        the game is played on to its end: right or wrong by the known answer, while data is made
    rollouts     the same without a known answer: how likely the whole search thinks the answer of this rollout
    prm          a process reward model (`Score`); the rewards of a path as one: its last, least or their product
    judge        a model that plays the judge reads the problem and the steps, and rates them
    confidence   how sure the model was of its tokens: the probability of each among the five likeliest, averaged over
                 the path (Marco-o1, arXiv 2411.14405). A poor reward: a model is often sure of what is wrong

How likely an answer is by `rollouts` is self-consistency over the tree: a step's answers are those of its own rollouts
and those of its next steps, which count by their priors and not by how often the search has been there. So an answer
does not win because the search has dug where it is found.

What always holds: what cannot be read is not known, never 0. `ends` are all the games that were played to their end,
steps that answer among them; the value of each stands in its node.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import exp, isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from openstrawberry.errors import ProviderError
from openstrawberry.prompts import filled
from openstrawberry.strategies.election import Aggregate, Candidate, Rule, aggregate, elect
from openstrawberry.strategies.strategy import Answer, Check, Score, Steps, Task, gather
from openstrawberry.strategies.structured import ask_json
from openstrawberry.trace import Node
from openstrawberry.verifiers.ballot import ballot

if TYPE_CHECKING:
    from openstrawberry.strategies.search import Step, StepTree

Source = Literal["check", "rollouts", "prm", "judge", "confidence"]
WORDS = "search"  # the prompt file with the words of judges
REPAIRS = 1  # of a rating that cannot be read
JUDGED = 1 + REPAIRS  # replies that a rating takes at most
LAST = -1  # the number of the game that is played on from what a search has left
PLAYED: frozenset[Source] = frozenset({"check", "rollouts"})
BLIND: tuple[Source, ...] = ("rollouts", "prm", "judge", "confidence")  # those that need no known answer


class Rating(BaseModel):
    """What a judge says."""

    reason: str = ""
    score: float = Field(ge=0, le=10)


class Values:
    """Values the steps of one tree."""

    def __init__(self, source: Source, tree: "StepTree", rollouts: int, rewards: Aggregate) -> None:
        self._source = source
        self._tree = tree
        self._rollouts = rollouts
        self._aggregate = rewards
        self._found: dict[Step, Counter[str]] = {}
        self._rewards: dict[Node, float | None] = {}
        self.ends: list[Answer] = []

    def of(self, steps: Sequence["Step"]) -> Steps[list[float | None]]:
        """The value of each step, None where it is not known. All are asked for side by side."""
        if self._source in PLAYED:
            told = yield from self._played(steps)
        else:
            values = yield from gather(*(self._at(step.node) for step in steps))
            told = [(value, len(step.nodes)) for step, value in zip(steps, values, strict=True)]
            self.ends += [step.end for step in steps if step.end is not None for _ in step.nodes]
        for step, (value, visits) in zip(steps, told, strict=True):
            for node in step.nodes:
                _note(node, value, visits)
        return [value for value, _ in told]

    def finish(self, steps: Sequence["Step"]) -> Steps[None]:
        """Plays the game to its end from each of `steps`, and values the ends."""
        ends = yield from gather(*(self._tree.play_on(step, LAST) for step in steps))
        yield from self._end(steps, ends)

    def satisfied(self, enough: float) -> bool:
        """Whether an answer is worth `enough`."""
        return any(end.text and end.node.visits and end.node.value >= enough for end in self.ends)

    def elected(self, rule: Rule) -> Answer:
        """The answer that wins among the ends; where none has one, the first end."""
        worths = [end.node.value if end.node.visits else None for end in self.ends]
        place = elect([Candidate(self._ballot(end), worth) for end, worth in zip(self.ends, worths, strict=True)], rule)
        return self.ends[place or 0]

    def _played(self, steps: Sequence["Step"]) -> Steps[list[tuple[float | None, int]]]:
        """The mean of what came of each step's rollouts, of which each draw of it has its own, and how many tell it."""
        games = [(step, number) for step in steps for number in range(self._rollouts * len(step.nodes))]
        ends = yield from gather(*(self._tree.play_on(step, number) for step, number in games))
        values = yield from self._end([step for step, _ in games], ends)
        found: dict[Step, list[float]] = {step: [] for step in steps}
        for (step, _), value in zip(games, values, strict=True):
            found[step] += [] if value is None else [value]
        return [(fmean(each) if each else None, len(each)) for each in found.values()]

    def _end(self, steps: Sequence["Step"], ends: Sequence[Answer]) -> Steps[list[float | None]]:
        """Takes note of games that were played on from `steps` to `ends`; what each is worth."""
        self.ends += ends
        if self._source == "rollouts":
            return self._agreement(steps, ends)
        values = yield from gather(*(self._of_end(end) for end in ends))
        for end, value in zip(ends, values, strict=True):
            _note(end.node, value)
        return values

    def _agreement(self, steps: Sequence["Step"], ends: Sequence[Answer]) -> list[float | None]:
        """How likely the answer of each game is in the whole tree; a game without an answer agrees with nobody."""
        for step, end in zip(steps, ends, strict=True):
            self._found.setdefault(step, Counter())[self._ballot(end)] += 1
        likely = self._answers()
        for end in self.ends:
            _note(end.node, likely[given] if (given := self._ballot(end)) else 0.0)
        return [end.node.value for end in ends]

    def _answers(self) -> dict[str, float]:
        """How likely each answer is: from every step on, by its own rollouts and its next steps, up to the root."""
        found: dict[Step, tuple[dict[str, float], int]] = {}  # answers, and how many games tell so
        for step in reversed(self._tree.root.below()):
            own = self._found.get(step, Counter())
            below = [(child.node.prior, *found[child]) for child in step.children]
            known, told = sum(prior for prior, _, count in below if count), sum(count for *_, count in below)
            total = own.total() + told
            likely: dict[str, float] = defaultdict(float)
            for each, count in own.items():
                likely[each] += count / total
            for prior, answers, count in below:
                for each, share in answers.items() if count else ():
                    likely[each] += share * prior / known * told / total
            found[step] = likely, total
        return found[self._tree.root][0]

    def _of_end(self, end: Answer) -> Steps[float | None]:
        if self._source == "check":
            verdict = yield Check(end.text)
            return {"correct": 1.0, "incorrect": 0.0, "no_answer": 0.0}.get(verdict.status)
        return (yield from self._at(end.node)) if end.text else None

    def _at(self, node: Node) -> Steps[float | None]:
        """The value of the path to `node`."""
        match self._source:
            case "prm":
                return (yield from self._rewarded(node))
            case "judge":
                return (yield from judged(self._tree.words, node))
        return confidence(node)

    def _rewarded(self, node: Node) -> Steps[float | None]:
        path = replies(node)
        new = [each for each in path if each not in self._rewards]
        self._rewards.update(zip(new, (yield from gather(*map(rewarded, new))), strict=True))
        known = [reward for each in path if (reward := self._rewards[each]) is not None]
        return aggregate(known, self._aggregate) if self._rewards[node] is not None else None

    def _ballot(self, end: Answer) -> str:
        return ballot(end.text, self._tree.task.problem.verifier)


def judged(words: Task, node: Node) -> Steps[float | None]:
    """What a judge thinks of the path to `node`, asked aside; None where it cannot be read. `words`: its prompts."""
    steps = "\n\n".join(f"[{number}] {reply.content}" for number, reply in enumerate(replies(node), 1))
    text = filled(words.prompts.text("rate"), question=words.problem.question, steps=steps)
    system = words.system(words.prompts.text("judge"), channel="judge")
    read = yield from ask_json(words, text, Rating, after=system, role="judge", temperature=0.0, repairs=REPAIRS)
    return None if read.value is None else read.value.score / 10


def rewarded(node: Node) -> Steps[float | None]:
    """The process reward of the step `node`; None where it is no number, or the model cannot read that far."""
    try:
        reward: float = yield Score(node)
    except ProviderError as error:
        if error.kind != "context":
            raise
        return None
    return min(max(float(reward), 0.0), 1.0) if isfinite(reward) else None


def confidence(node: Node) -> float | None:
    """The mean probability of the tokens on the path to `node`, each among the likeliest; see `Reply.logprobs`."""
    tokens = [token for each in replies(node) if each.reply for token in each.reply.logprobs or ()]
    return fmean(map(exp, tokens)) if tokens else None


def replies(node: Node) -> list[Node]:
    """The replies on the path to `node`, without those that were put into the model's mouth (examples, an opening)."""
    return [each for each in node.path() if each.reply is not None or each is node]


def _note(node: Node, value: float | None, visits: int = 1) -> None:
    """The first value of a node, and how often it was found; where it is not known, its visits stay 0."""
    if value is not None:
        node.value, node.visits = value, max(node.visits, visits)
