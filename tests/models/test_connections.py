"""Connections are kept, given back after every kind of end, and one is enough for one conversation."""

import asyncio
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import httpx2
import pytest

from openstrawberry.errors import ProviderError
from openstrawberry.models.model import Model
from openstrawberry.models.provider import ModelOptions
from openstrawberry.models.providers.http_options import http_options
from tests.models.wires import EVERY, Wire, asked, served
from tests.servers.dialects import SPELLINGS, Said, failure
from tests.servers.http import Answer, Handler, Server

every_wire = pytest.mark.parametrize("wire", EVERY, ids=str)
VARIABLES = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY",
    "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION",
    "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "GROQ_API_KEY", "GROQ_BASE_URL",
    "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_API_KEY",
    "OLLAMA_HOST",
)  # fmt: skip
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@both_ways
@every_wire
def test_one_conversation_uses_one_connection(wire: Wire, stream: bool) -> None:
    async def work(model: Model, server: Server) -> int:
        for _ in range(5):
            await model.complete(asked(), (lambda delta: None) if stream else None)
        return server.connected

    assert served(wire, [Said("ok")], work) == 1


@every_wire
def test_many_at_once_use_as_many_and_use_them_again(wire: Wire) -> None:
    async def work(model: Model, server: Server) -> int:
        for _ in range(3):
            await asyncio.gather(*(model.complete(asked()) for _ in range(16)))
        return server.connected

    assert served(wire, [Said("ok")], work) <= 16


@both_ways
@every_wire
def test_a_failed_request_gives_its_connection_back(wire: Wire, stream: bool) -> None:
    refused = failure(wire.protocol, 429, "Busy.")

    async def work(model: Model, server: Server) -> int:
        for _ in range(4):
            with pytest.raises(ProviderError):
                await model.complete(asked(), (lambda delta: None) if stream else None)
        await model.complete(asked())
        return server.connected

    assert served(wire, [refused] * 4 + [SPELLINGS[wire.protocol](Said("ok"), False)], work) == 1


@every_wire
def test_an_idle_connection_that_the_server_closed_is_replaced(wire: Wire) -> None:
    last = SPELLINGS[wire.protocol](Said("ok"), False)
    closing = Answer(headers={**last.headers, "connection": "close"}, body=last.body)

    async def work(model: Model, server: Server) -> list[str]:
        return [(await model.complete(asked())).content for _ in range(3)]

    assert served(wire, [closing], work) == ["ok"] * 3


@pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_behind_a_proxy_the_clients_own_pool_is_used(http: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "transport" in http_options(http, ModelOptions())  # type: ignore[arg-type]
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert "transport" not in http_options(http, ModelOptions())  # type: ignore[arg-type]


def fetched(http: Any, handler: Handler, *, url: str = "", body: bytes = b"x", timeout: float = 5.0) -> Any:
    """What a client of `http` on our connections makes of the server's answer."""

    async def go() -> Any:
        async with Server(handler) as server:
            options = ModelOptions(timeout=timeout, connect_timeout=timeout)
            async with http.AsyncClient(**http_options(http, options)) as client:
                answers = [await client.post(url or server.url, content=body) for _ in range(2)]
                return answers[-1], server.requests[-1]

    return asyncio.run(go())


both_clients = pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])
WRONG = {
    "reset": (Answer(fault="reset"), {"RemoteProtocolError", "ReadError"}),
    "silence": (Answer(fault="hang"), {"ReadTimeout"}),
    "silence in the middle": (Answer(chunks=(b"some",), fault="stall"), {"ReadTimeout"}),
    "a cut": (Answer(chunks=(b"some",), fault="cut"), {"RemoteProtocolError"}),
    "a chunk that is none": (Answer(body=b"none", chunks=(b"some",)), {"RemoteProtocolError"}),
}


@pytest.mark.parametrize("what", WRONG)
@both_clients
def test_an_error_after_sending_is_never_taken_for_a_connection_that_was_not_made(http: Any, what: str) -> None:
    answer, names = WRONG[what]
    with pytest.raises(http.HTTPError) as caught:
        fetched(http, lambda received: answer, timeout=0.2)
    assert type(caught.value).__name__ in names
    assert str(caught.value)


@both_clients
def test_a_connection_that_was_not_made_says_so(http: Any) -> None:
    with pytest.raises(http.ConnectError, match=r"^Connection refused$"):
        fetched(http, lambda received: Answer(), url="http://127.0.0.1:9")
    with pytest.raises(http.ConnectError):  # a name that nobody has, by RFC 2606
        fetched(http, lambda received: Answer(), url="http://nobody.invalid")


def answered(listening: socket.socket, first: bytes = b"HTTP/1.1 200 OK") -> socket.socket:
    """A connection on which one request was answered, with `first` as the first line; it is kept open."""
    connection, _ = listening.accept()
    connection.recv(2**16)
    connection.sendall(first + b"\r\ncontent-length: 2\r\n\r\nok")
    return connection


@both_clients
def test_a_connection_that_was_closed_while_the_loop_stood_still_is_not_used(http: Any) -> None:
    """As at a prompt, where no loop runs between two questions."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as other, asyncio.Runner() as runner:
        listening.settimeout(5.0)
        client = http.AsyncClient(**http_options(http, ModelOptions()))
        for _ in range(3):
            connection = other.submit(answered, listening)
            post = client.post(f"http://127.0.0.1:{listening.getsockname()[1]}", content=b"x")
            assert runner.run(post).text == "ok"
            connection.result().close()
        runner.run(client.aclose())


@both_clients
def test_a_first_line_of_another_age_or_alphabet_costs_no_answer(http: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as other, asyncio.Runner() as runner:
        listening.settimeout(5.0)
        client = http.AsyncClient(**http_options(http, ModelOptions()))
        connection = other.submit(answered, listening, "HTTP/1.0 200 Schön".encode("latin-1"))
        answer = runner.run(client.post(f"http://127.0.0.1:{listening.getsockname()[1]}", content=b"x"))
        assert (answer.status_code, answer.http_version, answer.text) == (200, "HTTP/1.0", "ok")
        connection.result().close()
        runner.run(client.aclose())


@both_clients
def test_a_client_goes_on_in_another_event_loop(http: Any) -> None:
    client = http.AsyncClient(**http_options(http, ModelOptions()))

    async def go() -> int:
        async with Server(lambda received: Answer(headers={"connection": "close"})) as server:
            return int((await client.get(server.url)).status_code)

    assert [asyncio.run(go()) for _ in range(3)] == [200] * 3
    asyncio.run(client.aclose())


@both_clients
def test_who_does_not_read_is_given_up(http: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(http.WriteTimeout, match="nothing could be sent"):
            fetched(http, lambda received: Answer(), url=url, body=b"x" * (32 * 2**20), timeout=0.2)


@both_clients
def test_no_header_costs_an_answer(http: Any) -> None:
    many = {f"x-{number}": "y" for number in range(500)}
    long = Answer(headers={"x-long": "a" * 100_000, **many}, body=b"paid for")
    assert fetched(http, lambda received: long)[0].text == "paid for"


@both_clients
def test_a_request_arrives_as_the_client_made_it(http: Any) -> None:
    setting = Answer(headers={"set-cookie": "a=b", "content-type": "text/plain"}, body="ü".encode())
    large = b"x" * (3 * 2**20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer, request = fetched(http, lambda received: setting, body=large)
    assert (answer.text, answer.http_version, answer.reason_phrase) == ("ü", "HTTP/1.1", "OK")
    assert request.body == large
    assert request.headers["content-length"] == str(len(large))
    assert request.headers["cookie"] == "a=b"  # the client's own jar, and no second one
    assert "aiohttp" not in repr(request.headers)


@every_wire
def test_nothing_of_the_environment_reaches_a_request_by_itself(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "http://from.environment")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")

    async def work(model: Model, server: Server) -> str:
        await model.complete(asked())
        return repr(server.requests)

    assert "from.environment" not in served(wire, [Said("ok")], work)
