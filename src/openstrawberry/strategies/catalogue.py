"""Strategies by name. Adding one is one file and one line here."""

from typing import Any

from pydantic import ValidationError

from openstrawberry.errors import UsageError
from openstrawberry.registry import Registry, unknown
from openstrawberry.strategies.strategy import Strategy
from openstrawberry.wording import misfit

STRATEGIES = Registry(
    kind="strategy",
    group="openstrawberry.strategies",
    table={
        "strawberry": "openstrawberry.strategies.strawberry:Strawberry",
        "critic": "openstrawberry.strategies.critic:Critic",
        "zero-shot": "openstrawberry.strategies.single:ZeroShot",
        "few-shot": "openstrawberry.strategies.single:FewShot",
        "cot": "openstrawberry.strategies.single:ChainOfThought",
        "vote": "openstrawberry.strategies.vote:Vote",
        "beam": "openstrawberry.strategies.beam:Beam",
        "mcts": "openstrawberry.strategies.mcts:Mcts",
        "g1": "openstrawberry.strategies.g1:G1",
        "llamaberry": "openstrawberry.strategies.llamaberry:Llamaberry",
        "deep-think": "openstrawberry.strategies.deep_think:DeepThink",
        "distill": "openstrawberry.strategies.distill:Distill",
        "rationalize": "openstrawberry.strategies.rationalize:Rationalize",
        "omega": "openstrawberry.strategies.omega:Omega",
        "journey": "openstrawberry.strategies.journey:Journey",
        "write-tests": "openstrawberry.strategies.write_tests:WriteTests",
    },
)


def open_strategy(name: str, options: dict[str, Any]) -> Strategy:
    """The strategy `name` with `options` (`--set key=value`).

    Raises:
        UsageError: no such strategy or option, or a value that does not fit.
    """
    kind: type[Strategy] = STRATEGIES.load(name)
    for option in options:
        if option not in kind.model_fields:
            raise UsageError(unknown(f"option of the strategy {name}", option, kind.model_fields))
    try:
        return kind(**options)
    except ValidationError as error:
        place, value, advice = misfit(error)
        option = f"value {value!r} of --set {place[0]}" if place else "combination of options"
        raise UsageError(f"The {option} does not fit the strategy {name}: {advice}.") from error
