"""One call under a long thinking protocol.

Sources: InternLM3's deep thinking mode (a system prompt; the answer once more in a box), Thinking-Claude (an inner
monologue, in several sizes), Open-O1 (a part for thoughts, a part for the answer). Protocols are texts in
`prompts/deep-think.yaml`, chosen by name; a file of your own may hold more.

What always holds: the protocol is a system prompt, so a local model hears it through its chat template, and there is
room for the answer behind the thoughts. A reply that was cut before its answer is truncated, and never wrong.
"""

from typing import ClassVar

from pydantic import Field

from openstrawberry.errors import SetupError
from openstrawberry.prompts import PromptSet
from openstrawberry.registry import unknown
from openstrawberry.strategies.single import answered
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Strategy, Task


class DeepThink(Strategy):
    """Options of a thinking protocol."""

    name: ClassVar[str] = "deep-think"

    protocol: str = Field(default="rigorous", description="the name of a protocol in deep-think.yaml")
    temperature: float | None = Field(default=None, ge=0, description="sampling temperature; unset: the model's own")
    max_tokens: int = Field(default=8192, ge=1, description="longest reply, thoughts included (--max-tokens)")

    def most_replies(self, prompts: PromptSet, turns: int | None = None) -> int:
        """One."""
        return 1

    def solve(self, task: Task) -> Steps[Answer]:
        """Asks once."""
        asked = task.user(task.problem.question, after=task.system(self.rules(task)))
        node = yield Ask(asked, temperature=self.temperature, max_tokens=self.max_tokens)
        return answered(node, task.problem)

    def rules(self, task: Task) -> str:
        """The protocol, and the form of the answer."""
        protocols = task.prompts.entries.get("protocols")
        if not isinstance(protocols, dict) or not protocols:
            raise SetupError("deep-think.yaml has no protocols: add a mapping of names to texts under `protocols`.")
        if self.protocol not in protocols:
            raise SetupError(unknown("protocol", self.protocol, protocols))
        return f"{protocols[self.protocol]}\n\n{task.prompts.text('answer')}"
