"""The step game with a critic beside it, who reads steps and scores them.

Source: open-strawberry, flavour 2. After each reply a second conversation, with a system prompt of its own and by
another model if one is named (`--critic-model`), returns a `<critique>` and a `<score>` from -5 to 5. Below the
threshold the critique is the next user turn; otherwise the game goes on as scheduled. With `window` the critic reads a
stretch of the history that is drawn anew each time, and not just the last step.

Ours differs in four things. The turn that the schedule has next follows the critique, in the same turn or (where the
wording leaves it out, for small models) in the one after, so that a critic who is never content cannot keep the game
from going on and from asking for the answer. A score that cannot be read is unknown, and never 0: nothing is said about
that step. A critic who cannot be understood several times in a row is asked no more, so that a model that cannot do it
costs little. And each critique is a conversation of its own in the channel `critic`: the game's only grows, and the
critic pays for what it reads, not for the whole game.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from openstrawberry.prompts import PromptSet, filled
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Task
from openstrawberry.strategies.strawberry import Strawberry
from openstrawberry.trace import Node
from openstrawberry.verifiers.extract import without_thoughts

WORST, BEST = -5.0, 5.0
_SCORE = re.compile(r"<score>\s*([+\-−]?\d+(?:\.\d+)?)\s*(?:/\s*5\s*)?(?:</score>|\Z)", re.IGNORECASE)
_CRITIQUE = re.compile(r"<critique>(.*?)(?=</critique>|<score>|<critique>|\Z)", re.IGNORECASE | re.DOTALL)


class Critic(Strawberry):
    """Options of the step game with a critic; `max_turns` counts the solver's replies."""

    name: ClassVar[str] = "critic"

    window: int = Field(
        default=1, ge=1, description="steps that the critic reads: 1 is the last one, N a drawn stretch of N in a row"
    )
    threshold: float = Field(
        default=BEST, ge=WORST, le=BEST, description="a score below it makes the critique the next user turn"
    )
    max_unknown: int = Field(
        default=3,
        ge=1,
        description="critiques in a row without a readable score after which the critic is asked no more",
    )
    critic_temperature: float | None = Field(default=0.3, ge=0, description="the critic's sampling temperature")

    @property
    def uses(self) -> tuple[str, ...]:
        """The step game's own prompts."""
        return ("strawberry",)

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """The solver's, and a critique of each but the last."""
        return 2 * min(self.max_turns, turns or self.max_turns) - 1

    def solve(self, task: Task) -> Steps[Answer]:
        """Plays one game."""
        game = task.within("strawberry")
        node, steps = self.begin(game), list[Node]()
        critic: Node | None = None  # its system prompt, which all critiques share
        due, doubted, cut, unknown = 1, False, 0, 0  # due: number of the scheduled turn that comes next
        for turn in range(self.max_turns):
            node = yield Ask(node, temperature=self.temperature_at(turn))
            steps.append(node)
            if (answer := self.ended(node)) is not None:
                return answer
            cut += node.finish_reason == "length"
            if cut == self.max_cut:
                return Answer("", node, stop="truncated")
            if turn + 1 == self.max_turns:
                break
            said, instead = self.prompt(game, due), False
            if unknown < self.max_unknown and not doubted:
                critic = critic or task.system(task.prompts.text("system"), channel="critic")
                score, critique = yield from self.criticise(task, critic, steps)
                unknown = unknown + 1 if score is None else 0
                if score is not None and score < self.threshold and critique:
                    revise = task.random("revise", turn).choice(task.prompts.pool("revise"))
                    instead = "{turn}" not in revise
                    said = filled(revise, critique=critique, turn=said)
            due, doubted = due + (not instead), instead
            node = task.user(said, after=node)
        return Answer("", node, stop="max_turns")

    def criticise(self, task: Task, critic: Node, steps: Sequence[Node]) -> Steps[tuple[float | None, str]]:
        """The critic's score of the last steps, or of drawn ones, None where it cannot be read, and what it says.

        A score that was read is the `value` of the critic's reply, whose `visits` is then 1.
        """
        first = max(0, len(steps) - self.window)
        if self.window > 1:
            first = task.random("window", len(steps)).randint(0, first)
        shown = enumerate(steps[first : first + self.window], first + 1)
        read = "\n\n".join(f'<step number="{number}">\n{step.content.strip()}\n</step>' for number, step in shown)
        user = filled(task.prompts.text("user"), question=task.problem.question, steps=read)
        node = yield Ask(task.user(user, after=critic), role="critic", temperature=self.critic_temperature)
        score = score_in(node.content)
        if score is not None:
            node.value, node.visits = score, 1
        return score, critique_in(node.content)


def score_in(text: str) -> float | None:
    """The last `<score>` of a critique; None where there is none that can be read, or it is not from -5 to 5."""
    found = _SCORE.findall(without_thoughts(text))
    score = float(found[-1].replace("−", "-")) if found else None
    return score if score is not None and WORST <= score <= BEST else None


def critique_in(text: str) -> str:
    """The last `<critique>`, empty where there is none."""
    found = _CRITIQUE.findall(without_thoughts(text))
    return found[-1].strip() if found else ""
