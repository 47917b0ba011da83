"""The lines at the bottom of a terminal that are drawn anew while all else is printed above them and stays."""

import asyncio
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live

REDRAWS = 5  # a second


def drawable(console: Console) -> bool:
    """Whether its bottom lines can be drawn anew: not in a pipe, even with colours forced, nor on a dumb terminal."""
    return console.is_interactive and console.file.isatty()


class Bottom:
    """Draws what `draw` returns, where the terminal can do that. `transient`: it goes away in the end.

    The event loop draws, and no thread: one that draws more or fewer lines while another one prints leaves some of them
    behind.
    """

    def __init__(self, console: Console, draw: Callable[[], RenderableType], transient: bool = False) -> None:
        self._console = console
        self._draw = draw
        self._transient = transient
        self._live: Live | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def drawn(self) -> bool:
        """Whether there is anything."""
        return self._live is not None

    def start(self) -> None:
        """Begins; to be called while the event loop runs."""
        if drawable(self._console):
            self._live = Live(
                get_renderable=self._draw, console=self._console, auto_refresh=False, transient=self._transient
            )
            self._live.start()
            self._again(self._live)

    def stop(self) -> None:
        """Draws for the last time, and gives the terminal back."""
        live, self._live = self._live, None
        if self._timer is not None:
            self._timer.cancel()
        if live is not None:
            live.stop()

    def _again(self, live: Live) -> None:
        try:
            live.refresh()
        except OSError:  # the terminal is gone: whoever prints next says so
            return
        self._timer = asyncio.get_running_loop().call_later(1 / REDRAWS, self._again, live)
