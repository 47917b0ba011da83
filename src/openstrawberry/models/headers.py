"""What a provider says about its limits in the headers of a response.

OpenAI, Azure, most     x-ratelimit-limit-requests, -remaining-, -reset- (20ms, 6m0s), and the same with -tokens
Groq                    the same names, but its requests are those of a day
Cerebras, Mistral       the period stands in the name: -requests-day, -req-minute, -tokens-minute; reset in seconds
Anthropic               anthropic-ratelimit-requests-limit, -remaining, -reset (RFC 3339), also -input-tokens-
                        and -output-tokens-
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
_PERIODS = {"second": 1.0, "minute": MINUTE, "hour": HOUR, "1h": HOUR, "day": DAY, "month": 30 * DAY}
_COUNTS = {"requests": "requests", "req": "requests", "tokens": "tokens", "input-tokens": "input",
           "output-tokens": "output"}  # fmt: skip
_USUAL = re.compile(
    r"x-ratelimit-(?P<word>limit|remaining|reset)-(?P<counts>requests|req|tokens)"
    r"(?:-(?:per-)?(?P<period>second|minute|hour|1h|day|month))?"
)
_ANTHROPIC = re.compile(
    r"anthropic-ratelimit-(?P<counts>requests|tokens|input-tokens|output-tokens)-(?P<word>limit|remaining|reset)"
)
_UNNAMED = {("groq", "requests"): DAY}  # the period where a header does not name it; a minute everywhere else
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY}
_EPOCH = 1e9  # a number of seconds this large is a date


@dataclass(frozen=True, slots=True)
class Told:
    """One limit as a provider told it.

    `counts`: `requests`, `tokens`, `input` or `output` (tokens of one side). `period`: seconds that the limit is for.
    `limit` and `remaining` are counts, `reset` seconds from now; None where the provider does not say.
    """

    counts: str
    period: float
    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None


def limits_told(headers: Mapping[str, str], provider: str = "") -> list[Told]:
    """Every limit in `headers`, whose names are in lower case; what cannot be read is left out."""
    found: dict[tuple[str, float], dict[str, float]] = {}
    for name, text in headers.items():
        if "ratelimit" not in name:
            continue
        match = _USUAL.fullmatch(name) or _ANTHROPIC.fullmatch(name)
        if match is None:
            continue
        counts, period = _COUNTS[match["counts"]], match.groupdict().get("period")
        seconds = _PERIODS[period] if period else _UNNAMED.get((provider, counts), MINUTE)
        value = _until(text, headers) if match["word"] == "reset" else _number(text)
        if value is not None:
            found.setdefault((counts, seconds), {})[match["word"]] = value
    return [Told(counts, period, **words) for (counts, period), words in found.items()]


def duration(text: str) -> float | None:
    """Seconds in a text like `20ms`, `6m0s`, `1h2m3.5s`, or a bare number of seconds."""
    text = text.strip()
    parts = _PARTS.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _number(text)


def moment(text: str) -> float | None:
    """Seconds since 1970 of a date as HTTP writes it, or in RFC 3339."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text).timestamp()
        except (TypeError, ValueError, OverflowError):
            continue
    return None


def _until(text: str, headers: Mapping[str, str]) -> float | None:
    """Seconds from now; a date is read against the server's own clock, so that a wrong one here does no harm."""
    seconds = duration(text)
    date = seconds if seconds is not None and seconds > _EPOCH else None if seconds is not None else moment(text)
    if date is None:
        return seconds
    now = moment(headers.get("date", ""))
    return max(0.0, date - (time.time() if now is None else now))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e15 else None
