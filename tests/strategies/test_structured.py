"""JSON from any model, answered by hand: what is read, what is asked for again, and that no reply does harm."""

import json
import random
import subprocess
import sys

import pytest
from pydantic import BaseModel, RootModel

from openstrawberry.chat import Reply
from openstrawberry.engine.stepper import Stepper
from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.strategy import Ask, Task
from openstrawberry.strategies.structured import MOST_STARTS, Read, ask_json, read_json
from tests.making import PROBLEM

GOOD = '{"score": 3, "reason": "it is fine", "tags": ["a", "b"]}'


class Rating(BaseModel):
    score: int
    reason: str
    tags: list[str] = []


def play(replies: list[str], repairs: int = 2, finish: str = "stop", **entries: str) -> tuple[Read[Rating], list[Ask]]:
    """Answers with `replies` in order, and returns what was read and everything that was asked."""
    task = Task(PROBLEM, PromptSet("own", entries))
    critic = task.system("You judge.", channel="critic")
    stepper = Stepper(ask_json(task, "Rate it.", Rating, after=critic, role="critic", repairs=repairs))
    asked: list[Ask] = []
    while not stepper.done:
        ((ticket, action),) = stepper.open.items()
        assert isinstance(action, Ask)
        reply = Reply(content=replies[len(asked)], finish_reason=finish)
        asked.append(action)
        stepper.send(ticket, task.tree.add("assistant", reply.content, action.node, action.node.channel, reply))
    return stepper.result, asked


READABLE = {
    "plain": GOOD,
    "fenced": f"```json\n{GOOD}\n```",
    "in prose": f"Sure, here it is: {GOOD} I hope that helps.",
    "after a brace in prose": f"f(x) = {{1 if x}}. So:\n{GOOD}",
    "with a comma too many": '{"score": 3, "reason": "it is fine", "tags": ["a", "b",],}',
    "in single quotes": "{'score': 3, 'reason': 'it is fine', 'tags': ['a', 'b']}",
    "without quotes": "{score: 3, reason: 'it is fine', tags: [a, b]}",
    "with a comment": '{"score": 3, // of 5\n"reason": "it is fine", "tags": ["a", "b"]}',
    "with its end cut off": '{"score": 3, "reason": "it is fine", "tags": ["a", "b"',
    "in a list": f"[{GOOD}]",
    "wrapped": f'{{"rating": {GOOD}}}',
    "a number as text": GOOD.replace("3", '"3"'),
    "the second thought": f'{{"score": 1, "reason": "first"}} No, wait: {GOOD}',
}


@pytest.mark.parametrize("reply", READABLE.values(), ids=READABLE)
def test_what_a_reader_would_understand_is_read_at_once(reply: str) -> None:
    read, asked = play([reply])
    assert read.value == Rating(score=3, reason="it is fine", tags=["a", "b"])
    assert (read.trouble, len(asked)) == ("", 1)
    assert read.node.content == reply


UNREADABLE = {
    "nothing": ("", "there is no JSON in it"),
    "prose": ("I would give it a three.", "there is no JSON in it"),
    "another shape": ('{"points": 3}', "score: Field required"),
    "a wrong type": ('{"score": "many", "reason": "x"}', "score: Input should be a valid integer"),
    "a part of something broken": (f'{{"draft": {GOOD}, "final": oops', "score: Field required"),
}


@pytest.mark.parametrize(("reply", "trouble"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_asked_for_again_in_the_same_conversation(reply: str, trouble: str) -> None:
    read, asked = play([reply, GOOD])
    assert read.value is not None
    first, second = (ask.node.messages for ask in asked)
    assert [message.role for message in second] == ["system", "user", "assistant", "user"]
    assert second[: len(first)] == first
    assert trouble in second[-1].content
    assert {ask.role for ask in asked} == {"critic"}
    assert {node.channel for node in asked[-1].node.path()} == {"critic"}


@pytest.mark.parametrize("repairs", [0, 1, 3])
def test_it_gives_up_after_so_many_repairs_and_says_why(repairs: int) -> None:
    read, asked = play(["hm"] * (repairs + 1), repairs=repairs)
    assert (read.value, read.trouble) == (None, "there is no JSON in it")
    assert len(asked) == repairs + 1


def test_a_refusal_is_not_asked_again() -> None:
    read, asked = play(["I cannot help with that."], finish="filter")
    assert read.value is None
    assert len(asked) == 1


def test_the_schema_goes_along_and_stands_in_the_prompt() -> None:
    _, (ask,) = play([GOOD])
    assert ask.response_schema == Rating.model_json_schema()
    assert json.dumps(ask.response_schema) in ask.node.content
    assert "JSON" in ask.node.content


def test_a_prompt_set_may_say_it_in_its_own_words() -> None:
    _, asked = play(["hm", GOOD], json="Nur JSON: {schema}", json_repair="Noch einmal ({trouble}).")
    assert "Nur JSON: {" in asked[0].node.content
    assert asked[1].node.content == "Noch einmal (there is no JSON in it)."


def test_a_kind_need_not_be_an_object() -> None:
    class Names(RootModel[list[str]]):
        pass

    assert read_json('Here: ["a", "b",]', Names)[0] == Names(["a", "b"])


JUNK = "{}[]\"',:\\\n` /*#()<>tfnNa01.-eé“\u2028\ufffd"


def test_no_reply_makes_it_raise() -> None:
    random_ = random.Random(0)
    for _ in range(2000):
        text = list(GOOD if random_.random() < 0.7 else json.dumps([GOOD] * random_.randint(1, 20)))
        for _ in range(random_.randint(0, 12)):
            at = random_.randrange(len(text) + 1)
            if random_.random() < 0.5:
                del text[at : at + random_.randint(1, 6)]
            else:
                text[at:at] = random_.choices(JUNK, k=random_.randint(1, 4))
        value, trouble = read_json("".join(text), Rating)
        assert (value is None) == bool(trouble)
        assert len(trouble) <= 300


@pytest.mark.parametrize(
    "reply",
    [
        "{" * 100_000, "[" * 100_000, '{"a":' * 20_000, '{"a": [' * 20_000, '{ "a' * 20_000, "(" * 4_000,
        "{" * 12 + 'z"' * 1_900, "{x} " * 30_000, "1" * 10_000, "\\" * 50_000, '"' * 50_000, "{" * 60 + "x" * 60_000,
    ],
    ids=lambda reply: f"{reply[:6]!r} x {len(reply)}",
)  # fmt: skip
def test_hostile_replies_end_without_a_value(reply: str) -> None:
    assert read_json(reply, Rating)[0] is None


def test_a_long_reply_is_searched_in_a_bounded_number_of_places() -> None:
    assert read_json("{x} " * (MOST_STARTS - 1) + GOOD, Rating)[0] is not None
    assert read_json("{x} " * 20_000 + GOOD, Rating)[0] is None


def test_the_repairer_is_imported_only_when_something_is_broken() -> None:
    code = (
        "import sys\nfrom pydantic import RootModel\nfrom openstrawberry.strategies.structured import read_json\n"
        "Kind = RootModel[list[int]]\nread_json('so: [1, 2]', Kind)\nprint('json_repair' in sys.modules)\n"
        "read_json('[1, 2', Kind)\nprint('json_repair' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
