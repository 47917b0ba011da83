"""What each provider says about its limits, read from responses that came through its own SDK."""

import pytest

from openstrawberry.models.headers import DAY, HOUR, MINUTE, Told, duration, limits_told
from tests.models.wires import ANTHROPIC, AZURE, COMPAT, GEMINI, GROQ, OLLAMA, OPENAI, SHAPED, Wire, exchange
from tests.servers.dialects import SPELLINGS, Said, failure
from tests.servers.http import Answer

OPENAIS = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-remaining-tokens": "159976",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-reset-tokens": "6m0.5s",
}
REQUESTS = Told("requests", MINUTE, 5000, 4999, 0.012)
TOKENS = Told("tokens", MINUTE, 160_000, 159_976, 360.5)
ANTHROPICS = {
    "date": "Sat, 21 Nov 2026 12:00:00 GMT",
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:01Z",
    "anthropic-ratelimit-input-tokens-limit": "50000",
    "anthropic-ratelimit-input-tokens-remaining": "48000",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-21T12:00:02.5Z",
    "anthropic-ratelimit-output-tokens-limit": "8000",
    "anthropic-ratelimit-output-tokens-remaining": "8000",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-21T11:59:59Z",
    "anthropic-ratelimit-priority-input-tokens-limit": "10",
}
CEREBRAS = Wire("cerebras:llama", "openai", "CEREBRAS_BASE_URL", "CEREBRAS_API_KEY", "/v1")
MISTRAL = Wire("mistral:small", "openai", "MISTRAL_BASE_URL", "MISTRAL_API_KEY", "/v1")
SAID: list[tuple[Wire, dict[str, str], list[Told]]] = [
    (OPENAI, OPENAIS, [REQUESTS, TOKENS]),
    (AZURE, OPENAIS, [REQUESTS, TOKENS]),
    (COMPAT, OPENAIS, [REQUESTS, TOKENS]),
    (AZURE, {"x-ratelimit-remaining-tokens": "7"}, [Told("tokens", MINUTE, remaining=7)]),
    (GROQ, OPENAIS, [Told("requests", DAY, 5000, 4999, 0.012), TOKENS]),
    (
        ANTHROPIC,
        ANTHROPICS,
        [
            Told("requests", MINUTE, 50, 49, 1),
            Told("input", MINUTE, 50_000, 48_000, 2.5),
            Told("output", MINUTE, 8000, 8000, 0),
        ],
    ),
    (
        CEREBRAS,
        {
            "x-ratelimit-limit-requests-day": "14400",
            "x-ratelimit-remaining-requests-day": "0",
            "x-ratelimit-reset-requests-day": "33011.38",
            "x-ratelimit-limit-tokens-minute": "60000",
            "x-ratelimit-remaining-tokens-minute": "60000",
            "x-ratelimit-limit-requests-hour": "900",
        },
        [
            Told("requests", DAY, 14_400, 0, 33_011.38),
            Told("tokens", MINUTE, 60_000, 60_000),
            Told("requests", HOUR, 900),
        ],
    ),
    (
        MISTRAL,
        {"x-ratelimit-limit-req-minute": "720", "x-ratelimit-remaining-req-minute": "717"},
        [Told("requests", MINUTE, 720, 717)],
    ),
    (GEMINI, {}, []),
    (OLLAMA, {}, []),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("wire", "headers", "told"), SAID, ids=lambda value: str(value) if isinstance(value, Wire) else ""
)
def test_limits_are_heard_as_the_provider_spells_them(
    wire: Wire, headers: dict[str, str], told: list[Told], stream: bool
) -> None:
    heard: list[list[Told]] = []
    answer = SPELLINGS[wire.protocol](Said(), stream)
    told_so = Answer(answer.status, {**answer.headers, **headers}, answer.body, answer.chunks)
    exchange(wire, told_so, stream=stream, heard=lambda said: heard.append(limits_told(said, str(wire))))
    assert heard == [told]


@pytest.mark.parametrize("provider", [name for name in SHAPED if name != "compat"])
def test_everybody_else_who_speaks_openais_protocol_is_heard_too(provider: str) -> None:
    variable = {"together": "TOGETHER_API_KEY", "huggingface": "HF_TOKEN", "replicate": "REPLICATE_API_TOKEN"}
    key = variable.get(provider, f"{provider.upper()}_API_KEY")
    wire = Wire(f"{provider}:m", "openai", f"{provider.upper()}_BASE_URL", key, "/v1")
    heard: list[list[Told]] = []
    answer = SPELLINGS["openai"](Said(), False)
    exchange(
        wire, Answer(200, {**answer.headers, **OPENAIS}, answer.body), heard=lambda s: heard.append(limits_told(s))
    )
    assert heard == [[REQUESTS, TOKENS]]


def test_an_error_is_heard_before_it_is_raised() -> None:
    heard: list[list[Told]] = []
    refused = failure("openai", 429, "Slow down.")
    answers = Answer(429, {**refused.headers, **OPENAIS}, refused.body)
    with pytest.raises(Exception, match="Slow down"):
        exchange(OPENAI, answers, heard=lambda said: heard.append(limits_told(said)))
    assert heard == [[REQUESTS, TOKENS]]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20ms", 0.02), ("6m0s", 360), ("1h2m3.5s", 3723.5), ("2d", 172_800), ("7.66s", 7.66), ("33011.38", 33_011.38)],
)
def test_durations_are_read_however_they_are_written(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-3", "nan", "1e300", "s", "3 s x"])
def test_what_makes_no_sense_is_left_out(text: str) -> None:
    assert duration(text) is None
    assert limits_told({"x-ratelimit-limit-requests": text, "x-ratelimit-reset-requests": text}) == []


def test_a_reset_may_be_a_date_since_1970() -> None:
    headers = {"date": "Thu, 01 Jan 2026 00:00:00 GMT", "x-ratelimit-reset-requests": "1767225660"}
    assert limits_told(headers) == [Told("requests", MINUTE, reset=60)]
