"""From a `RunConfig` to the pieces of a run: its strategy, its problems, what a provider is told, and versions."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from openstrawberry import __version__
from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import NO_SCORER
from openstrawberry.errors import SetupError
from openstrawberry.models.model import Model, specs_in
from openstrawberry.problems.families import recognise
from openstrawberry.problems.load import is_local, load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy
from openstrawberry.strategies.strategy import Strategy
from openstrawberry.verifiers.catalogue import VERIFIERS
from openstrawberry.verifiers.judge import MAX_TOKENS, Judge

_SDKS = {
    "openai": "openai",
    "azure": "openai",
    "anthropic": "anthropic",
    "gemini": "google-genai",
    "groq": "groq",
    "ollama": "ollama",
    "hf": "transformers",
    "prm": "transformers",
    "berry": "onnxruntime",
}


def strategy_of(config: RunConfig) -> Strategy:
    """The strategy that is asked for, with its options."""
    kind = STRATEGIES.load(config.strategy)
    return open_strategy(config.strategy, config.options_for(kind.model_fields))


def prompts_of(config: RunConfig, strategy: Strategy) -> PromptSet:
    """The prompt texts of the strategy, and of those that work for it."""
    return load_prompts(strategy.name, config.prompts_used, config.prompts, strategy.uses)


def refuse_unscored(config: RunConfig, strategy: Strategy, prompts: PromptSet) -> None:
    """Refuses a run whose strategy would ask for process rewards that nobody gives, before anything is paid for.

    Raises:
        SetupError: there is no process reward model.
    """
    if config.prm is None and strategy.scores(prompts):
        raise SetupError(NO_SCORER)


BERRY_ONLY_KNOWS = (
    "berry, the embedded model, only knows how to count a letter in a word and to add two whole numbers, asked like "
    '"How many r\'s are in strawberry?" or "What is 48 + 67?": for anything else name a real model with --model, such '
    "as ollama:mistral, openai:gpt-5-mini or anthropic:claude-sonnet-4-5."
)


def judge_prompts(config: RunConfig) -> PromptSet:
    """The rubric of the verifier `judge`: in full, unless whoever judges is a small model."""
    return load_prompts("judge", "brief" if config.is_small("judge") else "full", config.prompts)


def open_judge(model: Model, config: RunConfig) -> Judge:
    """The verifier `judge`, who asks `model`. `--max-tokens` is for steps: a verdict needs room for its reasons."""
    longest = config.longest_reply("judge") if config.is_small("judge") else MAX_TOKENS
    return Judge(model, judge_prompts(config), longest)


class Source(Protocol):
    """The settings that say which problems are meant; every config of ours that asks a model has them."""

    @property
    def problems(self) -> str: ...
    @property
    def question_column(self) -> str | None: ...
    @property
    def answer_column(self) -> str | None: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def seed(self) -> int: ...
    @property
    def skip_bad_rows(self) -> bool: ...


def problems_of(config: Source, on_bad_row: Callable[[str], None] | None = None) -> Iterator[Problem]:
    """The problems of the config's source, streamed."""
    return load_problems(
        config.problems,
        question_column=config.question_column,
        answer_column=config.answer_column,
        limit=config.limit,
        seed=config.seed,
        skip_bad_rows=config.skip_bad_rows,
        known_verifiers=VERIFIERS.names(),
        on_bad_row=on_bad_row,
    )


def count_problems(
    config: RunConfig, given: Sequence[Problem] | None = None, on_bad_row: Callable[[str], None] | None = None
) -> int | None:
    """How many problems there are; None where only the network knows. `given`: instead of the config's source.

    A source on this machine is read through, so that a bad row is found before anything is paid for.

    Raises:
        SetupError: a row is bad, or the embedded model knows none of them.
    """
    if given is None and not is_local(config.problems):
        return None
    total, known = 0, config.providers != ["berry"]
    for problem in problems_of(config, on_bad_row) if given is None else given:
        total += 1
        known = known or recognise(problem.question) is not None
    if not known:
        raise SetupError(BERRY_ONLY_KNOWS)
    return total


def identity_of(config: RunConfig, strategy: Strategy, prompts: PromptSet, models: Mapping[str, str]) -> dict[str, Any]:
    """What a continuation of a run must share. `models`: the models and the scorer, and which weights are asked."""
    return {
        **models,
        "strategy": strategy.name,
        "options": strategy.model_dump(exclude=set(strategy.RESUMABLE)),
        "prompts": prompts.name,
        "prompt_digest": prompts.digest,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.reply_tokens,
        "reasoning": config.reasoning,
        "seed": config.seed,
        "num_ctx": config.num_ctx,
    }


def model_options(config: RunConfig) -> dict[str, Any]:
    """What a provider may want to know beyond its spec."""
    names = ("num_ctx", "keep_alive", "cache_ttl", "timeout")
    return {name: value for name in names if (value := getattr(config, name)) is not None}


def versions(config: RunConfig) -> dict[str, str]:
    """Of this package, Python, and whatever talks to the model."""
    found = {"openstrawberry": __version__, "python": platform.python_version()}
    asked = (config.model, *config.roles.values())
    providers = [spec.partition(":")[0] for text in asked for spec in specs_in(text)]
    for package in _packages([*providers, *(["prm"] if config.prm else [])]):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _packages(providers: Sequence[str]) -> Iterable[str]:
    return dict.fromkeys(_SDKS[provider] for provider in providers if provider in _SDKS)
