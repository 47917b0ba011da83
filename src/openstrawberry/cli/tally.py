"""What a run has come to so far: the figures beside its bar.

They are those of the whole run directory, as the summary will have them, so that a run that goes on does not begin at
nothing. Traces that are owed, or that a raised limit continues, count once they are made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from openstrawberry.chat import Usage
from openstrawberry.cli.render import dollars
from openstrawberry.models.budget import Spent
from openstrawberry.store.index import FINISHED
from openstrawberry.store.run import RunDirectory
from openstrawberry.trace import Trace

_SUMS = """
    select count(*), sum(status = 'correct' and not hinted), sum(status = 'incorrect'),
        sum(status not in ('correct', 'incorrect')), sum(max(input, 0)), sum(max(cached, 0)), sum(max(output, 0)),
        sum(max(cost, 0.0))
    from traces where not (stop = 'max_turns' and max_turns < {max_turns}) and """


@dataclass
class Tally:
    """Traces by how they ended, tokens, and dollars. `done` are the traces that are not owed, `whole` is how many there
    will be (None: nobody knows), `ended_usd` what those that are done cost, `spent` also what is under way.
    """

    done: int = 0
    right: int = 0
    wrong: int = 0
    none: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    ended_usd: float = 0.0
    errors: int = 0
    whole: int | None = None
    spent: Spent = field(default_factory=Spent)
    slowest: str = ""
    batches: str = ""

    @classmethod
    def of(cls, directory: RunDirectory, max_turns: int = 0) -> "Tally":
        """What earlier commands have made of the run, which now allows `max_turns`."""
        (sums,) = directory.rows(_SUMS.format(max_turns=max_turns) + FINISHED)
        counts: list[Any] = [value or 0 for value in sums]
        done, right, wrong, none, read, cached, written, usd = counts
        return cls(done, right, wrong, none, read, cached, written, usd, spent=directory.spent())

    def turn(self, usage: Usage) -> None:
        """Counts a reply."""
        self.input += usage.input or 0
        self.cached += usage.cached_input or 0
        self.output += usage.output or 0

    def trace(self, trace: Trace) -> None:
        """Counts a trace that has ended."""
        self.done += trace.stop != "budget"
        self.right += trace.solved
        self.wrong += trace.verdict.status == "incorrect"
        self.errors += trace.stop == "error"
        self.none += trace.verdict.status not in ("correct", "incorrect") and not trace.owed
        self.ended_usd += max(trace.cost_usd, 0.0) * (trace.stop != "budget")

    def parts(self) -> list[Text]:
        """The figures, each to stand in one line."""
        counts = Text.assemble((f"✓ {self.right:,}", "green"), (f"  ✗ {self.wrong:,}", "red"))
        counts.append(f"  – {self.none:,}", "yellow")
        if self.errors:
            counts.append(f"  ! {self.errors:,}", "red")
        share = f" ({self.cached / self.input:.0%} cached)" if self.cached else ""
        told = [f"{self.input:,} tokens in{share}" if self.input else "", f"{self.output:,} out" if self.output else ""]
        told += [self.money, self.slowest and f"slowest {self.slowest}", self.batches]
        return [counts, *(Text(each) for each in told if each)]

    @property
    def money(self) -> str:
        """Dollars so far, and where the end is known about how many it will be; nothing where nobody bills.

        The traces that are done say what one costs: what is under way has not shown yet how far it goes.
        """
        spent = self.spent
        if spent.unpriced:
            return f"over {dollars(spent.usd)}" if spent.usd else "cost unknown"
        if not spent.usd or not self.whole or not self.done:
            return dollars(spent.usd) if spent.usd else ""
        return f"{dollars(spent.usd)} of about {dollars(max(spent.usd, self.ended_usd / self.done * self.whole))}"


def slowest_of(latencies: Mapping[str, float]) -> str:
    """The model whose replies take longest, where there are several; `latencies`: median seconds of each."""
    if len(latencies) < 2:
        return ""
    name, seconds = max(latencies.items(), key=lambda item: item[1])
    return f"{name}, {seconds:.2f} s a reply"


def packed(parts: Sequence[Text], width: int) -> list[Text]:
    """`parts` side by side in as many lines as it takes: none is broken, and one that is too long is cut."""
    lines: list[Text] = []
    for part in parts:
        beside = Text(" · ").join([lines[-1], part]) if lines else part.copy()
        if lines and beside.cell_len <= width:
            lines[-1] = beside
        else:
            lines.append(part.copy())
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines
