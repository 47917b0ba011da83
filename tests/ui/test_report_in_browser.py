"""The HTML report in a real browser: on a phone and on paper, by day and by night, and for those who cannot see it.

OPENSTRAWBERRY_AXE=/path/to/axe.min.js      of axe-core, such as `npm pack axe-core` brings; without it, nobody checks
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.store.browsing import Browser
from openstrawberry.trace import Trace, Tree, turn_of
from openstrawberry.ui.reading import read
from openstrawberry.ui.report import PER_PAGE, write_report
from openstrawberry.ui.summaries import Summary, blocks, keep_summaries
from tests.making import make_reply, make_trace
from tests.ui.browsing_pages import NARROW, WIDE, Visit, chromium
from tests.ui.test_reading import search
from tests.ui.test_report import hostile, run_of
from tests.ui.test_summaries import walked

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
AXE = os.environ.get("OPENSTRAWBERRY_AXE", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("closed"),
    pytest.mark.skipif(not chromium(), reason="no chromium: name one in OPENSTRAWBERRY_CHROMIUM"),
]
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports: `run.html` has a trace of every kind, `many.html` two pages."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "many").mkdir()
    statuses = ("correct", "incorrect", "no_answer", "unknown")
    chats = [made_by(make_trace(number, status=status), number) for number, status in enumerate(statuses)]
    broken = make_trace(20, stop="error", error="The server went away.")
    traces = [*chats, walked(12, number=10), criticised(11), id_of(search()[0], 12), hostile(), broken]
    run = elsewhere(run_of, folder, traces)
    told = [
        Summary(trace=traces[4].id, block=block.key, model="m", text="It counted.") for block in blocks(read(traces[4]))
    ]
    keep_summaries(run, told)
    with Browser(run) as browser:
        write_report(browser, folder / "run.html")
    with Browser(elsewhere(run_of, folder / "many", list(map(make_trace, range(PER_PAGE + 2))))) as browser:
        write_report(browser, folder / "many.html")
    return folder


def elsewhere(work: Callable[..., Path], *given: Any) -> Path:
    """Playwright has a loop in this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *given).result()


def made_by(trace: Trace, number: int) -> Trace:
    difficulty = trace.problem.model_copy(update={"difficulty": float(number)})
    return trace.model_copy(update={"model": f"model-{number % 2}", "cost_usd": 0.25, "problem": difficulty})


def id_of(trace: Trace, number: int) -> Trace:
    return trace.model_copy(update={"id": make_trace(number).id})


def criticised(number: int) -> Trace:
    """A critic speaks beside the first step, and the prompts are long."""
    tree = Tree()
    first = tree.add(
        "assistant", "one", tree.add("user", "long " * 90, tree.add("system", "Play.", None)), reply=make_reply("one")
    )
    view = tree.add("user", "criticise", tree.add("system", "Critic.", None, "critic"), "critic")
    tree.add("assistant", "weak", view, "critic", reply=make_reply("weak", reasoning="hm"))
    last = tree.add("assistant", "two", tree.add("user", "weak", first), reply=make_reply("two", reasoning="a thought"))
    path = tuple(node.index for node in last.path())
    return id_of(make_trace(0).model_copy(update={"messages": tuple(map(turn_of, tree.nodes)), "path": path}), number)


def opened(browser: Any, file: Path, size: tuple[int, int], scheme: str = "light", unfolded: bool = False) -> Visit:
    visit = Visit(browser, file.parent.as_uri(), size, color_scheme=scheme).open(file.name)
    if unfolded:
        visit.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    return visit


@pytest.mark.skipif(not AXE, reason="no axe-core: name its axe.min.js in OPENSTRAWBERRY_AXE")
@SIZES
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("file", ["run.html", "run.html, unfolded", "many-2.html"])
def test_axe_finds_nothing_serious(browser: Any, folder: Path, file: str, scheme: str, size: tuple[int, int]) -> None:
    name, _, unfolded = file.partition(", ")
    visit = opened(browser, folder / name, size, scheme, bool(unfolded))
    visit.page.evaluate(Path(AXE).read_text())
    found = visit.page.evaluate("axe.run(document)")
    grave = [
        f"{rule['id']} ({rule['impact']}): {node['html'][:120]} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    assert not grave, "\n".join(grave[:10])
    assert {"color-contrast", "html-has-lang", "document-title"} <= {rule["id"] for rule in found["passes"]}


@SIZES
@pytest.mark.parametrize("unfolded", [False, True], ids=["folded", "unfolded"])
def test_nothing_is_wider_than_the_window_and_nothing_is_loaded(
    browser: Any, folder: Path, size: tuple[int, int], unfolded: bool
) -> None:
    visit = opened(browser, folder / "run.html", size, unfolded=unfolded)
    assert visit.wide() <= 0
    assert visit.dialogs == []
    assert visit.asked == {(folder / "run.html").as_uri()}


def test_traces_are_filtered_without_a_script(browser: Any, folder: Path) -> None:
    visit = opened(browser, folder / "run.html", WIDE)
    assert visit.page.locator(".trace.correct:visible").count() == 4
    visit.page.get_by_text("Wrong", exact=True).click()
    assert visit.page.locator(".trace.correct:visible").count() == 0
    assert visit.page.locator(".trace.incorrect:visible").count() == 2


def test_a_dark_screen_gets_a_dark_page(browser: Any, folder: Path) -> None:
    shades = [
        opened(browser, folder / "run.html", WIDE, scheme).page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    ]
    assert shades == ["rgb(246, 246, 244)", "rgb(19, 21, 23)"]


def test_on_paper_everything_is_unfolded_and_no_button_is_printed(browser: Any, folder: Path) -> None:
    visit = opened(browser, folder / "run.html", WIDE)
    step = visit.page.locator(".trace pre").first
    seen = "each => each.checkVisibility({contentVisibilityAuto: true}) && each.getBoundingClientRect().height > 0"
    assert not step.evaluate(seen)
    visit.page.emulate_media(media="print")
    assert step.evaluate(seen)
    assert visit.page.locator("fieldset:visible").count() == 0


def test_pages_lead_to_one_another(browser: Any, folder: Path) -> None:
    visit = opened(browser, folder / "many.html", WIDE)
    visit.page.get_by_role("link", name="next page").first.click()
    visit.page.get_by_text("Page 2").first.wait_for()
    assert visit.page.locator(".trace").count() == 2
