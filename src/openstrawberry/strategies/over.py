"""What strategies share that let another one work, such as a vote over whole solutions: the base, and its options."""

from typing import Any, ClassVar

from pydantic import Field, model_validator

from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy
from openstrawberry.strategies.strategy import Strategy


class Over(Strategy):
    """Options of the base. The common flags mean the base's, where it knows them; `base_options` goes first."""

    FLAGS: ClassVar[tuple[str, ...]] = ("temperature", "max_turns", "final_every", "max_tokens")

    base: str = Field(default="strawberry", description="the strategy that works for this one")
    base_options: dict[str, Any] = Field(default_factory=dict, description="its options, as {name: value}")
    temperature: float | None = Field(default=None, ge=0, description="of the base; unset: its own")
    max_turns: int = Field(default=0, ge=0, le=1_000_000, description="of the base; 0: it has no such limit")
    final_every: int | None = Field(default=None, ge=0, description="of the base; unset: its own")
    max_tokens: int | None = Field(default=None, ge=1, description="of the base; unset: its own")

    @model_validator(mode="before")
    @classmethod
    def _limits_of_the_base(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A limit that is not given is the base's, so that a run that goes on knows whether it was raised."""
        base: type[Strategy] = STRATEGIES.load(str(values.get("base", cls.model_fields["base"].default)))
        limit = base.model_fields.get("max_turns")
        return values if limit is None else {"max_turns": limit.default, **values}

    def model_post_init(self, context: Any) -> None:
        """Opens the base, so that a wrong option is refused at once."""
        assert self.member is not None

    @property
    def member(self) -> Strategy:
        """The base, with its options."""
        known = STRATEGIES.load(self.base).model_fields
        flags = {name: getattr(self, name) for name in self.FLAGS if name in known}
        given = {
            name: value for name, value in flags.items() if value is not None and (name, value) != ("max_turns", 0)
        }
        return open_strategy(self.base, {**given, **self.base_options})
