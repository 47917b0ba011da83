"""A real browser on a real server, for the tests marked `browser`.

OPENSTRAWBERRY_CHROMIUM=/path/to/chromium      else `chromium` or `google-chrome` on the PATH
OPENSTRAWBERRY_PICTURES=docs/images            where pictures go; none are taken where it is not set
OPENSTRAWBERRY_AXE=/path/to/axe.min.js         see test_report_in_browser.py; without it nobody looks for barriers
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 120_000  # milliseconds that anything may take
WIDE, NARROW = (1280, 900), (390, 844)


def chromium() -> str:
    """The browser; empty where there is none."""
    named = os.environ.get("OPENSTRAWBERRY_CHROMIUM", "")
    return named or shutil.which("chromium") or shutil.which("google-chrome") or ""


@contextmanager
def served(home: Path) -> Iterator[str]:
    """`strawberry ui` in a process of its own, without any key or server of the environment; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keep = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "HOME", "LANG")}
    command = [sys.executable, "-m", "openstrawberry", "ui", "--home", str(home), "--port", str(port)]
    with (home.parent / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=home.parent, env=keep, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def _wait(address: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.1)  # a process that starts: nothing of it can be awaited


class Visit:
    """A tab. `asked` are the hosts that the page sent requests to, `said` what it wrote to the console."""

    def __init__(self, browser: Any, address: str, size: tuple[int, int] = WIDE, **options: Any) -> None:
        window = {"width": size[0], "height": size[1]}
        self.page = browser.new_context(viewport=window, locale="en", **options).new_page()
        self.page.set_default_timeout(PATIENCE)
        self.address, self.size = address, size
        self.asked: set[str] = set()
        self.dialogs: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("websocket", lambda socket: self._note(socket.url))
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def _note(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):
            self.asked.add(urlsplit(url).hostname or url)

    def open(self, path: str = "") -> "Visit":
        self.page.goto(f"{self.address}/{path}")
        self.page.locator("h1").wait_for()
        return self

    def settle(self) -> None:
        """Waits until the page is drawn whole: nothing of what stood there before is left."""
        self.page.locator("[data-test-script-state=notRunning]").wait_for()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def choose(self, label: str, text: str) -> None:
        """An entry of a list."""
        self.settle()
        box = self.page.locator("[data-testid=stSelectbox]").filter(has=self.page.get_by_label(label, exact=True)).first
        option = self.page.get_by_role("option", name=text).first
        for _ in range(4):  # a list that is opened while its place still moves closes again
            box.locator("button[aria-haspopup=listbox]").click()
            with suppress(Exception):
                option.wait_for(timeout=5_000)
                break
            self.page.keyboard.press("Escape")
        option.click()
        self.settle()

    def type_model(self, spec: str, label: str = "Model") -> None:
        """A model that is not in the list."""
        self.page.get_by_label(label, exact=True).fill(spec)
        self.page.get_by_role("option").first.click()

    def see(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    @property
    def steps(self) -> Any:
        return self.page.locator("details.step")

    def wide(self) -> int:
        """Pixels by which anything is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def picture(self, name: str, first: Any = None, last: Any = None) -> None:
        """The page as it is, into the folder for pictures, if one is named; or what stands from `first` to `last`."""
        folder = os.environ.get("OPENSTRAWBERRY_PICTURES", "")
        if folder:
            suffix = "" if self.size == WIDE else f"-{self.size[0]}"
            self.page.wait_for_timeout(800)  # animations come to rest
            clip = None if first is None else _around(first.bounding_box(), last.bounding_box())
            self.page.screenshot(path=Path(folder) / f"{name}{suffix}.png", animations="disabled", clip=clip)


def _around(first: dict[str, float], last: dict[str, float], edge: float = 14) -> dict[str, float]:
    top = max(0, first["y"] - edge)
    height = last["y"] + last["height"] + edge - top
    return {"x": first["x"] - edge, "y": top, "width": first["width"] + 2 * edge, "height": height}
