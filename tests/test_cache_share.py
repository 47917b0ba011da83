"""What a provider could read from its cache, it does: the benchmark's simulated providers, on a small run."""

import argparse
import asyncio

import pytest

from benchmarks.cache import measure

SHARES = {
    "openai": (0.97, 1.0),
    "anthropic": (0.97, 1.0),
    "anthropic, system only": (0.0, 0.1),  # the measure notices what is left out
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARES)
def test_at_least_97_percent_of_what_could_be_cached_is_though_critics_cut_in(name: str) -> None:
    given = argparse.Namespace(problems=2, samples=4, turns=20, concurrency=8)
    provider, cached = asyncio.run(measure(name, given))
    low, high = SHARES[name]
    assert provider.requests == 2 * 4 * 20 * 3
    assert low <= cached / provider.cacheable <= high
