"""Summaries of blocks of steps: asked for once, kept beside the run, shown where they still fit."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from openstrawberry.errors import SetupError
from openstrawberry.settings import Settings
from openstrawberry.store.browsing import Browser
from openstrawberry.store.reading import read_run
from openstrawberry.store.run import RunDirectory
from openstrawberry.trace import Trace, Tree
from openstrawberry.ui.reading import read
from openstrawberry.ui.report import write_report
from openstrawberry.ui.summaries import FILE, Kept, Summary, keep_summaries, read_summaries
from openstrawberry.ui.summarise import LONGEST, Summarised, summarise
from tests.making import make_reply, make_trace
from tests.servers.dialects import Said, failure, openai
from tests.servers.http import Answer, Received, Server
from tests.ui.test_reading import trace_of
from tests.ui.test_report import run_of


def walked(steps: int, number: int = 0, word: str = "step") -> Trace:
    """A chat of so many steps."""
    tree = Tree()
    node = tree.add("system", "Play.", None)
    for step in range(1, steps + 1):
        node = tree.add("user", "Next?", node)
        node = tree.add("assistant", f"{word} {step}", node, reply=make_reply(f"{word} {step}"))
    path = [each.index for each in node.path()]
    return trace_of(tree, path, id=make_trace(number).id)


def script(folder: Path, **first_steps: object) -> str:
    """A model that says one thing of the block that begins with step 1, and others of the others."""
    rules = [{"when": f"Step {name[1:]}:", "say": say} for name, say in first_steps.items()]
    (folder / "summaries.yaml").write_text(yaml.safe_dump({"rules": rules, "replies": ["Something else."]}))
    return f"scripted:{folder / 'summaries.yaml'}"


def summarised(run: Path, trace: Trace, model: str) -> Summarised:
    return asyncio.run(summarise(run, trace, model, Settings({})))


def shown(run: Path, trace: Trace) -> dict[str, str]:
    return {told.name: told.text for told in read_summaries(run).told(read(trace)).values()}


def served(handler: Callable[[Received], Answer], work: Callable[[str], Any]) -> tuple[Any, list[Received]]:
    """What `work` gives with a model behind a server, and what that was sent."""

    async def session() -> tuple[Any, list[Received]]:
        async with Server(handler) as server:
            return await work(f"compat:teller@{server.url}/v1"), server.requests

    return asyncio.run(session())


def teller(received: Received) -> Answer:
    first = received.json["messages"][-1]["content"].partition("<steps>")[2].split(":")[0].strip()
    return openai(Said(f"It began at {first}."), stream=False)


def test_every_block_of_steps_is_told_and_kept_beside_the_run(tmp_path: Path) -> None:
    trace = walked(12)
    run = run_of(tmp_path, [trace])
    before = read_run(run)
    said = script(tmp_path, _1="The letters were spelt.", _6="  Two r's\nwere found. ", _11="It is 3.")
    assert summarised(run, trace, said) == Summarised(written=3)
    assert shown(run, trace) == {
        "Steps 1 to 5": "The letters were spelt.", "Steps 6 to 10": "Two r's were found.", "Steps 11 to 12": "It is 3.",
    }  # fmt: skip
    assert read_run(run) == before
    with Browser(run) as browser:
        (file,) = write_report(browser, tmp_path / "out.html")
    assert file.read_text().index("Two r&#x27;s were found.") < file.read_text().index("step 6")


def test_the_model_is_shown_the_question_and_the_steps_of_its_block_alone(tmp_path: Path) -> None:
    trace = walked(7)
    run = run_of(tmp_path, [trace])
    _, requests = served(teller, lambda model: summarise(run, trace, model, Settings({})))
    asked = sorted(received.json["messages"][-1]["content"] for received in requests)
    assert len(asked) == 2
    assert all(trace.problem.question in text for text in asked)
    assert ["step 5" in text for text in asked] == [True, False]
    assert ["step 6" in text for text in asked] == [False, True]


def test_what_was_asked_once_is_never_paid_for_again(tmp_path: Path) -> None:
    trace = walked(7)
    run = run_of(tmp_path, [trace])

    async def thrice(model: str) -> list[Summarised]:
        done = [await summarise(run, trace, model, Settings({})) for _ in range(2)]
        (run / FILE).unlink()  # it is derived: the record of replies has all that was paid for
        return [*done, await summarise(run, trace, model, Settings({}))]

    done, requests = served(teller, thrice)
    assert [each.written for each in done] == [2, 0, 2]
    assert len(requests) == 2
    assert shown(run, trace) == {"Steps 1 to 5": "It began at Step 1.", "Steps 6 to 7": "It began at Step 6."}
    directory = RunDirectory.reopened(run)
    assert directory.spent().unpriced == 2  # they are in the ledger of the run
    asyncio.run(directory.close())


def test_a_trace_that_went_on_is_asked_about_its_new_steps_only(tmp_path: Path) -> None:
    run = run_of(tmp_path, [walked(8)])

    async def twice(model: str) -> list[int]:
        return [(await summarise(run, walked(steps), model, Settings({}))).written for steps in (8, 12)]

    written, requests = served(teller, twice)
    assert (written, len(requests)) == ([2, 2], 4)
    assert list(shown(run, walked(12))) == ["Steps 1 to 5", "Steps 6 to 10", "Steps 11 to 12"]


def test_a_trace_that_says_something_else_has_no_summary_any_more(tmp_path: Path) -> None:
    run = run_of(tmp_path, [walked(5)])
    summarised(run, walked(5), script(tmp_path, _1="Told."))
    assert shown(run, walked(5)) == {"Steps 1 to 5": "Told."}
    assert shown(run, walked(5, word="other")) == {}
    assert shown(run, walked(5, number=1)) == {}


def test_another_model_is_asked_anew_and_the_newest_is_shown(tmp_path: Path) -> None:
    run = run_of(tmp_path, [walked(2)])
    (tmp_path / "b").mkdir()
    first, second = script(tmp_path, _1="One."), script(tmp_path / "b", _1="Two.")
    assert [summarised(run, walked(2), model).written for model in (first, second, first)] == [1, 1, 0]
    assert shown(run, walked(2)) == {"Steps 1 to 2": "Two."}


def test_thoughts_tags_and_lengths_are_taken_off_and_silence_is_a_sentence(tmp_path: Path) -> None:
    run = run_of(tmp_path, [walked(12)])
    told = script(
        tmp_path, _1="<think>Hm.</think> <summary>It  spelt.</summary>", _6="<think>All is thought.", _11="long " * 900
    )
    done = summarised(run, walked(12), told)
    assert (done.written, done.failed) == (2, 1)
    assert done.error.endswith("wrote no summary: choose another model.")
    texts = shown(run, walked(12))
    assert texts["Steps 1 to 5"] == "It spelt."
    assert len(texts["Steps 11 to 12"]) == LONGEST


def test_a_model_that_fails_costs_only_its_block_and_is_one_sentence(tmp_path: Path) -> None:
    run = run_of(tmp_path, [walked(8)])

    def sometimes(received: Received) -> Answer:
        return failure("openai", 400, "Not this one.") if "step 6" in str(received.json) else teller(received)

    done, _ = served(sometimes, lambda model: summarise(run, walked(8), model, Settings({})))
    assert (done.written, done.failed) == (1, 1)
    assert "Not this one." in done.error
    assert list(shown(run, walked(8))) == ["Steps 1 to 5"]


def test_the_budget_of_the_run_holds_for_its_summaries(tmp_path: Path) -> None:
    async def fill() -> None:
        directory = RunDirectory(tmp_path / "run", {"model": "m"}, {"budget_tokens": 50})
        await directory.add(walked(5))
        await directory.close()

    asyncio.run(fill())
    done, requests = served(teller, lambda model: summarise(tmp_path / "run", walked(5), model, Settings({})))
    assert (done.written, done.failed, requests) == (0, 1, [])
    assert "budget of 50 tokens" in done.error


def test_who_cannot_be_asked_is_one_sentence_and_nothing_is_kept(tmp_path: Path) -> None:
    run = run_of(tmp_path, [walked(5)])
    refused = {"berry": "cannot summarise", "no-such:x": "no-such", "openai:gpt-5-mini": "needs a key",
               f"scripted:{tmp_path / 'none.yaml'}": "check --model", "": "No model is named"}  # fmt: skip
    for model, told in refused.items():
        with pytest.raises(SetupError, match=told):
            summarised(run, walked(5), model)
    with pytest.raises(SetupError, match="no run directory"):
        summarised(tmp_path / "nothing", walked(5), script(tmp_path))
    assert not (run / FILE).exists()


def test_a_run_that_is_still_written_to_is_left_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path, [walked(5)])

    async def meanwhile() -> None:
        directory = RunDirectory.reopened(run)
        try:
            with pytest.raises(SetupError, match="still being written to"):
                await summarise(run, walked(5), script(tmp_path), Settings({}))
        finally:
            await directory.close()

    asyncio.run(meanwhile())
    assert summarised(run, walked(5), script(tmp_path)).written == 1


def test_torn_and_damaged_lines_cost_only_themselves(tmp_path: Path) -> None:
    assert read_summaries(tmp_path / "nothing") == Kept({}, frozenset())
    run = run_of(tmp_path, [walked(5)])
    summarised(run, walked(5), script(tmp_path, _1="Told."))
    whole = (run / FILE).read_bytes()
    (run / FILE).write_bytes(b"[]\n\xff\n{}\n" + whole + whole[:20])  # torn at its end
    keep_summaries(run, [Summary(trace="t", block="b", model="m", text="x")])
    assert shown(run, walked(5)) == {"Steps 1 to 5": "Told."}
    assert ("t", "b", "m") in read_summaries(run).written
