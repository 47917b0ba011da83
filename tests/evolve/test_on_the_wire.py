"""An evolution through a real SDK against a loopback server: what is sent, and what a kill costs."""

import asyncio
import json
from pathlib import Path

import pytest

from openstrawberry.evolve.config import Evolving
from openstrawberry.evolve.evolution import Done, Evolution, EvolveEvent
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.summary import Summary
from tests.servers.dialects import Said, openai
from tests.servers.http import Answer, Received, Server

GIVEN = [Problem(question=f"Shelf {number} holds {number} boxes. How many?", answer="0") for number in range(1, 9)]
YES = '{"asks_something_new": true, "answerable": true}'


class Everybody:
    """Writes, judges, solves (7, always) and tries (7, and now and then 8)."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, received: Received) -> Answer:
        self.bodies.append(received.body)
        asked = received.json["messages"]
        system, last = asked[0]["content"], asked[-1]["content"]
        if system.startswith("You write problems"):
            shelf = last.rpartition("Shelf ")[2].split()[0]
            text = f"<new_problem>Shelf {shelf} holds two boxes more than before. How many are there?</new_problem>"
        elif system.startswith("You compare"):
            assert received.json["response_format"]["type"] == "json_schema"
            text = YES
        else:
            many = sum(last in json.loads(body)["messages"][-1]["content"] for body in self.bodies)
            text = f"<final_answer>{8 if received.json['model'] == 'target' and many % 3 == 0 else 7}</final_answer>"
        return openai(Said(text), stream=False)


class Killed(BaseException):
    """What a kill is to the code that it interrupts."""


def evolve(out: Path, everybody: Everybody, kill_after: int | None = None) -> Summary:
    async def session() -> Summary:
        async with Server(everybody) as server:
            config = Evolving(
                model=f"compat:writer@{server.url}/v1",
                target_model=f"compat:target@{server.url}/v1",
                rounds=2,
                operators=["deepen", "constrain", "broaden"],
                out=out,
                concurrency=3,
            )
            seen = 0

            def hear(event: EvolveEvent) -> None:
                nonlocal seen
                seen += isinstance(event, Done)
                if seen == kill_after:
                    raise Killed

            evolution = Evolution(config, Settings({}), hear, problems=GIVEN)
            try:
                return await evolution.run()
            finally:
                await evolution.close()

    return asyncio.run(session())


def test_everything_goes_over_the_wire_once_and_a_killed_evolution_pays_only_for_the_rest(tmp_path: Path) -> None:
    whole = Everybody()
    evolve(tmp_path / "whole.jsonl", whole)
    assert len((tmp_path / "whole.jsonl").read_text().splitlines()) == len(GIVEN)  # a second round brings copies

    broken = Everybody()
    with pytest.raises(Killed):
        evolve(tmp_path / "new.jsonl", broken, kill_after=5)
    paid = len(broken.bodies)
    evolve(tmp_path / "new.jsonl", broken)
    rows = [json.loads(line) for line in (tmp_path / "new.jsonl").read_text().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) == len(GIVEN)
    assert {row["answer"] for row in rows} == {"7"}
    assert 0 < paid < len(broken.bodies)
    # Requests differ by their seed; one that was under way at the kill may be sent again, and nothing else.
    assert len(broken.bodies) - len(set(broken.bodies)) <= 3 * 5


def test_every_part_is_played_by_its_own_model(tmp_path: Path) -> None:
    everybody = Everybody()
    evolve(tmp_path / "new.jsonl", everybody)
    played = {"writer": set(), "target": set()}
    for body in everybody.bodies:
        sent = json.loads(body)
        played[sent["model"]].add(sent["messages"][0]["content"][:9])
    assert played["writer"] >= {"You write", "You compa"}
    assert {start[:9] for start in played["target"]} == {"Shelf 1 h"[:6] + f"{n} h" for n in range(1, 9)}
