"""Who will be asked in an evolution, and how often at most: known before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from openstrawberry.chat import Message
from openstrawberry.engine.stepper import Stepper
from openstrawberry.errors import SetupError
from openstrawberry.evolve.cast import Cast, Part
from openstrawberry.evolve.config import Evolving
from openstrawberry.evolve.generators import STEPS, can_generate
from openstrawberry.evolve.stages import Line, draw
from openstrawberry.pieces import BERRY_ONLY_KNOWS, problems_of, strategy_of
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.strategies.strategy import Answer, Ask, Task


def generated(config: Evolving, given: Sequence[Problem]) -> int:
    """How many of the given problems a generator evolves, so that nobody has to write or solve them."""
    return sum(map(can_generate, given)) if config.generators else 0


def parts(config: Evolving, given: Sequence[Problem]) -> list[Part]:
    """Who will be asked: nobody writes or solves where generators make everything.

    Raises:
        SetupError: somebody has to write who cannot.
    """
    target: list[Part] = ["target"] if config.samples else []
    if generated(config, given) == len(given):
        return target
    if _is_berry(config.model) and not config.generators and all(map(can_generate, given)):
        raise SetupError(
            f"berry cannot write problems, and a generator knows only {', '.join(STEPS)}: choose among them with "
            "--operators and without --written, or name a model that writes with --model."
        )
    if _is_berry(config.model) or _is_berry(config.solver):
        raise SetupError(f"berry can neither write problems nor solve them. {BERRY_ONLY_KNOWS}")
    return ["writer", "solver", *target]


@dataclass(frozen=True)
class Preview:
    """What an evolution would send: its first request (empty where nobody writes), and the calls of each part at most.

    `calls`: part to (model, calls per problem and round at most).
    """

    problems: int
    rounds: int
    generated: int
    messages: tuple[Message, ...]
    calls: dict[Part, tuple[str, int]]

    @property
    def most(self) -> int:
        """Calls of the whole evolution, at most."""
        written = self.problems - self.generated
        each = {
            part: calls * (self.problems if part == "target" else written) for part, (_, calls) in self.calls.items()
        }
        return self.rounds * sum(each.values())


def preview(config: Evolving, settings: Settings) -> Preview:
    """Looks at an evolution without sending or writing anything.

    Raises:
        SetupError: anything about the configuration is wrong.
    """
    given = list({problem.id: problem for problem in problems_of(config)}.values())
    cast = Cast(config, settings, parts(config, given))
    turns = getattr(strategy_of(config.trying()), "max_turns", 1)
    most: dict[Part, tuple[str, int]] = {
        "writer": (config.model, 1),
        "solver": (config.solver, config.solvers + 3),  # the judgement, and two repairs of it
        "target": (config.target, config.samples * turns),
    }
    calls = {part: most[part] for part in cast.prompts}
    return Preview(len(given), config.rounds, generated(config, given), _first(config, given, cast), calls)


def _first(config: Evolving, given: Sequence[Problem], cast: Cast) -> tuple[Message, ...]:
    """What the writer is asked first."""
    written = next((each for each in given if not (config.generators and can_generate(each))), None)
    if written is None:
        return ()
    mutation = draw(config, Line(written, written, written.id), given, 1).mutation(config)
    stepper: Stepper[Answer] = Stepper(mutation.solve(Task(written, cast.prompts["writer"])))
    (action,) = stepper.open.values()
    stepper.close()
    assert isinstance(action, Ask)
    return action.node.messages


def _is_berry(spec: str) -> bool:
    return spec.partition(":")[0] == "berry"
