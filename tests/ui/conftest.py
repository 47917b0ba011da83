"""A browser, one for all tests of a file."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ui.browsing_pages import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, or the one that OPENSTRAWBERRY_CHROMIUM names; a test that wants it is skipped without one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def closed(browser: Any) -> Iterator[None]:
    """No tab of one test is drawn on during the next."""
    yield
    for context in browser.contexts:
        context.close()
