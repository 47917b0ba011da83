"""What a run would send and take, found out without sending anything: `--dry-run`.

The strategy is played for a few turns with replies that never answer, so that its real prompts are measured, whatever
it asks, and whoever. What models would say is not known, so everything is told three times: the least that can happen,
the most that the settings allow, and a guess between them whose assumptions are stated. Nothing is taken off for prompt
caches, and nothing for answers that a judge has seen before.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from openstrawberry.calls import check_calls, named_models
from openstrawberry.chat import Message, Reply, Request, Usage
from openstrawberry.config import RunConfig
from openstrawberry.engine.stepper import Stepper
from openstrawberry.errors import SetupError
from openstrawberry.models.model import without_address
from openstrawberry.models.pricelist import Prices
from openstrawberry.pieces import (
    count_problems,
    identity_of,
    judge_prompts,
    problems_of,
    prompts_of,
    refuse_unscored,
    strategy_of,
)
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.fitting import refuse_foreign, refuse_other, refuse_run
from openstrawberry.store.reading import read_run
from openstrawberry.strategies.strategy import Answer, Ask, AskRole, Score, Strategy, Task
from openstrawberry.verifiers.catalogue import find_verifier
from openstrawberry.verifiers.judge import MAX_TOKENS, conversations
from openstrawberry.verifiers.verifier import Verdict

BYTES_PER_TOKEN = 4  # of English text, roughly
USUAL_TURNS = 10
USUAL_REPLY = 200  # tokens
PLAYED_TURNS = 12
PLAYED_PROBLEMS = 200
NO_ANSWER = "I take one small step."
CRITIQUE = "Say it more clearly."  # of a critic, who scores it low
Cost = Callable[[Usage], float | None]
Priced = Callable[[AskRole], "Cost | None"]


@dataclass(frozen=True, slots=True)
class Column:
    """One way in which a run may go: the solver's turns in a trace, tokens of a reply, and the sums over the run.

    What critic and judge are asked is part of the sums; at the least it is nothing. None: unknown.
    """

    turns: int
    reply: int
    requests: int
    input: int
    output: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What `--dry-run` shows. `most` is None where the strategy does not say how many turns it takes at most.

    `roles` names the models that play a role in the solver's place.
    """

    spec: str
    roles: dict[AskRole, str]
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
    refuse_unscored(config, strategy, prompts)
    skipped: list[str] = []
    count_problems(config, problems, skipped.append)
    prices = check_calls(config, settings)
    spec, roles = named_models(config, settings)
    if config.verifier:
        find_verifier(config.verifier)
    if config.out is not None:
        named = {"model": without_address(spec)} | {str(role): without_address(each) for role, each in roles.items()}
        _check_folder(config.out, config, identity_of(config, strategy, prompts, named))
    source = iter(problems) if problems is not None else problems_of(config, skipped.append)
    some = list(islice(source, PLAYED_PROBLEMS))
    played = [_play(strategy, Task(problem, prompts, 0, config.seed)) for problem in some]
    total = len(some) + sum(1 for _ in source)
    turns = [_asks(asks, "solver") if ended else None for asks, ended in played]
    most = _own(strategy.most_replies(prompts), played[0][0]) or (
        None if None in turns else max(turn for turn in turns if turn is not None)
    )
    usual = _own(strategy.most_replies(prompts, USUAL_TURNS), played[0][0]) or min(most or USUAL_TURNS, USUAL_TURNS)
    priced = partial(_cost, prices, config, spec, roles)
    parts = _parts(config, [asks for asks, _ in played], priced) + _judged(config, some, priced)
    reply_most = max(part.longest for part in parts)
    chat: int = getattr(strategy, "max_turns", None) or most or USUAL_TURNS  # turns of one conversation at most

    def column(turns: int, reply: int, samples: int, chat: int = chat, least: bool = False) -> Column:
        return _column(turns, chat, min(reply, reply_most), total * samples, parts[:1] if least else parts)

    return Estimate(
        spec=spec,
        roles=roles,
        strategy=strategy.name,
        request=_request(played[0][0][0], config),
        problems=total,
        samples=config.samples,
        least=column(1, 1, 1 if config.until_decided else config.samples, least=True),
        about=column(usual, USUAL_REPLY, config.samples, min(chat, USUAL_TURNS)),
        most=None if most is None else column(most, reply_most, config.samples),
    )


def _check_folder(path: Path, config: RunConfig, identity: dict[str, Any]) -> None:
    """Refuses a folder that the run could not use. Weights are not compared: they would have to be loaded."""
    refuse_foreign(path)
    if config.fresh:
        refuse_run(path)
    elif (path / "run.json").exists():
        run = read_run(path)
        weights = {name: value for name, value in run.get("identity", {}).items() if name.endswith("weights")}
        refuse_other(path, run, {**identity, **weights}, json.loads(config.model_dump_json()))


@dataclass(frozen=True, slots=True)
class _Part:
    """What one role is asked in a trace, in prompts that grow evenly.

    `share`: asks for each turn of the solver, `fixed`: asks besides. `first`, `later`: bytes of the first prompt, and
    how many each further one has more. `read`, `more`: how many replies stand in the first, and how many more in each
    further one. `longest`: tokens of a reply at most.
    """

    share: float
    fixed: int
    first: float
    later: float
    read: float
    more: float
    longest: int
    cost: Cost | None


def _parts(config: RunConfig, played: Sequence[Sequence[Ask]], priced: Priced) -> list[_Part]:
    """What each role is asked, the solver first."""
    found = []
    roles: list[AskRole] = ["solver", *dict.fromkeys(ask.role for ask in played[0] if ask.role != "solver")]
    for role in roles:
        sizes = [[_size(ask.node.messages) for ask in asks if ask.role == role] for asks in played]
        spans = [(each[0], each[-1], max(1, len(each) - 1)) for each in sizes if each]
        found.append(
            _Part(
                share=_asks(played[0], role) / max(1, _asks(played[0], "solver")),
                fixed=0,
                first=fmean(first[0] for first, _, _ in spans),
                later=fmean(max(0.0, (last[0] - first[0]) / steps) for first, last, steps in spans),
                read=fmean(first[1] for first, _, _ in spans),
                more=fmean(max(0.0, (last[1] - first[1]) / steps) for first, last, steps in spans),
                longest=max(
                    ask.max_tokens or config.longest_reply(role) for asks in played for ask in asks if ask.role == role
                ),
                cost=priced(role),
            )
        )
    return found


def _judged(config: RunConfig, some: Sequence[Problem], priced: Priced) -> list[_Part]:
    """What the verifier `judge` asks, where it gives the verdicts: every answer twice."""
    judged = [problem for problem in some if (config.verifier or problem.verifier) == "judge"]
    if not judged:
        return []
    prompts = judge_prompts(config)
    first = fmean(_size(asked)[0] for each in judged for asked in conversations(prompts, each, each.answer or "?"))
    return [_Part(0.0, 2, first, 0.0, 0.0, 0.0, MAX_TOKENS, priced("judge"))]


def _column(turns: int, chat: int, reply: int, traces: int, parts: Sequence[_Part]) -> Column:
    """The sums over all traces. A turn reads all that its conversation has said, which has at most `chat` turns."""
    requests = read = written = 0
    costs: list[float | None] = []
    for part in parts:
        asks, output = part.fixed + math.ceil(part.share * turns), min(reply, part.longest)
        for ask in range(asks):
            before = ask % chat
            texts, replies = part.first + before * part.later, part.read + before * part.more
            prompt = round(texts / BYTES_PER_TOKEN) + round(replies * reply)
            costs.append(part.cost(Usage(input=prompt, output=output, reasoning=0)) if part.cost else None)
            requests, read, written = requests + 1, read + prompt, written + output
    known = [cost for cost in costs if cost is not None]
    return Column(
        turns,
        reply,
        requests=traces * requests,
        input=traces * read,
        output=traces * written,
        usd=traces * sum(known) if len(known) == len(costs) else None,
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
            said = NO_ANSWER if action.role == "solver" else f"<critique>{CRITIQUE}</critique><score>0</score>"
            stepper.send(
                ticket, task.tree.add("assistant", said, action.node, action.node.channel, Reply(content=said))
            )
        else:
            stepper.send(ticket, 0.0 if isinstance(action, Score) else Verdict(status="incorrect"))
    ended = stepper.done
    stepper.close()
    if not asks:
        raise SetupError(f"{strategy.name} asks the model nothing: choose another --strategy.")
    return asks, ended


def _own(replies: int | None, asks: Sequence[Ask]) -> int | None:
    """How many of so many replies are the solver's, as far as the beginning of a trace tells."""
    return None if replies is None else math.ceil(replies * _asks(asks, "solver") / len(asks))


def _asks(asks: Sequence[Ask], role: AskRole) -> int:
    return sum(ask.role == role for ask in asks)


def _size(messages: Sequence[Message]) -> tuple[int, int]:
    """Bytes of a prompt without what models said, and how many replies stand in it, also where they are quoted."""
    text = "".join(message.content for message in messages)
    replies = text.count(NO_ANSWER) + text.count(CRITIQUE)
    return len(text.replace(NO_ANSWER, "").replace(CRITIQUE, "").encode()), replies


def _cost(prices: Prices, config: RunConfig, solver: str, roles: Mapping[AskRole, str], role: AskRole) -> Cost | None:
    """The price of whoever plays `role`; only the solver, and who is the same model, is asked in batches."""
    price = prices.of(roles.get(role, solver))
    return partial(price.cost, batch=config.engine == "batch" and role not in roles) if price else None


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
