"""What the searches over the step game share: their options, and the tree that grows.

A step is one reply of the game (`strawberry.py`). It is expanded by drawing several replies to the user turn after it,
side by side; replies that are equal, word for word, become one step whose prior is their share of the draws. A search
decides only which steps to expand; how good they are is asked of one of the sources in `values.py`.

What always holds: a search ends. Each step is expanded once, none beyond `depth`, and where no answer was found the
game is played on from the best step, to its own cap. Every step's value, visits and prior stand in its node; where
`visits` is 0 the value is not known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from openstrawberry.errors import SetupError
from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.election import Aggregate, Rule
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Strategy, Task, gather
from openstrawberry.strategies.strawberry import Strawberry
from openstrawberry.strategies.values import BLIND, JUDGED, PLAYED, WORDS, Source
from openstrawberry.trace import Node
from openstrawberry.verifiers.extract import final_answer


class StepSearch(Strategy):
    """Options that all searches have."""

    branches: int = Field(default=3, ge=1, le=100, description="next steps that are drawn from a step")
    depth: int = Field(default=8, ge=1, le=10_000, description="steps that are searched; then the game is played on")
    value: Source | None = Field(default=None, description="how steps are valued; unset: as the prompt set says")
    rollouts: int = Field(default=1, ge=1, le=1000, description="games played on from each draw of a step to value it")
    rewards: Aggregate = Field(default="last", description="how the process rewards of a path become its value")
    enough: float = Field(default=1.0, ge=0, description="an answer of this value ends the search; above 1 none does")
    choose: Rule = Field(default="best", description="which of the answers found is given")
    step_tokens: int | None = Field(default=None, ge=1, description="cut steps into mini-steps of so many tokens")
    max_turns: int = Field(default=40, ge=1, le=1_000_000, description="replies after which a game has no answer")
    final_every: int = Field(default=9, ge=0, description="ask for the final answer every N turns; 0 never asks")
    temperature: float = Field(default=0.7, ge=0, description="sampling temperature of steps and rollouts")

    @property
    def uses(self) -> tuple[str, ...]:
        """The step game, and the words of judges."""
        return (Strawberry.name, WORDS)

    @property
    def sees_answers(self) -> bool:
        """Where the known answer decides what a step is worth."""
        return self.value == "check"

    @property
    def game(self) -> Strawberry:
        """The game whose steps are searched."""
        return Strawberry(max_turns=self.max_turns, final_every=self.final_every, temperature=self.temperature)

    def source(self, prompts: PromptSet) -> Source:
        """How steps are valued: a model that is too small to judge says so in its prompt set."""
        if self.value is not None:
            return self.value
        source: Source = prompts.entries.get("value", "")
        if source not in BLIND:
            raise SetupError(
                f"The prompt set {prompts.name} names no way to value steps under 'value': "
                f"write one of {', '.join(BLIND)} there, or choose one with --set value=VALUE."
            )
        return source

    def bounded(self, prompts: PromptSet, turns: int | None, steps: int, left: int, each: int = 1) -> int:
        """Replies at most for `steps` steps of `each` replies, all of them valued, and `left` games played on."""
        game = min(turns or self.max_turns, self.max_turns)
        source = self.source(prompts)
        valued = JUDGED if source == "judge" else self.rollouts * (game - 1) if source in PLAYED else 0
        return steps * (each + valued) + left * (game - 1 + (JUDGED if source == "judge" else 0))


@dataclass(eq=False)
class Step:
    """A step of the search: `nodes` are its equal draws, the first of which goes on; `end` is how the game ended here.

    `turn` is the number of the user turn that it answers, -1 at the root, which is the first user turn itself.
    `following` is the user turn after it, once it has been said: rollouts and next steps are siblings.
    """

    nodes: list[Node]
    turn: int = -1
    parent: "Step | None" = None
    end: Answer | None = None
    children: list["Step"] = field(default_factory=list)
    following: Node | None = None

    @property
    def node(self) -> Node:
        """The node that goes on."""
        return self.nodes[0]

    @property
    def worth(self) -> float:
        """Its value, or as long as that is not known its parent's."""
        return self.node.value if self.node.visits or self.parent is None else self.parent.worth

    def line(self) -> Iterator["Step"]:
        """From here to the root."""
        step: Step | None = self
        while step is not None:
            yield step
            step = step.parent

    def visited(self, value: float) -> None:
        """Counts a visit that found `value`; the step's value is the mean of what was found."""
        for node in self.nodes:
            node.visits += 1
            node.value += (value - node.value) / node.visits


class StepTree:
    """The tree of one task while it grows."""

    def __init__(self, search: StepSearch, task: Task, confident: bool = False) -> None:
        self.search = search
        self.game = search.game
        self.task = task.within(Strawberry.name)
        self._whole = task
        self.words = task.within(WORDS)
        self.root = Step([self.game.begin(self.task)])
        self._confident = confident

    def expand(self, step: Step, turns: Sequence[Node], reflection: str = "") -> Steps[list[Step]]:
        """Draws one reply to each of `turns`, user turns after `step`. With `reflection`, each is doubted at once."""
        drawn = yield from gather(*(self._draw(turn, step.turn + 1, reflection) for turn in turns))
        alike: dict[str, list[Node]] = {}
        for node in drawn:
            alike.setdefault(node.chain, []).append(node)
        for nodes in alike.values():
            for node in nodes:
                node.prior = len(nodes) / len(drawn)
            step.children.append(Step(nodes, step.turn + 1, step, self.ended(nodes[0])))
        return step.children

    def open(self, step: Step) -> bool:
        """Whether it may be expanded."""
        steps = step.turn + 1
        return step.end is None and not step.children and steps < min(self.search.depth, self.search.max_turns)

    def turn_after(self, step: Step) -> Node:
        """The user turn that follows a step: the game's own, or, after a mini-step that was cut, the word to go on."""
        if step.following is None:
            if step.turn < 0:
                step.following = step.node
            elif self.cut(step.node):
                step.following = self.task.user(self.words.prompts.text("go_on"), after=step.node)
            else:
                step.following = self.game.say(self.task, step.node, step.turn + 1)
        return step.following

    def play_on(self, step: Step, number: int) -> Steps[Answer]:
        """Plays the game from a step to its end; each `number` draws its own turns, but for the first."""
        if step.end is not None:
            return step.end
        if step.turn + 1 >= self.search.max_turns:
            return Answer("", step.node, stop="max_turns")
        task = self._whole.within(Strawberry.name, "played on", number)
        return (yield from self.game.play(task, self.turn_after(step), step.turn + 1))

    def ended(self, node: Node) -> Answer | None:
        """How the game ends with this reply; an answer may stand across mini-steps."""
        pieces, before = [node.content], node.parent and node.parent.parent
        while before is not None and self.cut(before):
            pieces.append(before.content)
            before = before.parent and before.parent.parent
        answer = final_answer("".join(reversed(pieces)))
        return self.game.ended(node) if answer is None else Answer(answer, node, method="final_answer")

    def _draw(self, turn: Node, number: int, reflection: str) -> Steps[Node]:
        node = yield from self._ask(turn, number)
        if reflection and self.ended(node) is None and not self.cut(node):
            node = yield from self._ask(self.task.user(reflection, after=node), number)
        return node

    def _ask(self, turn: Node, number: int) -> Steps[Node]:
        temperature, tokens = self.game.temperature_at(number), self.search.step_tokens
        node: Node = yield Ask(turn, temperature=temperature, max_tokens=tokens, logprobs=self._confident)
        return node

    def cut(self, node: Node) -> bool:
        """Whether this is a mini-step that its limit has cut."""
        return self.search.step_tokens is not None and node.finish_reason == "length"
