"""From what went wrong at a provider to a `ProviderError`: kind, status, hint and how long to wait.

Every message is one line, never holds the key (a server may echo it), and its hint ends in what to do. The SDK-specific
halves, which know the exception classes, live beside their SDK and end here.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from openstrawberry.errors import ErrorKind, ProviderError
from openstrawberry.models.headers import duration, moment
from openstrawberry.models.provider import Opening

_CONTEXT = re.compile(
    r"context.{0,12}(length|window|size)|maximum context|prompt is too long|too many tokens|maximum.{0,24}tokens"
    r"|input token count|exceeds? the (maximum|available)|request too large",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"insufficient.{0,3}(quota|balance|credit|funds)|billing|payment required|out of credits|credit balance"
    r"|per ?day|daily",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\[Errno -?\d+\] ?")
_ADDRESS = re.compile(r"https?://\S+")
_KEY = re.compile(
    r"(invalid|incorrect|missing|expired|unauthorized).{0,24}api.?key"
    r"|api.?key.{0,24}(invalid|incorrect|not valid|expired)",
    re.IGNORECASE,
)
_AGAIN = re.compile(r"(?:try again|retry) in ((?:\d+(?:\.\d+)?(?:ms|[dhms]))+)", re.IGNORECASE)
_BY_STATUS: dict[int, ErrorKind] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "server",
    413: "context",
    425: "server",
    429: "rate_limit",
    498: "overloaded",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_BY_CODE: dict[str, ErrorKind] = {
    "insufficient_quota": "quota",
    "billing_error": "quota",
    "billing_hard_limit_reached": "quota",
    "context_length_exceeded": "context",
    "string_above_max_length": "context",
    "request_too_large": "context",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "DeploymentNotFound": "not_found",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
    "api_error": "server",
    "server_error": "server",
    "internal_server_error": "server",
    "invalid_request_error": "bad_request",
    "json_validate_failed": "malformed",
}
_HINTS: dict[ErrorKind, str] = {
    "auth": "Check {key} in the environment or in .env.",
    "not_found": "See which models there are with `strawberry doctor`, and check the name in --model.",
    "bad_request": "Change what the message names, or choose another --model.",
    "context": "Lower --max-turns or --max-tokens, or choose a --model with a longer context.",
    "quota": "Add credit at the provider, wait for its allowance to renew, or choose another --model.",
    "rate_limit": "Lower --concurrency.",
    "overloaded": "Try again later, or choose another --model.",
    "server": "Try again later, or choose another --model.",
    "connection": "Check the network, and the address in {url}.",
    "timeout": "Try again, lower --max-tokens, or raise the option timeout.",
    "malformed": "Try again; if it stays so, check that {url} points at a server of this kind.",
}


# Statuses with which a request is turned away before any work is done for it. Not here: 408, 500, 502 and 504, behind
# which a model may have been at work.
_TURNED_AWAY = frozenset({400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 425, 429, 498, 503, 529})
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ConnectionRefusedError", "gaierror"})
_FILTERED = {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"}


class Filtered(ProviderError):
    """The provider will not answer because of what was said; adapters turn it into a reply that says so."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Makes the errors of one provider. `hints` replace the general ones, by kind."""

    provider: str
    key_variable: str
    url_variable: str
    secret: str = field(default="", repr=False)
    address: str = ""
    hints: Mapping[str, str] = field(default_factory=dict)

    def of_status(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        begun: bool = False,
    ) -> ProviderError:
        """An answer with an HTTP error, or an error object inside a stream (then `status` may be 0 or 200).

        `begun`: the status is only what was said inside an answer that had begun, so the request was not turned away.
        """
        unbilled = not begun and self._turned_away(status)
        status = int(code) if status < 400 and code.isdigit() else status
        kind = kind_of(status, code, message)
        wait = retry_after if retry_after is not None else seconds_to_wait(headers or {})
        wait = _wait_in(message) if wait is None and status == 429 else wait
        if kind == "quota" and _BY_CODE.get(code) != "quota" and wait is not None:
            kind = "rate_limit"  # it is back when the wait has passed; who waits decides whether that is too long
        said = self._one_line(message) or "no reason given"
        shown = f"answered {status}" if status >= 400 else "reported an error"
        error = self._made(kind, f"{self.provider} {shown}: {said}", status, wait, unbilled)
        if code in _FILTERED and kind == "bad_request":
            return Filtered(str(error), provider=self.provider, kind=kind, status=status)
        return error

    def connection(self, error: BaseException | str) -> ProviderError:
        if not _never_sent(error):
            return self.cut(error)
        where = f" at {self.address}" if self.address else ""
        message = f"{self.provider} could not be reached{where}: {self._one_line(_told(error))}"
        return self._made("connection", message, unbilled=True)

    def cut(self, error: BaseException | str = "the reply ended before its end") -> ProviderError:
        return self._made("connection", f"{self.provider} broke off: {self._one_line(_told(error))}")

    def timeout(self, error: BaseException | str = "no answer in time") -> ProviderError:
        message = f"{self.provider} timed out: {self._one_line(_told(error))}"
        return self._made("timeout", message, unbilled=_never_sent(error))

    def malformed(self, error: BaseException | str) -> ProviderError:
        told = self._one_line(_told(error))
        return self._made("malformed", f"{self.provider} sent something that is not its protocol: {told}")

    @contextmanager
    def parsing(self) -> Iterator[None]:
        """Around code that takes an answer apart: whatever does not fit is malformed."""
        try:
            yield
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise self.malformed(f"{type(error).__name__} {error}") from error

    def _turned_away(self, status: int) -> bool:
        # Azure's documentation: a 400 for the content filter or for too long an input may be charged.
        return status in _TURNED_AWAY and not (status == 400 and self.provider == "azure")

    def _made(
        self, kind: ErrorKind, message: str, status: int = 0, wait: float | None = None, unbilled: bool = False
    ) -> ProviderError:
        hint = self.hints.get(kind) or _HINTS[kind].format(
            key=self.key_variable or "the key", url=self.url_variable or "the base_url option"
        )
        return ProviderError(
            message, provider=self.provider, kind=kind, status=status, hint=hint, retry_after=wait, unbilled=unbilled
        )

    def _one_line(self, text: str) -> str:
        line = " ".join(re.sub(r"<[^>]{0,200}>", " ", text).split())
        if self.secret:
            line = line.replace(self.secret, "***")
        line = line if len(line) <= 300 else line[:299] + "…"
        return line if not line or line[-1] in ".!?…" else line + "."


def faults_of(opening: Opening, hints: Mapping[str, str] | None = None) -> Faults:
    """The errors of the provider that `opening` opens."""
    own = {"connection": opening.provider.unreachable} if opening.provider.unreachable else {}
    return Faults(
        opening.provider.name,
        opening.key_variable,
        opening.url_variable,
        opening.key,
        opening.base_url,
        {**own, **(hints or {})},
    )


def kind_of(status: int, code: str, message: str) -> ErrorKind:
    """What kind of failure this is; a provider's own code says more than the status, and its words the most."""
    coded = _BY_CODE.get(code)
    message = _ADDRESS.sub("", message)  # "upgrade at https://.../billing" is no word about money
    if status in (0, 400, 413, 422, 500) and (coded == "context" or _CONTEXT.search(message)):
        return "context"
    if status in (400, 403, 429) and (coded == "quota" or (status != 400 and _MONEY.search(message))):
        return "quota"
    if status == 400 and _KEY.search(message):
        return "auth"
    if coded and (status < 400 or coded in ("quota", "not_found", "malformed")):
        return coded
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "bad_request" if 400 <= status < 500 else "server"


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """What `retry-after-ms` or `retry-after` (seconds or an HTTP date) ask for, never negative.

    A date is read against the server's own `date`, so that a wrong clock here does no harm.
    """
    named = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(named[name]) / unit)
        except (KeyError, ValueError):
            continue
    until, now = moment(named.get("retry-after", "")), moment(named.get("date", ""))
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def error_fields(body: Any) -> tuple[str, str]:
    """The code and the message inside an error body of any of the usual shapes, empty where there is none."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(inner, dict):
        return "", inner if isinstance(inner, str) else ""
    code = inner.get("code") or inner.get("type") or ""
    message = inner.get("message") or inner.get("detail") or ""
    metadata = inner.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else ""
    return str(code), f"{message} {raw}".strip() if raw else str(message)


def _wait_in(message: str) -> float | None:
    """Seconds in a sentence like "Please try again in 7m12.5s."; a bare number says nothing of its unit."""
    found = _AGAIN.search(message)
    return duration(found[1]) if found else None


def _never_sent(error: BaseException | str | None) -> bool:
    """Whether no connection was made, so that no request can have left."""
    while isinstance(error, BaseException):
        if not _NEVER_SENT.isdisjoint(kind.__name__ for kind in type(error).__mro__):
            return True
        error = error.__cause__ or error.__context__  # ollama's SDK hides its cause
    return False


def _told(error: BaseException | str) -> str:
    if isinstance(error, str):
        return error
    cause = error.__cause__
    told = str(cause) if cause is not None and str(cause) else str(error) or type(error).__name__
    return _NUMBER.sub("", told)
