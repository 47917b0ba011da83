"""What a run would send and take, found out without sending anything: `--dry-run`.

The strategy is played for a few turns with replies that never answer, so that its real prompts are measured, whatever
it asks. What models would say is not known, so everything is told three times: the least that can happen, the most that
the settings allow, and a guess between them whose assumptions are stated. Nothing is taken off for prompt caches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import fmean

from openstrawberry.chat import Request, Usage
from openstrawberry.config import RunConfig
from openstrawberry.engine.stepper import Stepper
from openstrawberry.errors import SetupError
from openstrawberry.models.model import specs_in
from openstrawberry.models.pricelist import Prices
from openstrawberry.models.registry import full_spec
from openstrawberry.pieces import problems_of, prompts_of, strategy_of
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.strategies.strategy import Answer, Ask, Score, Strategy, Task
from openstrawberry.verifiers.verifier import Verdict

BYTES_PER_TOKEN = 4  # of English text, roughly
USUAL_TURNS = 10
USUAL_REPLY = 200  # tokens
PLAYED_TURNS = 12
PLAYED_PROBLEMS = 200
NO_ANSWER = "I take one small step."
Cost = Callable[[Usage], float | None]


@dataclass(frozen=True, slots=True)
class Column:
    """One way in which a run may go: turns of a trace, tokens of a reply, and the sums over the run; None: unknown."""

    turns: int
    reply: int
    requests: int
    input: int
    output: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What `--dry-run` shows. `most` is None where the strategy does not say how many turns it takes at most."""

    spec: str
    strategy: str
    request: Request
    problems: int
    samples: int
    least: Column
    about: Column
    most: Column | None


def estimate(config: RunConfig, settings: Settings, problems: Sequence[Problem] | None = None) -> Estimate:
    """Plays the beginning of a run. `problems`: instead of the config's source.

    Raises:
        SetupError: something about the configuration is wrong.
    """
    strategy = strategy_of(config)
    prompts = prompts_of(config, strategy)
    price = Prices(config.prices, settings).of(config.model)
    source = iter(problems) if problems is not None else problems_of(config)
    played = [_play(strategy, Task(problem, prompts, 0, config.seed)) for problem in islice(source, PLAYED_PROBLEMS)]
    total = len(played) + sum(1 for _ in source)
    first = fmean(_size(asks[0]) for asks, _ in played)
    later = fmean(max(0.0, _size(asks[-1]) - _size(asks[0])) / max(1, len(asks) - 1) for asks, _ in played)
    most, usual = (_most(strategy.most_replies(prompts, turns), played) for turns in (None, USUAL_TURNS))
    longest = getattr(strategy, "max_turns", None) or (most or USUAL_TURNS)

    def column(turns: int, reply: int, samples: int, longest: int = longest) -> Column:
        cost = partial(price.cost, batch=config.engine == "batch") if price else None
        return _column(turns, longest, min(reply, config.reply_tokens), total * samples, first, later, cost)

    return Estimate(
        spec=",".join(full_spec(part, settings) for part in specs_in(config.model)),
        strategy=strategy.name,
        request=_request(played[0][0][0], config),
        problems=total,
        samples=config.samples,
        least=column(1, 1, 1 if config.until_decided else config.samples),
        about=column(usual or USUAL_TURNS, USUAL_REPLY, config.samples, min(longest, USUAL_TURNS)),
        most=None if most is None else column(most, config.reply_tokens, config.samples),
    )


def _most(limit: int | None, played: "Sequence[tuple[list[Ask], bool]]") -> int | None:
    """The replies of the longest trace: as many as were asked for where it ended, else what the strategy allows."""
    lengths = [len(asks) if ended else limit for asks, ended in played]
    return None if None in lengths else max(length for length in lengths if length is not None)


def _column(turns: int, longest: int, reply: int, traces: int, first: float, later: float, cost: Cost | None) -> Column:
    """The sums over all traces. Each turn reads all that its conversation has said, which has at most `longest` turns.

    `first`, `later`: bytes of the prompts.
    """
    said = [turn % longest for turn in range(turns)]
    prompts = [round((first + turn * later) / BYTES_PER_TOKEN) + turn * reply for turn in said]
    costs = [cost(Usage(input=prompt, output=reply, reasoning=0)) if cost else None for prompt in prompts]
    known = [each for each in costs if each is not None]
    return Column(
        turns,
        reply,
        requests=traces * turns,
        input=traces * sum(prompts),
        output=traces * turns * reply,
        usd=traces * sum(known) if len(known) == turns else None,
    )


def _play(strategy: Strategy, task: Task) -> tuple[list[Ask], bool]:
    """The first asks of a trace whose model never answers, and whether there are no more.

    Raises:
        SetupError: there is none.
    """
    stepper: Stepper[Answer] = Stepper(strategy.solve(task))
    asks: list[Ask] = []
    while not stepper.done and len(asks) < PLAYED_TURNS:
        ticket, action = next(iter(stepper.open.items()))
        if isinstance(action, Ask):
            asks.append(action)
            stepper.send(ticket, task.tree.add("assistant", NO_ANSWER, action.node, action.node.channel))
        else:
            stepper.send(ticket, 0.0 if isinstance(action, Score) else Verdict(status="incorrect"))
    ended = stepper.done
    stepper.close()
    if not asks:
        raise SetupError(f"{strategy.name} asks the model nothing: choose another --strategy.")
    return asks, ended


def _size(ask: Ask) -> int:
    """Bytes of a prompt, without what the model itself would have said."""
    return sum(len(message.content.encode()) for message in ask.node.messages if message.content != NO_ANSWER)


def _request(ask: Ask, config: RunConfig) -> Request:
    """An ask as it would be sent."""
    return Request(
        messages=ask.node.messages,
        temperature=config.temperature if ask.temperature is None else ask.temperature,
        top_p=config.top_p,
        max_tokens=ask.max_tokens or config.reply_tokens,
        stop=ask.stop,
        response_schema=ask.response_schema,
        reasoning=config.reasoning,
    )
