"""Every way in which a call can fail, at the wire, ends as a `ProviderError` of the right kind that says what to do."""

import asyncio
import socket
from collections.abc import Awaitable, Sequence

import pytest

from openstrawberry.errors import ErrorKind, ProviderError
from openstrawberry.models.model import Model
from openstrawberry.models.providers.faults import error_fields, seconds_to_wait
from openstrawberry.models.registry import open_model
from tests.models.wires import ANTHROPIC, AZURE, COMPAT, EVERY, GEMINI, GROQ, OLLAMA, OPENAI, Wire, asked, served
from tests.servers.dialects import SPELLINGS, Said, failure
from tests.servers.http import Answer, Server

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
every_wire = pytest.mark.parametrize("wire", EVERY, ids=str)
STATUSES: list[tuple[int, ErrorKind]] = [
    (400, "bad_request"),
    (401, "auth"),
    (402, "quota"),
    (403, "auth"),
    (404, "not_found"),
    (408, "timeout"),
    (413, "context"),
    (422, "bad_request"),
    (429, "rate_limit"),
    (500, "server"),
    (502, "server"),
    (503, "overloaded"),
    (529, "overloaded"),
]


def failures(wire: Wire, answers: Sequence[Answer], *, stream: bool = False, **more: object) -> list[ProviderError]:
    """The errors that one request after the other ends in."""

    async def work(model: Model, server: Server) -> list[ProviderError]:
        errors = []
        for _ in answers:
            with pytest.raises(ProviderError) as caught:
                await model.complete(asked(), (lambda delta: None) if stream else None)
            errors.append(caught.value)
        return errors

    errors = served(wire, answers, work, **more)
    for error in errors:
        assert error.provider == str(wire)
        assert error.hint.endswith(".")
        assert error.hint in str(error)
        assert "sk-secret" not in str(error)
    return errors


def failed(wire: Wire, answer: Answer, *, stream: bool = False, **more: object) -> ProviderError:
    """The error that one request ends in."""
    return failures(wire, [answer], stream=stream, **more)[0]


@both_ways
@every_wire
def test_each_status_has_its_kind(wire: Wire, stream: bool) -> None:
    errors = failures(wire, [failure(wire.protocol, status, "No.") for status, _ in STATUSES], stream=stream)
    assert [(error.status, error.kind) for error in errors] == STATUSES
    assert all("No." in str(error) for error in errors)


@both_ways
@every_wire
def test_retry_after_is_read_to_the_millisecond(wire: Wire, stream: bool) -> None:
    seconds = failure(wire.protocol, 429, "Slow down.", retry_after="7")
    exact = failure(wire.protocol, 503, "Busy.", retry_after_ms="1250", retry_after="2")
    silent = failure(wire.protocol, 429, "Slow down.")
    errors = failures(wire, [seconds, exact, silent], stream=stream)
    assert [error.retry_after for error in errors] == [7, 1.25, None]


def test_a_date_in_retry_after_is_read_against_the_servers_clock() -> None:
    headers = {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert seconds_to_wait(headers) == 30
    assert seconds_to_wait({**headers, "Date": "Wed, 21 Oct 2026 07:29:00 GMT"}) == 0
    assert seconds_to_wait({"retry-after": "soon"}) is None


def test_geminis_retry_info_is_read_from_the_body() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "23.5s"}
    body = {"error": {"code": 429, "message": "You exceeded your current quota.", "details": [info]}}
    error = failed(GEMINI, Answer.of(body, 429))
    assert (error.kind, error.retry_after) == ("rate_limit", 23.5)
    daily = {"quotaId": "GenerateRequestsPerDayPerProject"}
    body = {"error": {"code": 429, "message": "You exceeded your current quota.", "details": [daily]}}
    assert failed(GEMINI, Answer.of(body, 429)).kind == "quota"


def test_a_minutes_limit_that_speaks_of_billing_is_no_empty_account() -> None:
    said = (
        "Rate limit reached for model `x` on tokens per minute (TPM): Limit 6000. Please try again in 4.77s. Need more "
        "tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
    )
    error = failed(GROQ, failure("openai", 429, said, "rate_limit_exceeded"))
    assert (error.kind, error.retry_after) == ("rate_limit", 4.77)
    minute = {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}
    told = "You exceeded your current quota, please check your plan and billing details."
    body = {"error": {"code": 429, "message": told, "details": [{"violations": [minute]}, info]}}
    error = failed(GEMINI, Answer.of(body, 429))
    assert (error.kind, error.retry_after) == ("rate_limit", 26)
    day = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
    body = {"error": {"code": 429, "message": told, "details": [{"violations": [day]}, info]}}
    assert failed(GEMINI, Answer.of(body, 429)).kind == "quota"


@pytest.mark.parametrize("wire", [OPENAI, AZURE, GROQ, COMPAT], ids=str)
def test_an_empty_account_is_not_a_rate_limit(wire: Wire) -> None:
    said = "You exceeded your current quota, please check your plan and billing details."
    assert failed(wire, failure("openai", 429, said, "insufficient_quota")).kind == "quota"


def test_an_empty_anthropic_account_is_a_quota() -> None:
    said = "Your credit balance is too low to access the API."
    assert failed(ANTHROPIC, failure("anthropic", 400, said, "billing_error")).kind == "quota"


@pytest.mark.parametrize(
    ("wire", "status", "message", "code"),
    [
        (OPENAI, 400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded"),
        (COMPAT, 400, "the request exceeds the available context size", ""),
        (GROQ, 413, "Request too large for model", "rate_limit_exceeded"),
        (ANTHROPIC, 400, "prompt is too long: 201000 tokens > 200000 maximum", "invalid_request_error"),
        (GEMINI, 400, "The input token count (1200000) exceeds the maximum number of tokens allowed", ""),
        (OLLAMA, 400, "input length exceeds maximum context length", ""),
    ],
)
def test_a_conversation_that_is_too_long_is_told_apart(wire: Wire, status: int, message: str, code: str) -> None:
    error = failed(wire, failure(wire.protocol, status, message, code))
    assert (error.kind, error.retryable) == ("context", False)


def test_a_key_that_google_does_not_know_is_an_auth_error() -> None:
    error = failed(GEMINI, failure("gemini", 400, "API key not valid. Please pass a valid API key."))
    assert error.kind == "auth"
    assert "GEMINI_API_KEY" in error.hint


@both_ways
@every_wire
def test_a_key_that_the_server_echoes_is_not_shown(wire: Wire, stream: bool) -> None:
    failed(wire, failure(wire.protocol, 401, "Incorrect key provided: sk-secret"), stream=stream)


@both_ways
@every_wire
def test_a_page_of_html_becomes_one_short_line(wire: Wire, stream: bool) -> None:
    page = "<html><body><h1>502 Bad Gateway</h1>\n" + "<p>nginx</p>\n" * 500 + "</body></html>"
    error = failed(wire, Answer(502, {"content-type": "text/html"}, page.encode()), stream=stream)
    assert error.kind == "server"
    assert "\n" not in str(error)
    assert len(str(error)) < 500


@both_ways
@every_wire
def test_an_error_with_a_strange_body_keeps_its_status(wire: Wire, stream: bool) -> None:
    bodies = (b"", b"[]", b'"no"', b"null", b"{}", b'{"error":', b"\xff\xfe")
    answers = [Answer(500, {"content-type": "application/json"}, body) for body in bodies]
    errors = failures(wire, answers, stream=stream)
    assert [(error.kind, error.status) for error in errors] == [("server", 500)] * len(bodies)


@both_ways
@every_wire
def test_nobody_listening_is_a_connection_error_with_the_way_out(wire: Wire, stream: bool) -> None:
    async def session() -> ProviderError:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            model = open_model(wire.spec, wire.settings(f"http://127.0.0.1:{reserved.getsockname()[1]}"))
            with pytest.raises(ProviderError) as caught:
                await model.complete(asked(), (lambda delta: None) if stream else None)
            await model.close()
        return caught.value

    error = asyncio.run(session())
    assert (error.kind, error.status, error.is_setup) == ("connection", 0, True)
    assert ("ollama serve" if wire is OLLAMA else wire.variable) in error.hint


@both_ways
@every_wire
def test_a_reset_before_the_headers_is_a_connection_error(wire: Wire, stream: bool) -> None:
    assert failed(wire, Answer(fault="reset"), stream=stream).kind == "connection"


@both_ways
@every_wire
def test_silence_is_a_timeout(wire: Wire, stream: bool) -> None:
    assert failed(wire, Answer(fault="hang"), stream=stream, timeout=0.05).kind == "timeout"


@every_wire
def test_a_stream_that_falls_silent_is_a_timeout(wire: Wire) -> None:
    whole = SPELLINGS[wire.protocol](Said("One step."), True)
    assert whole.chunks is not None
    stalled = Answer(headers=whole.headers, chunks=whole.chunks[:2], fault="stall")
    assert failed(wire, stalled, stream=True, timeout=0.1).kind == "timeout"


@pytest.mark.parametrize("end", ["cut", ""], ids=["cut off", "ended politely"])
@every_wire
def test_a_stream_that_breaks_off_is_a_connection_error(wire: Wire, end: str) -> None:
    whole = SPELLINGS[wire.protocol](Said("One step."), True)
    assert whole.chunks is not None
    kept = whole.chunks[:3] if wire.protocol != "anthropic" else whole.chunks[:4]
    broken = Answer(headers=whole.headers, chunks=kept, fault=end)  # type: ignore[arg-type]
    error = failed(wire, broken, stream=True)
    assert (error.kind, error.retryable) == ("connection", True)


@pytest.mark.parametrize(
    ("wire", "event", "kind"),
    [
        (OPENAI, 'data: {"error": {"message": "Overloaded", "type": "server_error"}}\n\n', "server"),
        (GROQ, 'data: {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}\n\n', "rate_limit"),
        (COMPAT, 'data: {"error": {"message": "Busy", "code": 503}}\n\n', "overloaded"),
        (ANTHROPIC, 'event: error\ndata: {"error": {"type": "overloaded_error", "message": "Busy"}}\n\n', "overloaded"),
        (GEMINI, 'data: {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}\n\n', "overloaded"),
        (OLLAMA, '{"error": "the runner has crashed"}\n', "server"),
    ],
    ids=lambda value: str(value) if isinstance(value, Wire) else None,
)  # fmt: skip
def test_an_error_inside_a_stream_keeps_its_kind(wire: Wire, event: str, kind: ErrorKind) -> None:
    whole = SPELLINGS[wire.protocol](Said("One step."), True)
    assert whole.chunks is not None
    error = failed(wire, Answer(headers=whole.headers, chunks=(*whole.chunks[:2], event.encode())), stream=True)
    assert (error.kind, error.status in (0, 200, 503)) == (kind, True)


def test_an_error_object_with_status_200_is_an_error() -> None:
    body = {"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "busy"}}}
    error = failed(COMPAT, Answer.of(body))
    assert (error.kind, error.status) == ("rate_limit", 429)
    assert "busy" in str(error)


MALFORMED = (
    b"",
    b'{"choices": [{"message": {"content": "On',
    b"[]",
    b'"no"',
    b'{"surprise": 1}',
    b'{"choices": [], "content": 5, "candidates": [], "message": 5}',
    b'{"choices": "\xff\xfe"}',
    b'{"choices": [{"message": 3}], "content": [3], "candidates": 3, "message": [3]}',
    b'{"choices": [{"message": {"content": 3}}], "content": [{"text": 3}], '
    b'"candidates": [{"content": {"parts": [{"text": 3}]}}], "message": {"content": 3}}',
)


@every_wire
def test_an_answer_that_is_not_the_protocol_is_malformed(wire: Wire) -> None:
    page = Answer(headers={"content-type": "text/html"}, body=b"<html>Please log in</html>")
    answers = [Answer(headers={"content-type": "application/json"}, body=body) for body in MALFORMED]
    errors = failures(wire, [*answers, page])
    assert [(error.kind, error.retryable) for error in errors] == [("malformed", True)] * len(errors)


@every_wire
def test_a_stream_that_is_not_the_protocol_is_malformed_or_cut(wire: Wire) -> None:
    end = b"\n" if wire is OLLAMA else b"\n\n"
    start = b"" if wire is OLLAMA else b"event: message_start\ndata: " if wire is ANTHROPIC else b"data: "
    head = {"content-type": "text/event-stream"}
    errors = failures(wire, [Answer(headers=head, chunks=(start + body + end,)) for body in MALFORMED], stream=True)
    assert {error.kind for error in errors} <= {"malformed", "connection"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@every_wire
def test_a_cancelled_request_leaves_the_model_usable(wire: Wire, stream: bool) -> None:
    answers = [Answer(fault="hang"), SPELLINGS[wire.protocol](Said("Again."), stream)]

    async def work(model: Model, server: Server) -> str:
        listener = (lambda delta: None) if stream else None
        task = asyncio.create_task(_complete(model.complete(asked(), listener)))
        while not server.requests:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await model.complete(asked(), listener)).content

    assert served(wire, answers, work) == "Again."


async def _complete(call: Awaitable[object]) -> None:
    await call


def test_a_listeners_own_mistake_is_not_blamed_on_the_provider() -> None:
    def listen(delta: object) -> None:
        raise ValueError("the listener is broken")

    async def work(model: Model, server: Server) -> None:
        await model.complete(asked(), listen)

    for wire in EVERY:
        with pytest.raises(ValueError, match="the listener is broken"):
            served(wire, [Said("One step.")], work)


def test_error_bodies_of_every_shape_are_read() -> None:
    assert error_fields({"error": {"code": "c", "message": "m"}}) == ("c", "m")
    assert error_fields({"error": "m"}) == ("", "m")
    assert error_fields({"detail": "m"}) == ("", "m")
    assert error_fields(None) == ("", "")
