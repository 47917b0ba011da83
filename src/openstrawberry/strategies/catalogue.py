"""Strategies by name. Adding one is one file and one line here."""

from typing import Any

from pydantic import ValidationError

from openstrawberry.errors import SetupError
from openstrawberry.registry import Registry, unknown
from openstrawberry.strategies.strategy import Strategy

STRATEGIES = Registry(
    kind="strategy",
    group="openstrawberry.strategies",
    table={
        "strawberry": "openstrawberry.strategies.strawberry:Strawberry",
        "zero-shot": "openstrawberry.strategies.single:ZeroShot",
        "few-shot": "openstrawberry.strategies.single:FewShot",
        "cot": "openstrawberry.strategies.single:ChainOfThought",
        "vote": "openstrawberry.strategies.vote:Vote",
        "beam": "openstrawberry.strategies.beam:Beam",
        "mcts": "openstrawberry.strategies.mcts:Mcts",
    },
)


def open_strategy(name: str, options: dict[str, Any]) -> Strategy:
    """The strategy `name` with `options` (`--set key=value`).

    Raises:
        SetupError: no such strategy or option, or a value that does not fit.
    """
    kind: type[Strategy] = STRATEGIES.load(name)
    for option in options:
        if option not in kind.model_fields:
            raise SetupError(unknown(f"option of the strategy {name}", option, kind.model_fields))
    try:
        return kind(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise SetupError(
            f"The option {first['loc'][0]} of the strategy {name} is wrong ({first['msg'].lower()}): "
            f"change it with --set {first['loc'][0]}=VALUE."
        ) from error
