"""The step game: one minuscule step per turn, with scheduled and random introspection.

Source: open-strawberry, flavour 1. The model is told to write only the next tiny step and to hold back its answer; user
turns ask for the next step, for doubt ("are you sure?"), for other views, and every few turns for the answer if it is
certain. Everything that is said stands in `prompts/strawberry.yaml`, the schedule too.

Ours differs in one thing that matters: what the model finds out goes into new turns, never into a rewritten system
prompt, so the conversation only grows and every provider's prompt cache holds.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from openstrawberry.errors import SetupError
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Strategy, Task
from openstrawberry.trace import Node
from openstrawberry.verifiers.extract import final_answer


class Strawberry(Strategy):
    """Options of the step game."""

    name: ClassVar[str] = "strawberry"

    max_turns: int = Field(
        default=40, ge=1, le=1_000_000, description="replies after which the trace ends without an answer"
    )
    max_cut: int = Field(
        default=3, ge=1, le=1_000_000, description="replies cut at --max-tokens after which the trace counts as lost"
    )
    final_every: int = Field(default=9, ge=0, description="ask for the final answer every N turns; 0 never asks")
    temperature: float | None = Field(default=None, ge=0, description="fixed temperature; unset climbs as below")
    temperature_start: float = Field(default=0.3, ge=0, description="temperature of the first turns")
    temperature_step: float = Field(default=0.1, ge=0, description="how much it climbs ...")
    temperature_turns: int = Field(default=10, ge=1, description="... every so many turns ...")
    temperature_max: float = Field(default=1.0, ge=0, description="... up to here")

    def solve(self, task: Task) -> Steps[Answer]:
        """Plays one game."""
        return (yield from self.play(task, self.begin(task)))

    def begin(self, task: Task) -> Node:
        """The rules and the first user turn. Turns are counted from 0."""
        # One wording per problem: its samples begin alike, so they share a prompt cache and pair up as preferences.
        rules = task.system(task.shared_random("system").choice(task.prompts.pool("system")))
        return self.say(task, rules, 0)

    def say(self, task: Task, after: Node, turn: int) -> Node:
        """User turn number `turn`, which waits for a reply."""
        return task.user(self.prompt(task, turn), after=after)

    def play(self, task: Task, node: Node, turn: int = 0, logprobs: bool = False) -> Steps[Answer]:
        """Plays on from `node`, the user turn number `turn`, to the end: a whole game, or a rollout from its middle."""
        cut = 0
        for now in range(turn, self.max_turns):
            node = node if now == turn else self.say(task, node, now)
            node = yield Ask(node, temperature=self.temperature_at(now), logprobs=logprobs)
            if (answer := self.ended(node)) is not None:
                return answer
            cut += node.finish_reason == "length"
            if cut == self.max_cut:  # a tiny step that never ends: the model rambles, and every turn costs the most
                return Answer("", node, stop="truncated")
        return Answer("", node, stop="max_turns")

    def ended(self, node: Node) -> Answer | None:
        """How the game ends with this reply, or None if it goes on."""
        answer = final_answer(node.content)
        if answer is not None:
            return Answer(answer, node, method="final_answer")
        return Answer("", node, stop="refused") if node.finish_reason == "filter" else None

    def prompt(self, task: Task, turn: int) -> str:
        """The user turn number `turn`: the first rule of the schedule that fits decides its pool."""
        if turn == 0:
            return task.prompts.text("first").replace("{question}", task.problem.question)
        random = task.random("turn", turn)
        schedule = task.prompts.entries.get("schedule", [])
        for rule in schedule if isinstance(schedule, list) else [schedule]:  # what is no list is no rule either
            pool, every, chance = self._rule(rule)
            if (every and turn % every == 0) or random.random() < chance:
                return random.choice(task.prompts.pool(pool))
        return random.choice(task.prompts.pool("next"))

    def temperature_at(self, turn: int) -> float:
        """The sampling temperature of turn `turn`."""
        if self.temperature is not None:
            return self.temperature
        climbed = self.temperature_start + self.temperature_step * (turn // self.temperature_turns)
        return round(min(climbed, self.temperature_max), 6)

    def _rule(self, rule: Mapping[str, Any]) -> tuple[str, int, float]:
        try:
            pool, every, chance = str(rule["pool"]), int(rule.get("every", 0)), float(rule.get("chance", 0))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SetupError(
                f"The schedule in strawberry.yaml has a rule that cannot be read ({rule!r}): "
                "write it as {every: 5, pool: sure} or {chance: 0.1, pool: sure}."
            ) from error
        return pool, self.final_every if pool == "final" else every, chance
