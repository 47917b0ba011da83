"""Makes the pictures of the README from real runs of berry; only where OPENSTRAWBERRY_PICTURES names a folder.

    OPENSTRAWBERRY_PICTURES=docs/images python -m pytest tests/ui/test_pictures.py

Every picture is looked at for what embarrasses: nothing wider than the window, no error, no raw JSON.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from openstrawberry.strategies.catalogue import STRATEGIES
from tests.ui.browsing_pages import NARROW, WIDE, Visit, chromium, served

pytest.importorskip("streamlit", reason="streamlit is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("closed"),
    pytest.mark.skipif(not chromium(), reason="no chromium: name one in OPENSTRAWBERRY_CHROMIUM"),
    pytest.mark.skipif("OPENSTRAWBERRY_PICTURES" not in os.environ, reason="no pictures wanted"),
]
SEARCH = next((name for name in ("mcts", "beam") if name in STRATEGIES.names()), "")
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("pictures") / "traces"
    for strategy in filter(None, (SEARCH, "cot", "strawberry")):
        samples = "1" if strategy == SEARCH else "3"
        command = [sys.executable, "-m", "openstrawberry", "generate", "--strategy", strategy, "--limit", "12"]
        subprocess.run(
            [*command, "--samples", samples, "--out", home / f"demo-{strategy}"], check=True, capture_output=True
        )
    with served(home) as found:
        yield found


def ready(visit: Visit) -> None:
    assert visit.wide() <= 0
    shown = visit.page.locator("body").inner_text()
    assert "Traceback" not in shown
    assert '{"' not in shown


@SIZES
def test_ask(browser: Any, address: str, size: tuple[int, int]) -> None:
    visit = Visit(browser, address, size).open()
    visit.press("Ask")
    visit.page.get_by_role("button", name="Download the trace").wait_for()
    ready(visit)
    visit.picture("ask")


@SIZES
def test_runs(browser: Any, address: str, size: tuple[int, int]) -> None:
    visit = Visit(browser, address, size).open("runs")
    visit.choose("Run", "demo-strawberry")
    visit.page.get_by_role("button", name="wrong", exact=True).click()
    visit.page.get_by_text("Compare with another trace").click()
    visit.choose("Trace", "✓")
    visit.page.locator(".card dl").nth(1).wait_for()
    visit.page.locator("h1").scroll_into_view_if_needed()
    ready(visit)
    visit.picture("runs")


@SIZES
@pytest.mark.skipif(not SEARCH, reason="no search strategy here")
def test_tree(browser: Any, address: str, size: tuple[int, int]) -> None:
    visit = Visit(browser, address, size).open("runs")
    visit.choose("Run", f"demo-{SEARCH}")
    dots = visit.page.locator("[data-testid=stVegaLiteChart] .mark-symbol path[aria-roledescription=circle]")
    dots.nth(2).wait_for()
    visit.page.wait_for_timeout(1000)
    dots.nth(2).click()
    visit.page.locator(".picked").wait_for()
    head = visit.page.locator("h3").first
    head.evaluate("each => each.scrollIntoView()")
    ready(visit)
    visit.picture("tree", head, visit.page.locator(".picked .step"))


@SIZES
def test_compare(browser: Any, address: str, size: tuple[int, int]) -> None:
    visit = Visit(browser, address, size).open("compare")
    visit.page.locator("[data-testid=stVegaLiteChart] .mark-symbol path").nth(2).wait_for()
    ready(visit)
    visit.page.set_viewport_size({"width": size[0], "height": 1240})
    visit.picture("compare")
