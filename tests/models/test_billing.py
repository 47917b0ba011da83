"""Which failures certainly cost nothing, at the wire: a budget forgets these, and keeps all others at their worst."""

import asyncio
import json

import pytest

from openstrawberry.errors import ProviderError
from openstrawberry.models.model import Model
from openstrawberry.models.registry import open_model
from tests.models.wires import AZURE, EVERY, GEMINI, OPENAI, Wire, asked, served
from tests.servers.dialects import SPELLINGS, Said, failure
from tests.servers.http import Answer, Server

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
every_wire = pytest.mark.parametrize("wire", EVERY, ids=str)
TURNED_AWAY = (401, 403, 404, 422, 429, 503, 529)
WHO_KNOWS = (408, 500, 502, 504)


def unbilled(wire: Wire, answers: list[Answer], stream: bool, **more: object) -> list[bool]:
    """What the errors say that these answers end in, one request after the other."""

    async def work(model: Model, server: Server) -> list[bool]:
        found = []
        for _ in answers:
            with pytest.raises(ProviderError) as caught:
                await model.complete(asked(), (lambda delta: None) if stream else None)
            found.append(caught.value.unbilled)
        return found

    return served(wire, answers, work, **more)


@both_ways
@every_wire
def test_what_is_turned_away_costs_nothing_and_what_broke_behind_the_door_may(wire: Wire, stream: bool) -> None:
    answers = [failure(wire.protocol, status, "No.") for status in TURNED_AWAY + WHO_KNOWS]
    assert unbilled(wire, answers, stream) == [True] * len(TURNED_AWAY) + [False] * len(WHO_KNOWS)


@every_wire
def test_a_refused_request_costs_nothing_except_where_the_provider_says_otherwise(wire: Wire) -> None:
    refused = failure(wire.protocol, 400, "prompt is too long: 201000 tokens > 200000 maximum")
    assert unbilled(wire, [refused], False) == [wire is not AZURE]


@both_ways
@every_wire
def test_a_call_that_never_connected_costs_nothing(wire: Wire, stream: bool) -> None:
    async def session() -> bool:
        model = open_model(wire.spec, wire.settings("http://127.0.0.1:9"))
        try:
            with pytest.raises(ProviderError) as caught:
                await model.complete(asked(), (lambda delta: None) if stream else None)
        finally:
            await model.close()
        assert caught.value.kind == "connection"
        return caught.value.unbilled

    assert asyncio.run(session())


@both_ways
@every_wire
def test_a_call_that_was_sent_may_be_billed_however_it_ended(wire: Wire, stream: bool) -> None:
    whole = SPELLINGS[wire.protocol](Said("One step."), True)
    assert whole.chunks is not None
    cut = Answer(headers=whole.headers, chunks=whole.chunks[:-2], fault="cut")
    junk = Answer(headers={"content-type": "application/json"}, body=b'{"choices": [')
    answers = [Answer(fault="reset"), junk, *([cut] if stream else []), Answer(fault="hang")]
    assert unbilled(wire, answers, stream, timeout=0.3) == [False] * len(answers)


@pytest.mark.parametrize("wire", [OPENAI, GEMINI], ids=str)
def test_an_error_inside_a_stream_may_be_billed_whatever_status_it_tells(wire: Wire) -> None:
    body = {"error": {"code": 429, "message": "Too many requests.", "status": "RESOURCE_EXHAUSTED"}}
    answer = Answer.events([f"data: {json.dumps(body)}\n\n"])
    assert unbilled(wire, [answer], True) == [False]
