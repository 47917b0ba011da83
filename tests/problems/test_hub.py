"""The Hub, where it cannot be reached or says no: one sentence, soon, and nothing else on the terminal.

`datasets` reads the Hub's address when it is imported, so each Hub needs a process of its own.
"""

import asyncio
import os
import sys
import time

import pytest

from tests.servers.http import Answer, Received, Server

pytest.importorskip("datasets", reason="needs the extra `hub`")

LOAD = """
import sys, time
from openstrawberry.errors import SetupError
from openstrawberry.problems.load import load_problems
for source in sys.argv[1:]:
    began = time.monotonic()
    try:
        load_problems(source)
    except SetupError as error:
        print(f"{time.monotonic() - began:.1f}", type(error).__name__, error, sep="|")
"""


async def refusals(endpoint: str, *sources: str, **variables: str) -> list[tuple[float, str, str]]:
    """Seconds, kind and sentence of each source's refusal."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**ours, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_TELEMETRY": "1", **variables}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOAD, *sources,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, noise = await asyncio.wait_for(process.communicate(), 120)
    assert noise.decode() == ""
    rows = [line.split("|") for line in said.decode().splitlines()]
    return [(float(seconds), kind, sentence) for seconds, kind, sentence in rows]


def test_without_a_network_it_is_tried_once_and_said_in_one_sentence() -> None:
    began = time.monotonic()
    (first, second) = asyncio.run(refusals("http://127.0.0.1:9", "hub:owner/name", "gsm8k"))
    assert time.monotonic() - began < 60
    assert second[0] < 3  # `datasets` itself would go on for half a minute
    for (_, kind, sentence), name in ((first, "owner/name"), (second, "openai/gsm8k")):
        assert kind == "SetupError"
        assert sentence.startswith(f"The Hub cannot be reached for the data set {name}: check the network")
        assert sentence.endswith("give the path of a file.")


ANSWERS = {
    "gone": (404, "RepoNotFound", "The Hub has no data set owner/gone that you may read: check the name"),
    "gated": (403, "GatedRepo", "owner/gated is not open to everybody: ask for access on its page, and set HF_TOKEN."),
    "busy": (503, "", "The Hub does not give the data set owner/busy now (status 503): try again later."),
}


def test_what_the_hub_refuses_is_asked_for_once_and_said_in_one_sentence() -> None:
    def hub(received: Received) -> Answer:
        status, code, _ = ANSWERS[received.path.rpartition("/")[2]]
        return Answer.of({"error": "no"}, status, X_Error_Code=code)

    async def session() -> tuple[list[tuple[float, str, str]], list[str]]:
        async with Server(hub) as server:
            found = await refusals(server.url, *(f"hub:owner/{name}" for name in ANSWERS))
            return found, [received.path for received in server.requests]

    found, paths = asyncio.run(session())
    assert paths == [f"/api/datasets/owner/{name}" for name in ANSWERS]
    for (_, kind, sentence), (_, _, told) in zip(found, ANSWERS.values(), strict=True):
        assert kind == "SetupError"
        assert told in sentence


def test_where_the_hub_must_not_be_asked_the_cache_is_all_there_is() -> None:
    async def session() -> tuple[list[tuple[float, str, str]], int]:
        async with Server(lambda received: Answer.of({}, 500)) as server:
            return await refusals(server.url, "hub:owner/name", HF_HUB_OFFLINE="1"), len(server.requests)

    ((_, kind, sentence),), requests = asyncio.run(session())
    assert (kind, requests) == ("SetupError", 0)
    assert sentence.endswith("HF_HUB_OFFLINE is set and it was never read here: unset it, or give the path of a file.")
