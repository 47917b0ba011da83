"""What a run is asked to do: every flag of the command line is a field here, and a key of `--config` YAML."""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from openstrawberry.errors import SetupError, UsageError
from openstrawberry.models.model import specs_in, without_address
from openstrawberry.registry import unknown
from openstrawberry.strategies.strategy import AskRole
from openstrawberry.wording import as_written, cause, misfit

Settings = TypeVar("Settings", bound=BaseModel)
MOST_UNTIL_DECIDED = 20  # samples per problem with --until-decided, unless told otherwise
TRACES_IN_WAVES = 10_000  # at a time with --engine batch, unless told otherwise: what waits costs little
STEPWISE = frozenset({"strawberry", "critic", "beam", "mcts", "omega", "journey"})  # replies are single steps
SMALL_MODELS = ("berry",)  # providers whose models get the brief prompts unless told otherwise

Effort = Annotated[Literal["off", "low", "medium", "high"], BeforeValidator(as_written)]
"""How hard a model that thinks shall think; each provider is asked for it in its own words."""


class CommonConfig(BaseModel):
    """The settings of every command that asks models: which problems, how the models are asked, and how fast.

    None means: the strategy's, the model's or the source's own default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    problems: str = "builtin:demo"
    question_column: str | None = None
    answer_column: str | None = None
    skip_bad_rows: bool = False
    limit: int | None = Field(default=None, ge=1, le=2**62)
    max_turns: int | None = Field(default=None, ge=1, le=1_000_000)
    temperature: float | None = Field(default=None, ge=0, le=5)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    reasoning: Effort | None = None
    seed: int = Field(default=0, ge=-(2**62), le=2**62)
    prompts: Path | None = None
    prompt_set: str | None = None
    concurrency: int = Field(default=64, ge=1, le=100_000)
    requests_per_minute: float | None = Field(default=None, ge=1, le=1e9)
    tokens_per_minute: float | None = Field(default=None, ge=1, le=1e12)
    timeout: float | None = Field(default=None, gt=0)
    attempts: int = Field(default=8, ge=1, le=1000)
    num_ctx: int | None = Field(default=None, ge=1)
    keep_alive: str | None = None
    cache_ttl: Literal["5m", "1h"] | None = None
    prices: Path | None = None
    budget_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    budget_tokens: int | None = Field(default=None, ge=1, le=2**62)
    """Hard caps on all models together, over every command that works on the folder."""


class RunConfig(CommonConfig):
    """Settings of one run."""

    model: str = "berry"
    critic_model: str | None = None
    judge_model: str | None = None
    strategy: str = "strawberry"
    prm: str | None = None
    samples: int = Field(default=4, ge=1, le=10_000)
    until_decided: bool = False
    out: Path | None = None
    home: Path = Path("traces")
    fresh: bool = False
    engine: Literal["live", "batch"] = "live"
    deadline: float | None = Field(default=None, gt=0, le=10_000)
    workers: int = Field(default=1, ge=1, le=256)
    final_every: int | None = Field(default=None, ge=0, le=1_000_000)
    turns: int | None = Field(default=None, ge=1, le=1_000_000)
    set: dict[str, Any] = Field(default_factory=dict)
    verifier: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _more_samples(cls, values: Any) -> Any:
        """Sampling that stops by itself may draw more: enough to find the barely solvable problems."""
        if isinstance(values, dict) and values.get("until_decided") is True and values.get("samples") is None:
            return {**values, "samples": MOST_UNTIL_DECIDED}
        return values

    @model_validator(mode="before")
    @classmethod
    def _more_at_a_time(cls, values: Any) -> Any:
        """A batch takes as long for one request as for thousands, so it should hold all there are."""
        if isinstance(values, dict) and values.get("engine") == "batch" and values.get("concurrency") is None:
            return {**values, "concurrency": TRACES_IN_WAVES}
        return values

    @property
    def providers(self) -> list[str]:
        """The provider part of the model's spec, or of each where several share the load."""
        return [spec.partition(":")[0] for spec in specs_in(self.model)]

    @property
    def roles(self) -> dict[AskRole, str]:
        """The models that were named for a role of their own; the solver plays the others."""
        named: dict[AskRole, str | None] = {"critic": self.critic_model, "judge": self.judge_model}
        return {role: spec for role, spec in named.items() if spec is not None}

    @property
    def small(self) -> bool:
        """Whether a small model takes part as solver, which needs brief prompts and short replies."""
        return self.is_small("solver")

    def is_small(self, role: AskRole) -> bool:
        """Whether a small model takes part in playing `role`."""
        return any(spec.partition(":")[0] in SMALL_MODELS for spec in specs_in(self.roles.get(role, self.model)))

    @property
    def short_model(self) -> str:
        """The model's spec without address and folders, for the names of run directories."""
        parts = [without_address(spec).partition(":") for spec in specs_in(self.model)]
        names = [f"{provider}-{name.rstrip('/').rpartition('/')[2]}".rstrip("-") for provider, _, name in parts]
        return "-".join(names)

    @property
    def prompts_used(self) -> str:
        """The name of the prompt set: the one asked for, else `brief` for small models and `full` for others."""
        return self.prompt_set or ("brief" if self.small else "full")

    @property
    def reply_tokens(self) -> int:
        """Tokens of the solver's longest reply, see `longest_reply`."""
        return self.longest_reply("solver")

    def longest_reply(self, role: AskRole) -> int:
        """Tokens of a reply: as asked for, else 4096; far fewer where a small model plays `role`: it rambles when lost.

        With 512 tokens a step, one lost trace of 333 took six times as long as all the others. A step of a sum of 30
        digits has 115 tokens; a chain of thought of the easy sizes fits into 512.
        """
        if self.max_tokens is not None:
            return self.max_tokens
        if self.is_small(role):
            base = self.set.get("base", "strawberry" if self.strategy == "vote" else "")
            return 160 if self.strategy in STEPWISE or str(base) in STEPWISE else 512
        return 4096

    def options_for(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The strategy options: the common flags that the strategy knows, then `--set`."""
        flags = {
            "max_turns": self.max_turns,
            "final_every": self.final_every,
            "turns": self.turns,
            "temperature": self.temperature,
            "max_tokens": self.reply_tokens if self.small else self.max_tokens,
        }
        known = {name: value for name, value in flags.items() if value is not None and name in fields}
        return {**known, **self.set}


def load_config(file: Path | None, flags: Mapping[str, Any], beside: Collection[str] = ()) -> RunConfig:
    """The settings from a YAML file, with the flags that were given on the command line over them.

    `beside`: keys that the file may have for somebody else, such as `json`.

    Raises:
        SetupError: the file cannot be read.
        UsageError: a key does not exist, or a value does not fit.
    """
    filed = _read(file, RunConfig, beside) if file else {}
    filed_set = filed.get("set") or {}
    if not isinstance(filed_set, dict):
        raise UsageError(f"`set` in {file} is no list of options: write it as `set: {{key: value}}`.")
    return _fit(RunConfig, {**filed, **_given(flags), "set": {**filed_set, **(flags.get("set") or {})}})


def load_settings(
    kind: type[Settings], file: Path | None, flags: Mapping[str, Any], beside: Collection[str] = ()
) -> Settings:
    """Settings of any kind from a YAML file, with the flags that were given on the command line over them.

    `beside`: keys that the file may have for somebody else, such as `json`.

    Raises:
        SetupError: the file cannot be read.
        UsageError: a key does not exist, or a value does not fit.
    """
    return _fit(kind, {**(_read(file, kind, beside) if file else {}), **_given(flags)})


def load_switches(file: Path | None, flags: Mapping[str, bool | None]) -> dict[str, bool]:
    """What a command shows rather than does, such as `json` and `dry_run`: each may be given or stand in the file.

    Raises:
        SetupError: the file cannot be read.
        UsageError: a value is neither true nor false.
    """
    filed = _keys(file) if file else {}
    found = {name: filed.get(name) if given is None else given for name, given in flags.items()}
    for name, value in found.items():
        if value not in (None, False, True):
            raise UsageError(f"The value {value!r} of --{name.replace('_', '-')} does not fit: write true or false.")
    return {name: bool(value) for name, value in found.items()}


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


def _fit(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    try:
        return kind(**values)
    except ValidationError as error:
        place, value, advice = misfit(error)
        name = ".".join(map(str, place)).replace("_", "-")
        setting = f"value {value!r} of --{name}" if name else "combination of settings"
        raise UsageError(f"The {setting} does not fit: {advice}.") from error


def parse_sets(pairs: list[str]) -> dict[str, Any]:
    """`key=value` flags as a dictionary; values are read as YAML scalars.

    Raises:
        UsageError: a pair has no `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise UsageError(f"--set {pair!r} cannot be read: write it as --set key=value.")
        try:
            found[key.strip().replace("-", "_")] = yaml.safe_load(value) if value else ""
        except yaml.YAMLError as error:
            raise UsageError(f"--set {pair!r} cannot be read: put the value in quotes.") from error
    return found


def _read(file: Path, kind: type[BaseModel], beside: Collection[str]) -> dict[str, Any]:
    """The settings in a file, without those `beside`."""
    filed = {key: value for key, value in _keys(file).items() if key not in beside}
    for key in filed:
        if key not in kind.model_fields:
            raise UsageError(unknown(f"setting in {file}", key, [*kind.model_fields, *beside]))
    return filed


def _keys(file: Path) -> dict[str, Any]:
    try:
        filed = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        near = difflib.get_close_matches(file.name, [path.name for path in file.parent.glob("*.y*ml")], n=1)
        advice = f"did you mean {near[0]}?" if near else "check the path after --config."
        raise SetupError(f"There is no file {file}: {advice}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SetupError(f"{file} cannot be read ({cause(error)}): fix it and run again.") from error
    if not isinstance(filed, dict):
        raise SetupError(f"{file} holds no settings: write one `flag: value` per line, such as `samples: 8`.")
    return {str(key).replace("-", "_"): value for key, value in filed.items()}
