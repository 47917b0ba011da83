"""What a loop may use, over all of its commands: hours, tokens and dollars.

Tokens and dollars are hard caps: the budget of each stage's run counts what the other runs of the loop have spent. Time
is looked at before something new is begun, so what is under way ends first.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from openstrawberry.bootstrap.config import Loop
from openstrawberry.errors import SetupError
from openstrawberry.models.budget import NOTHING, Budget, Spent
from openstrawberry.store.files import write_whole
from openstrawberry.store.ledger import spent_below

_NOTED = 10.0  # seconds between two notes of the time


class UsedUp(SetupError):
    """A limit of the loop is reached. `why` in a few words; `more`: the flag that lets it go on."""

    def __init__(self, message: str, why: str, more: str) -> None:
        super().__init__(message)
        self.why = why
        self.more = more


class Purse:
    """The time and the money of one loop. `seconds`: how long its commands have worked."""

    def __init__(self, loop: Loop, clock: Callable[[], float] = time.monotonic) -> None:
        self._loop = loop
        self._file = loop.out / "time.json"
        self._clock = clock
        self._looked = clock()
        self.seconds = self._noted = self._read()

    def elsewhere(self, run: Path) -> Spent:
        """What the loop has spent in other runs than `run`, where that counts."""
        capped = self._loop.budget_tokens is not None or self._loop.budget_usd is not None
        return spent_below(self._loop.out, without=run) if capped else NOTHING

    def tick(self) -> None:
        """Counts the time since it was last called."""
        now = self._clock()
        self.seconds, self._looked = self.seconds + now - self._looked, now
        if self.seconds >= self._noted + _NOTED:
            self.note()

    def note(self) -> None:
        """Writes down how long the loop has worked."""
        self._noted = self.seconds
        write_whole(self._file, json.dumps({"seconds": round(self.seconds, 1)}) + "\n")

    def check_time(self) -> None:
        """Raises UsedUp when the hours are over."""
        self.tick()
        hours = self._loop.hours
        if hours is not None and self.seconds >= hours * 3600:
            raise UsedUp(
                f"The {hours:g} hours of this loop are over: give it more with --hours.",
                f"the time is used up ({hours:g} h)",
                f"--hours {2 * hours:g}",
            )

    def check_budget(self, budget: Budget | None, told: str) -> None:
        """Raises UsedUp when a stage's run had to stop for its budget, as it has `told`."""
        if budget is None or not budget.short:
            return
        if budget.short == "usd":
            why = f"the dollar budget is used up (${budget.usd:,.6g})"
        else:
            why = f"the token budget is used up ({budget.tokens:,})"
        raise UsedUp(told, why, budget.more())

    def _read(self) -> float:
        try:
            return float(json.loads(self._file.read_text(encoding="utf-8"))["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0
