"""Where the price of a model comes from: the user's own file, else nobody bills, else the `genai-prices` package.

A file holds one model a line, in dollars per million tokens; `*` stands for any name, the first line that fits counts:

    openai:gpt-5-mini: {input: 0.25, cached_input: 0.025, output: 2}
    compat:*: {input: 0.1, output: 0.4, batch: 0.5}

Unknown are, without such a line: a server of one's own (`compat`, `ollama`, `vllm`), a provider's name at an address
that is not the provider's, and an Azure deployment whose model `AZURE_OPENAI_MODEL_NAME` does not name.
"""

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openstrawberry.errors import SetupError
from openstrawberry.models.batch import BATCHING
from openstrawberry.models.model import specs_in, without_address
from openstrawberry.models.prices import FREE, Price, Rate, Rates, Tariff, now
from openstrawberry.models.provider import Provider
from openstrawberry.models.registry import find_provider, full_spec
from openstrawberry.settings import Settings
from openstrawberry.wording import cause, misfit

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

IN_PROCESS = frozenset({"berry", "hf", "scripted"})
OWN_SERVERS = frozenset({"compat", "ollama", "vllm"})
_LISTED_AS = {"gemini": "google"}
_BATCH = {"processing": "batch"}


class Line(BaseModel):
    """One line of a price file: dollars per million tokens; `batch` is the share of them that is paid in a batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached_input: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    cache_write: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    batch: float | None = Field(default=None, ge=0, le=1)

    @property
    def rates(self) -> Rates:
        """The rates of a live call."""
        read, write = self.cached_input, self.cache_write
        return Rates(
            Rate(self.input),
            Rate(self.output),
            None if read is None else Rate(read),
            None if write is None else Rate(write),
        )


class Prices:
    """The prices of all models.

    Args:
        file: the user's own prices, which go first.
        settings: for the names and addresses that the environment gives.
        clock: tells the hour, by which some prices differ.

    Raises:
        SetupError: the file cannot be read.
    """

    def __init__(
        self, file: Path | None = None, settings: Settings | None = None, clock: Callable[[], datetime] = now
    ) -> None:
        self._lines = _read(file) if file else {}
        self._settings = settings or Settings({})
        self._clock = clock

    def of(self, spec: str) -> Price | None:
        """The price of a model, None where it is unknown; of several models (`a:b,c:d`) only if each is known.

        Raises:
            SetupError: there is no such provider.
        """
        tariffs = [self._tariff(full_spec(part, self._settings)) for part in specs_in(spec)]
        known = [tariff for tariff in tariffs if tariff is not None and tariff(self._clock(), False)]
        return Price(*known, clock=self._clock) if len(known) == len(tariffs) else None

    def _tariff(self, spec: str) -> Tariff | None:
        provider = find_provider(spec.partition(":")[0])
        for pattern, line in self._lines.items():
            if any(pattern == name or fnmatchcase(name, pattern) for name in (spec, without_address(spec))):
                return _of_line(line, provider.name)
        if provider.name in IN_PROCESS:
            return lambda moment, batch: FREE
        if provider.name in OWN_SERVERS or self._elsewhere(provider, spec):
            return None
        return _listed(provider.name, self._name(provider, spec.partition(":")[2]))

    def _name(self, provider: Provider, name: str) -> str:
        """What the provider itself calls the model: an Azure deployment's name says nothing."""
        if provider.name != "azure":
            return name
        models = self._settings.names("AZURE_OPENAI_MODEL_NAME", "azure")
        return name if name in models else models[0] if len(models) == 1 else ""

    def _elsewhere(self, provider: Provider, spec: str) -> bool:
        """Whether a server of somebody else answers in the provider's place."""
        address = self._settings.first(*provider.url_variables)
        moved = bool(address) and address.rstrip("/") != provider.base_url.rstrip("/") and provider.name != "azure"
        return moved or without_address(spec) != spec


def unpriced(spec: str) -> str:
    """The sentence for a dollar budget that cannot be kept."""
    return (
        f"The price of {without_address(spec)} is not known, so a budget in dollars cannot hold: write the line "
        f'"{without_address(spec)}: {{input: 0.5, output: 1.5}}" with its dollars per million tokens into a file and '
        "name it with --prices FILE, or set --budget-tokens."
    )


def _of_line(line: Line, provider: str) -> Tariff:
    factor = line.batch if line.batch is not None else 0.5 if provider in BATCHING else None
    live = line.rates
    batched = None if factor is None else live.times(factor)
    return lambda moment, batch: batched if batch else live


def _listed(provider: str, name: str) -> Tariff | None:
    """What `genai-prices` knows; imported only here, since the command line must start fast."""
    from genai_prices.data_snapshot import get_snapshot

    if provider == "huggingface":  # its router's models are listed by who runs them, which stands behind a colon
        name, _, runner = name.partition(":")
        provider = f"huggingface_{runner}"
    providers = get_snapshot().providers
    owner = next((each for each in providers if each.id == _LISTED_AS.get(provider, provider)), None)
    model = owner.find_model(name, all_providers=providers) if owner and name else None
    if owner is None or model is None:
        return None
    return _tariff_of(model, provider, own=any(model is each for each in owner.models))


def _tariff_of(model: "ModelInfo", provider: str, own: bool) -> Tariff:
    """`own`: whether it stands in the provider's own list; variants of another's list are not the provider's."""
    batches = own and any(variant.when == _BATCH for variant in model.price_variants or ())

    @functools.lru_cache(maxsize=256)
    def at(minute: datetime, batch: bool) -> Rates | None:
        rates = _rates(model.get_prices(minute, _BATCH if batch and batches else None))
        if rates is None or not batch or batches:
            return rates
        return rates.times(0.5) if provider in BATCHING else None  # the usual half, where none is listed

    return lambda moment, batch: at(moment.replace(second=0, microsecond=0), batch)


def _rates(listed: "ModelPrice") -> Rates | None:
    """None for a model that is not paid by tokens."""
    read, written = _rate(listed.input_mtok), _rate(listed.output_mtok)
    if read is None or written is None:
        return None
    per_request = _rate(listed.requests_kcount)
    return Rates(
        read,
        written,
        _rate(listed.cache_read_mtok),
        _rate(listed.cache_write_mtok),
        _rate(listed.cache_write_1h_mtok),
        _rate(listed.output_reasoning_mtok),
        request=per_request.base / 1000 if per_request else 0.0,
    )


def _rate(listed: "Decimal | TieredPrices | None") -> Rate | None:
    if listed is None:
        return None
    if isinstance(listed, Decimal):
        return Rate(float(listed))
    return Rate(float(listed.base), tuple((tier.start, float(tier.price)) for tier in listed.tiers))


def _read(file: Path) -> dict[str, Line]:
    example = "write one model a line, in dollars per million tokens, as `openai:gpt-5-mini: {input: 0.25, output: 2}`."
    try:
        rows = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"The prices in {file} cannot be read ({cause(error)}): check --prices.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SetupError(f"{file} is not YAML ({cause(error)}): {example}") from error
    if not isinstance(rows, Mapping):
        raise SetupError(f"{file} holds no prices: {example}")
    return {str(name): _line(file, str(name), row) for name, row in rows.items()}


def _line(file: Path, name: str, row: object) -> Line:
    try:
        return Line.model_validate(row)
    except ValidationError as error:
        place, _, advice = misfit(error)
        where = ".".join(map(str, (name, *place)))
        raise SetupError(
            f"The price of {where} in {file} cannot be read ({advice}): write input, output and, where "
            "they differ, cached_input and cache_write, in dollars per million tokens, and batch as a share of them."
        ) from error
