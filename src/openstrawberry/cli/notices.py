"""What a person should know while a run goes on, beside its results: calls that are made again, and warnings."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from openstrawberry.cli.render import clean
from openstrawberry.engine.events import Retried, Warned

AGAIN_S = 60.0


class Notices:
    """Says each kind of trouble once a minute: a thousand traces meet the same rate limit. `clock` gives seconds."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._said: dict[str, float] = {}

    def hear(self, event: Retried | Warned) -> None:
        """Says it, if it is news."""
        if isinstance(event, Warned):
            self._say(event.text)
        elif (now := self._clock()) - self._said.get(event.error.kind, now - AGAIN_S) >= AGAIN_S:
            self._said[event.error.kind] = now
            self._say(f"{event.error} Asking again in {event.wait:.1f} s.")

    def _say(self, text: str) -> None:
        self._console.print(Text(clean(text), style="yellow"), soft_wrap=True)
