"""The page in a real browser: what a person sees and does."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from openstrawberry.store.run import RunDirectory
from openstrawberry.trace import Trace
from tests.making import make_trace
from tests.ui.browsing_pages import NARROW, WIDE, Visit, chromium, served
from tests.ui.test_reading import search

pytest.importorskip("streamlit", reason="streamlit is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("closed"),
    pytest.mark.skipif(not chromium(), reason="no chromium: name one in OPENSTRAWBERRY_CHROMIUM"),
]
BAD = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> ![p](http://example.com/p.png) "
    "[l](javascript:alert(3)) <turn_title>**<img src=x onerror=alert(4)>** ![t](http://example.com/t.png)</turn_title>"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs to look at: right and wrong traces, a search, and one of a model that means harm."""
    home = tmp_path_factory.mktemp("page") / "traces"
    statuses = ("correct", "incorrect", "correct")
    fill(home / "chats", [make_trace(number, status=statuses[number % 3]) for number in range(30)])
    fill(home / "search", [search()[0]])
    problem = make_trace().problem.model_copy(update={"question": BAD})
    bad = make_trace(1, text=BAD, status="incorrect").model_copy(
        update={"problem": problem, "answer": BAD, "model": BAD}
    )
    fill(home / "harm", [bad])
    return home


def fill(path: Path, traces: list[Trace]) -> None:
    async def write() -> None:
        directory = RunDirectory(path, {"model": "m"}, {"model": "m", "strategy": "strawberry"})
        for trace in traces:
            await directory.add(trace)
        directory.finish()
        await directory.close()

    with ThreadPoolExecutor(1) as elsewhere:  # playwright has a loop in this thread
        elsewhere.submit(lambda: asyncio.run(write())).result()


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with served(home) as found:
        yield found


def script(home: Path, name: str, *turns: object) -> str:
    file = home.parent / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"turns": list(turns)}))
    return f"scripted:{file}"


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_berry_is_asked_and_its_steps_come_one_after_another_up_to_the_verdict(
    browser: Any, address: str, size: tuple[int, int]
) -> None:
    visit = Visit(browser, address, size).open()
    assert visit.page.get_by_label("Model", exact=True).input_value() == "berry"
    visit.press("Ask")
    counts = []
    for number in (1, 3, 6):
        visit.steps.nth(number - 1).wait_for()
        counts.append(visit.steps.count())
    visit.see("✓")
    assert counts[0] < counts[-1] < visit.steps.count()
    assert "right" in visit.page.locator(".verdict").inner_text()
    assert visit.page.locator(".figures").first.inner_text().split()[0] == str(visit.steps.count())
    assert visit.wide() <= 0
    assert visit.asked == {"127.0.0.1"}


def test_a_step_that_was_folded_stays_folded_while_others_come(browser: Any, address: str, home: Path) -> None:
    visit = Visit(browser, address).open()
    visit.type_model(script(home, "slow", {"content": "One more step.", "delay": 0.4}))
    visit.press("Ask")
    visit.steps.nth(1).wait_for()
    visit.steps.nth(0).locator("summary").first.click()
    visit.steps.nth(4).wait_for()
    assert visit.steps.nth(0).get_attribute("open") is None
    visit.press("New question")


def test_it_is_stopped_goes_on_and_begins_anew_with_nothing_left(browser: Any, address: str, home: Path) -> None:
    visit = Visit(browser, address).open()
    visit.type_model(script(home, "endless", {"content": "One more step.", "delay": 0.3}))
    visit.press("Ask")
    visit.steps.nth(2).wait_for()
    visit.press("Stop")
    visit.page.get_by_role("button", name="Continue", exact=True).wait_for()
    visit.page.locator(".verdict").filter(has_text="out of turns").wait_for()
    visit.settle()
    stopped = visit.steps.count()
    assert visit.page.locator(".step.now").count() == 0
    visit.page.get_by_label("More turns").fill("2")
    visit.page.get_by_label("More turns").press("Tab")
    visit.press("Continue")
    visit.steps.nth(stopped + 1).wait_for()
    visit.page.get_by_role("button", name="Continue", exact=True).wait_for()
    visit.settle()
    assert visit.steps.count() == stopped + 2
    with visit.page.expect_download() as kept:
        visit.press("Download the trace")
    assert len(json.loads(Path(kept.value.path()).read_text())["path"]) >= 2 * (stopped + 2)
    visit.press("New question")
    visit.page.get_by_role("button", name="Ask", exact=True).wait_for()
    visit.settle()
    assert visit.steps.count() == 0
    assert visit.page.locator(".verdict").count() == 0
    assert "One more step" not in visit.page.locator("body").inner_text()


def test_what_a_model_writes_is_text_while_it_streams_and_after(browser: Any, address: str, home: Path) -> None:
    visit = Visit(browser, address).open()
    visit.type_model(script(home, "harm", {"content": BAD, "delay": 0.2}, f"{BAD} <final_answer>{BAD}</final_answer>"))
    visit.press("Ask")
    visit.see("New question")
    visit.page.get_by_role("button", name="Download the trace").wait_for()
    _nothing_ran(visit)
    visit.open("runs")
    visit.choose("Run", "harm")
    visit.page.locator("dd").filter(has_text="alert(1)").first.wait_for()
    _nothing_ran(visit)


def test_a_summary_of_steps_is_written_on_request_and_is_text(browser: Any, address: str, home: Path) -> None:
    visit = Visit(browser, address).open("runs")
    visit.choose("Run", "chats")
    visit.page.get_by_text("Summaries by a model").click()
    visit.type_model(script(home, "teller", BAD), "Model that writes them")
    visit.settle()
    visit.press("Write")
    visit.page.locator(".summary").filter(has_text="Step 1").wait_for()
    _nothing_ran(visit)
    assert (home / "chats" / "summaries.jsonl").exists()


def _nothing_ran(visit: Visit) -> None:
    assert visit.dialogs == []
    assert visit.page.locator(".berry script, .berry img, main img, a[href^='javascript']").count() == 0
    assert "<script>alert(1)</script>" in visit.page.locator("body").inner_text()
    assert visit.asked == {"127.0.0.1"}


def test_wrong_traces_are_filtered_and_paged(browser: Any, address: str) -> None:
    visit = Visit(browser, address).open("runs")
    visit.choose("Run", "chats")
    visit.see("1 to 8 of 30")
    visit.press("Next")
    visit.see("9 to 16 of 30")
    visit.page.get_by_role("button", name="wrong", exact=True).click()
    visit.see("1 to 8 of 10")
    visit.settle()
    listed = visit.page.locator(".st-key-list button")
    assert {text[0] for text in listed.all_inner_texts()} == {"✗"}
    listed.nth(2).click()
    visit.page.locator("dd").filter(has_text="wrong").wait_for()
    assert visit.asked == {"127.0.0.1"}


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_node_of_a_tree_is_opened_by_a_click(browser: Any, address: str, size: tuple[int, int]) -> None:
    visit = Visit(browser, address, size).open("runs")
    visit.choose("Run", "search")
    dots = visit.page.locator("[data-testid=stVegaLiteChart] .mark-symbol path[aria-roledescription=circle]")
    dots.nth(4).wait_for()
    assert dots.count() == 5
    visit.page.wait_for_timeout(1000)  # the drawing takes the width of its place
    visit.page.locator('[data-testid=stVegaLiteChart] path[aria-label*="title: b1"]').click()
    picked = visit.page.locator(".picked")
    picked.wait_for()
    assert picked.locator("pre").last.inner_text() == "b1"
    assert visit.wide() <= 0


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_two_traces_stand_side_by_side(browser: Any, address: str, size: tuple[int, int]) -> None:
    visit = Visit(browser, address, size).open("runs")
    visit.choose("Run", "chats")
    visit.see("1 to 8 of 30")
    visit.page.get_by_text("Compare with another trace").click()
    visit.choose("Trace", "✗")
    cards = visit.page.locator(".berry .card dl")
    cards.nth(1).wait_for()
    assert [("right" in text, "wrong" in text) for text in cards.all_inner_texts()] == [(True, False), (False, True)]
    first, second = (cards.nth(number).bounding_box() for number in (0, 1))
    assert (first["y"] == second["y"]) == (size == WIDE)
    assert visit.wide() <= 0


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_models_and_strategies_are_compared(browser: Any, address: str, size: tuple[int, int]) -> None:
    visit = Visit(browser, address, size).open("compare")
    visit.page.locator("[data-testid=stVegaLiteChart]").first.wait_for()
    assert "68% (50% to 81%)" in visit.page.locator("table").first.inner_text().replace("\u00a0", " ")
    assert visit.wide() <= 0
    assert visit.asked == {"127.0.0.1"}


def test_a_key_that_was_typed_is_never_on_the_page_again(browser: Any, address: str, home: Path) -> None:
    secret = "sk-very-secret-7f3a"
    visit = Visit(browser, address).open()
    visit.page.get_by_text("Model settings and keys").click()
    visit.page.get_by_label("Key, for this visit only").fill(secret)
    visit.press("Use it")
    visit.see("Set for this visit")
    inputs = visit.page.evaluate("[...document.querySelectorAll('input')].map(each => each.value).join()")
    assert secret not in visit.page.content() + inputs + visit.page.url
    kept = [file for file in home.parent.rglob("*") if file.is_file()]
    assert not any(secret.encode() in file.read_bytes() for file in kept)
    Visit(browser, address).open()
    other = Visit(browser, address).open()
    other.page.get_by_text("Model settings and keys").click()
    assert other.page.get_by_text("Set for this visit").count() == 0


def test_under_a_foreign_name_the_page_is_not_there(address: str) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    told = {}
    for name in ("127.0.0.1", "evil.example"):
        connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
        connection.request("GET", "/_stcore/stream", headers={**upgrade, "Host": name})
        told[name] = connection.getresponse().status
        connection.close()
    assert told == {"127.0.0.1": 101, "evil.example": 403}
