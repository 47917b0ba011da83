"""What replies cost: the arithmetic, where the rates come from, and that what is unknown stays so."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices.data_snapshot import get_snapshot

from openstrawberry.chat import Reply, Usage
from openstrawberry.errors import SetupError
from openstrawberry.models.pricelist import Prices
from openstrawberry.models.prices import Price, Rate, Rates
from openstrawberry.settings import Settings

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FULL = Rates(
    input=Rate(2.0, ((200_000, 4.0),)),
    output=Rate(10.0, ((200_000, 15.0),)),
    cached_input=Rate(0.2, ((200_000, 0.4),)),
    cache_write=Rate(2.5),
    cache_write_1h=Rate(4.0),
    reasoning=Rate(20.0),
)
LISTED = {"openai": "openai", "anthropic": "anthropic", "google": "gemini", "groq": "groq", "cerebras": "cerebras",
          "mistral": "mistral", "together": "together", "deepseek": "deepseek"}  # fmt: skip


def usage(**counts: int) -> Usage:
    return Usage(**{"input": 0, "output": 0, "reasoning": 0, **counts})


def flat(rates: Rates) -> Price:
    return Price(lambda moment, batch: rates)


def listed_models() -> list[tuple[str, str]]:
    """Every model of the package that is paid by tokens, as (our spec, its id there)."""
    found = []
    for provider in get_snapshot().providers:
        for model in provider.models if provider.id in LISTED else ():
            spec = f"{LISTED[provider.id]}:{model.id}"
            if provider.find_model(model.id) is model and Prices(clock=lambda: NOON).of(spec):
                found.append((spec, provider.id))
    return found


def test_each_kind_of_token_has_its_own_rate() -> None:
    assert FULL.cost(usage(input=1_000_000 // 10)) == pytest.approx(0.2)
    assert FULL.cost(usage(input=100_000, cached_input=60_000)) == pytest.approx(0.08 + 0.012)
    assert FULL.cost(usage(input=100_000, cache_write=60_000)) == pytest.approx(0.08 + 0.15)
    assert FULL.cost(usage(input=100_000, cache_write=60_000), "1h") == pytest.approx(0.08 + 0.24)
    assert FULL.cost(usage(output=100_000, reasoning=30_000)) == pytest.approx(0.7 + 0.6)


def test_a_long_prompt_makes_the_whole_request_dearer() -> None:
    assert FULL.cost(usage(input=200_000, output=1000)) == pytest.approx(0.4 + 0.01)
    assert FULL.cost(usage(input=200_001, output=1000, cached_input=100_001)) == pytest.approx(0.4 + 0.0400004 + 0.015)


def test_what_the_provider_did_not_report_is_not_guessed() -> None:
    assert FULL.cost(Usage(output=3, reasoning=0)) is None
    assert FULL.cost(Usage(input=3, reasoning=0)) is None
    assert FULL.cost(Usage(input=3, output=3)) is None  # reasoning has its own rate here
    assert Rates(Rate(1.0), Rate(2.0)).cost(Usage(input=1_000_000, output=0)) == 1.0


def test_the_cache_saves_what_its_tokens_would_have_cost_less_what_writing_cost() -> None:
    assert FULL.saved(usage(input=100_000, cached_input=100_000)) == pytest.approx(0.2 - 0.02)
    assert FULL.saved(usage(input=300_000, cached_input=300_000)) == pytest.approx(1.2 - 0.12)
    assert FULL.saved(usage(input=100_000, cache_write=100_000)) == pytest.approx(0.2 - 0.25)
    assert FULL.saved(usage(input=100_000)) == 0
    assert FULL.saved(Usage(cached_input=3)) is None


def test_a_reply_that_knows_its_cost_keeps_it() -> None:
    reply = Reply(content="x", usage=usage(input=10))
    assert flat(FULL).on(reply).cost_usd == pytest.approx(0.00002)
    assert flat(FULL).on(reply.model_copy(update={"cost_usd": 7.0})).cost_usd == 7.0


@pytest.mark.parametrize("batch", [False, True])
def test_costs_are_those_of_the_package_for_every_model_it_lists(batch: bool) -> None:
    """Its own arithmetic is slower and wants its own records; ours must not differ from it."""
    random, models = Random(1), listed_models()
    assert len(models) > 200
    snapshot = get_snapshot()
    compared = 0
    for spec, provider in models:
        price = Prices(clock=lambda: NOON).of(spec)
        assert price is not None
        size = random.choice([1_000, 50_000, 300_000])
        read, wrote, out = random.randrange(size), random.randrange(size) // 2, random.randrange(5_000)
        said = usage(input=2 * size, cached_input=read, cache_write=wrote, output=out)
        name = spec.partition(":")[2]
        given = ListedUsage(input_tokens=2 * size, cache_read_tokens=read, cache_write_tokens=wrote, output_tokens=out)
        listed, model = snapshot.find_provider_model(name, None, provider, None)
        known = any(variant.when == {"processing": "batch"} for variant in model.price_variants or ())
        if batch and not known:
            continue
        context = {"processing": "batch"} if batch else None
        theirs = model.calc_price(given, listed, genai_request_timestamp=NOON, price_context=context).total_price
        assert price.cost(said, batch=batch) == pytest.approx(float(theirs), abs=1e-12), spec
        compared += 1
    assert compared > (50 if batch else 200)


def test_nothing_within_the_bounds_costs_more_than_the_worst_at_any_hour() -> None:
    random = Random(2)
    for spec, _ in listed_models():
        start = NOON + timedelta(minutes=random.randrange(1440))
        worst = Prices(clock=lambda start=start: start).of(spec)
        assert worst is not None
        for ttl in ("5m", "1h"):
            most_in, most_out = random.choice([500, 150_000, 900_000]), random.choice([16, 4096])
            bound = worst.worst(most_in, most_out, cache_ttl=ttl)
            assert bound is not None
            for _ in range(5):
                moment = start + timedelta(minutes=random.randrange(1440))
                then = Prices(clock=lambda moment=moment: moment).of(spec)
                assert then is not None
                sent, out = random.randint(0, most_in), random.randint(0, most_out)
                read = random.randint(0, sent)
                cost = then.cost(
                    usage(input=sent, cached_input=read, cache_write=random.randint(0, sent - read), output=out,
                          reasoning=random.randint(0, out)), cache_ttl=ttl)  # fmt: skip
                assert cost is None or cost <= bound + 1e-12, spec


def test_a_provider_with_night_rates_is_paid_by_the_hour_and_reserved_for_by_the_dearest() -> None:
    hour = [NOON]
    price = Prices(clock=lambda: hour[0]).of("deepseek:deepseek-v4-pro")
    assert price is not None
    costs = set()
    for number in range(24):
        hour[0] = NOON + timedelta(hours=number)
        costs.add(price.cost(usage(input=1_000_000)))
        assert price.worst(1_000_000, 0) == pytest.approx(max(price.worst(1_000_000, 0) or 0, *map(float, costs)))
    assert len(costs) == 2


def test_batches_cost_half_where_the_provider_sells_them_and_no_price_is_listed() -> None:
    prices = Prices(settings=Settings({"AZURE_OPENAI_MODEL_NAME": "gpt-4.1-mini"}), clock=lambda: NOON)
    for spec in ("azure:mine", "groq:llama-3.1-8b-instant"):
        price = prices.of(spec)
        assert price is not None
        live = price.cost(usage(input=1000, output=10))
        assert live is not None
        assert price.cost(usage(input=1000, output=10), batch=True) == pytest.approx(live / 2)
    together = prices.of("together:meta-llama/Llama-3.3-70B-Instruct-Turbo")
    assert together is not None
    assert together.cost(usage(input=1000), batch=True) is None


@pytest.mark.parametrize("spec", ["berry", "hf:/weights", "scripted:script.yaml"])
def test_nobody_bills_for_models_in_process(spec: str) -> None:
    price = Prices().of(spec)
    assert price is not None
    assert price.cost(Usage(input=1000, output=1000)) == price.cost(Usage()) == 0
    assert price.worst(10**9, 10**9) == 0


@pytest.mark.parametrize(
    ("spec", "environment"),
    [
        ("compat:gpt-5-mini@http://127.0.0.1:1/v1", {}),
        ("vllm:gpt-5-mini", {}),
        ("ollama:mistral", {}),
        ("openai:a-model-nobody-knows", {}),
        ("openai:gpt-5-mini", {"OPENAI_BASE_URL": "http://127.0.0.1:1234/v1"}),
        ("openai:gpt-5-mini@http://127.0.0.1:1234/v1", {}),
        ("azure:gpt-5-mini", {}),
        ("azure:other", {"AZURE_OPENAI_MODEL_NAME": "[gpt-5-mini, gpt-4.1]"}),
        ("huggingface:openai/gpt-oss-120b", {}),
        ("openai:text-embedding-3-small", {}),
        ("openai:gpt-5-mini,ollama:mistral", {}),
    ],
)
def test_what_nobody_can_know_is_unknown(spec: str, environment: dict[str, str]) -> None:
    assert Prices(settings=Settings(environment)).of(spec) is None


@pytest.mark.parametrize(
    ("spec", "same", "environment"),
    [
        ("google:gemini-2.5-pro", "gemini:gemini-2.5-pro", {}),
        ("openai:gpt-5-mini", "openai:gpt-5-mini", {"OPENAI_BASE_URL": "https://api.openai.com/v1/"}),
        ("openai", "openai:gpt-5-mini", {"OPENAI_MODEL_NAME": "[gpt-5-mini, gpt-4.1]"}),
        ("azure:mine", "openai:gpt-5-mini", {"AZURE_OPENAI_MODEL_NAME": "gpt-5-mini", "AZURE_OPENAI_ENDPOINT": "https://x"}),
        ("azure:gpt-4.1", "openai:gpt-4.1", {"AZURE_OPENAI_MODEL_NAME": "[gpt-5-mini, gpt-4.1]"}),
    ],
)  # fmt: skip
def test_names_and_addresses_of_the_environment_are_understood(
    spec: str, same: str, environment: dict[str, str]
) -> None:
    found, expected = Prices(settings=Settings(environment)).of(spec), Prices().of(same)
    assert found is not None
    assert expected is not None
    assert found.cost(usage(input=1000, output=7)) == expected.cost(usage(input=1000, output=7)) != 0


def test_models_that_share_the_load_reserve_for_the_dearest_and_differ_in_cost() -> None:
    both = Prices().of("openai:gpt-5-mini,openai:gpt-5-nano")
    dear, cheap = Prices().of("openai:gpt-5-mini"), Prices().of("openai:gpt-5-nano")
    assert both is not None
    assert dear is not None
    assert cheap is not None
    assert both.worst(1000, 10) == dear.worst(1000, 10) != cheap.worst(1000, 10)
    assert both.cost(usage(input=1000)) is None
    assert Prices().of("scripted:a, b.yaml") is not None


def test_a_file_of_ones_own_goes_first_and_its_first_line_that_fits_counts(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(
        "openai:gpt-5-mini: {input: 100, output: 200, cached_input: 10, cache_write: 125, batch: 0.25}\n"
        "compat:big-*: {input: 3, output: 4}\n"
        "compat:*: {input: 1, output: 2}\n"
        "berry: {input: 5, output: 5}\n"
        "compat:never: {input: 9, output: 9}\n"
    )
    prices = Prices(file)
    million = usage(input=1_000_000)

    def cost(spec: str, said: Usage = million, batch: bool = False) -> float | None:
        price = prices.of(spec)
        return price.cost(said, batch=batch) if price else None

    assert cost("openai:gpt-5-mini") == 100
    assert cost("openai:gpt-5-mini", batch=True) == 25
    assert cost("openai:gpt-5-mini", usage(input=1_000_000, cached_input=500_000)) == 55
    assert cost("openai:gpt-5-mini", usage(input=1_000_000, cache_write=1_000_000)) == 125
    assert cost("compat:big-one@http://127.0.0.1:1/v1") == 3
    assert cost("compat:never@http://127.0.0.1:1/v1") == 1
    assert cost("compat:never@http://127.0.0.1:1/v1", batch=True) is None
    assert cost("berry") == 5
    assert cost("ollama:mistral") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("openai:x: {input: 1}", "openai:x.output"),
        ("openai:x: {input: 1, output: 2, cashed: 3}", "openai:x.cashed"),
        ("openai:x: {input: -1, output: 2}", "openai:x.input"),
        ("openai:x: {input: .nan, output: 2}", "openai:x.input"),
        ("openai:x: 3", "openai:x"),
        ("- openai", "holds no prices"),
        ("a: {", "is not YAML"),
    ],
)
def test_a_file_with_a_mistake_is_one_sentence_that_says_where(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(SetupError) as caught:
        Prices(file)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(SetupError, match="check --prices"):
        Prices(tmp_path / "nowhere.yaml")


def test_the_package_is_imported_only_for_a_price_that_it_knows() -> None:
    code = (
        "import sys\nfrom openstrawberry.models.pricelist import Prices\nfrom openstrawberry.generate import Run\n"
        "Prices().of('berry'); Prices().of('ollama:x')\nprint('genai_prices' in sys.modules)\n"
        "Prices().of('openai:gpt-5-mini')\nprint('genai_prices' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "True"]


def test_the_worst_case_covers_cached_tokens_that_a_file_makes_dearer_than_others(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("compat:*: {input: 1, cached_input: 5, output: 2}\n")
    price = Prices(file).of("compat:x@http://127.0.0.1:1/v1")
    assert price is not None
    assert price.cost(usage(input=1_000_000, cached_input=1_000_000)) == 5
    assert price.worst(1_000_000, 0) == 5
