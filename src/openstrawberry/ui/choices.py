"""What the page offers to choose from: models that answer, strategies, and the options of a strategy as fields."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from openstrawberry.doctor import Finding
from openstrawberry.errors import SetupError
from openstrawberry.models.model import specs_in
from openstrawberry.models.registry import find_provider
from openstrawberry.strategies.catalogue import STRATEGIES

Kind = Literal["int", "float", "bool", "choice", "text"]
SHOWN = 60  # models of one provider that are offered; any other can be typed
COMMON = ("max_turns",)  # options that have a place of their own on the page


@dataclass(frozen=True)
class Option:
    """One option of a strategy. `least`, `most`: the range of a number; `optional`: it may be left unset."""

    name: str
    kind: Kind
    default: Any
    description: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def title(self) -> str:
        """The name as words."""
        words = self.name.replace("_", " ")
        return words[:1].upper() + words[1:]


def models_offered(findings: Iterable[Finding]) -> list[str]:
    """Specs of the models that doctor found ready, berry first."""
    found = ["berry"]
    for one in findings:
        if one.state == "ready":
            found += [f"{one.provider.name}:{name}" for name in one.models[:SHOWN]]
    return found


def strategy_names() -> list[str]:
    """Every strategy."""
    return STRATEGIES.names()


def options_of(strategy: str) -> list[Option]:
    """The options of a strategy, but those that the page has a place for."""
    fields: Mapping[str, FieldInfo] = STRATEGIES.load(strategy).model_fields
    return [option_of(name, field) for name, field in fields.items() if name not in COMMON]


def option_of(name: str, field: FieldInfo) -> Option:
    """One field as an option; what is neither number, truth value nor list of names is text."""
    arguments = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
    plain = [each for each in arguments if each is not NoneType] or [field.annotation]
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    if len(plain) == 1 and get_origin(plain[0]) is Literal and all(isinstance(e, str) for e in get_args(plain[0])):
        kind, choices = "choice", get_args(plain[0])
    elif len(plain) == 1 and plain[0] in (int, float, bool):
        names: dict[Any, Kind] = {int: "int", float: "float", bool: "bool"}
        kind = names[plain[0]]
    least, most = _range(field.metadata)
    default = field.get_default(call_default_factory=True)
    return Option(name, kind, default, field.description or "", least, most, choices, NoneType in arguments)


def _range(rules: Sequence[Any]) -> tuple[float | None, float | None]:
    least = most = None
    for rule in rules:
        if isinstance(rule, annotated_types.Ge | annotated_types.Gt):
            least = rule.ge if isinstance(rule, annotated_types.Ge) else rule.gt
        elif isinstance(rule, annotated_types.Le | annotated_types.Lt):
            most = rule.le if isinstance(rule, annotated_types.Le) else rule.lt
    return least, most  # type: ignore[return-value]


def refuse_what_is_not_for_guests(model: str) -> None:
    """On a public page a model may only be berry, or one that is asked under the guest's own key.

    Anything else would read files of this machine, or send requests from inside its network.

    Raises:
        SetupError: the model is none of these.
    """
    for spec in specs_in(model):
        name, _, rest = spec.partition(":")
        provider = find_provider(name)
        own_address = "@http://" in rest or "@https://" in rest
        if provider.name != "berry" and (provider.key_optional or own_address):
            raise SetupError(f"{name} cannot be asked from a public page: choose berry, or a provider with a key.")


def keys_wanted(findings: Iterable[Finding]) -> dict[str, str]:
    """Provider name -> the variable that a key of it goes into, for those that take one."""
    return {one.provider.name: one.provider.key_variables[0] for one in findings if one.provider.key_needed}
