"""What a selection kept, and what it left out and why."""

from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from openstrawberry.errors import SetupError
from openstrawberry.selection.difficulty import Band, PassRate, Size
from openstrawberry.wording import counted


class SizeLine(BaseModel):
    """One size of one family: pass rate `share` with its 95% interval, and how many problems are in the band."""

    model_config = ConfigDict(frozen=True)

    family: str
    difficulty: float
    problems: int
    right: int
    wrong: int
    other: int
    share: float
    low: float
    high: float
    in_band: int
    rows: int


class Report(BaseModel):
    """The account of a selection. `dropped_*`: how many problems, traces and rows were left out, by reason.

    Steps are means over the rows; 0.0 where there are none. `clean_guard`: whether right traces had to be clean.
    """

    runs: list[str]
    options: dict[str, Any]
    unit: str
    format: str
    clean_guard: str = "off"
    traces: int = 0
    problems: int = 0
    problems_used: int = 0
    rows: int = 0
    chosen_steps: float = 0.0
    rejected_steps: float = 0.0
    dropped_problems: dict[str, int] = Field(default_factory=dict)
    dropped_traces: dict[str, int] = Field(default_factory=dict)
    dropped_rows: dict[str, int] = Field(default_factory=dict)
    sizes: list[SizeLine] = Field(default_factory=list)


class Account:
    """Counts while a selection is made."""

    def __init__(self) -> None:
        self.problems: Counter[str] = Counter()
        self.traces: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()


def size_lines(rates: dict[str, PassRate], sizes: dict[str, Size], band: Band, rows: Counter[Size]) -> list[SizeLine]:
    """A line per size, smallest first within each family."""
    lines = []
    for size in sorted(set(sizes.values())):
        group = [rate for problem, rate in rates.items() if sizes[problem] == size]
        total = PassRate("", *(sum(getattr(rate, kind) for rate in group) for kind in ("right", "wrong", "other")))
        low, high = total.interval
        lines.append(
            SizeLine(
                family=size[0],
                difficulty=size[1],
                problems=len(group),
                right=total.right,
                wrong=total.wrong,
                other=total.other,
                share=total.share,
                low=low,
                high=high,
                in_band=sum(band.holds(rate) for rate in group),
                rows=rows[size],
            )
        )
    return lines


_MORE = "draw more samples of these (`strawberry generate --samples 20`)"
ADVICE = {
    "held out": "generate on the training side, such as --problems 'builtin:add?size=6&split=train'",
    "in an evaluation set": "generate on other problems",
    "too like an evaluation problem": "generate on other problems, or compare whole questions only with --ngram 0",
    "without a sample that could be judged": "see in the traces what stopped them, or check them anew with "
    "`strawberry verify`",
    "always right": f"ask harder problems, or {_MORE}",
    "never right": f"ask easier problems, or {_MORE}",
    "right or unfinished, never wrong": f"raise --max-turns or --max-tokens, or {_MORE}",
    "outside the band": "take the problems outside the band too with --no-band-only",
    "without a clean right trace": "take right answers that were reached by wrong steps too with --no-clean",
    "with composed traces only": "learn them as a whole, joins and all, with --composed",
    "without any step of worth": "ask easier problems, or search more with `--set branches=8 --set max_branches=80`",
    "valued without the known answer": "search with the known answer (`strawberry generate --strategy omega`), or draw "
    "ordinary samples (`strawberry generate --samples 8`)",
    "without traces of the same beginning": "draw all samples in one run, or use --rendering flat",
    "without two replies to the same conversation": "use --unit trace",
    "copies of other rows": "let near copies pass with --near 1",
}
"""What to do about each reason, in the order in which problems fall by it: the last are nearest to a row."""


class NothingLeft(SetupError):
    """Not a single row can be made; a loop may go on without."""


def nothing_left(report: Report, what: str) -> NothingLeft:
    """Why there is not a single row, and what to do about the commonest reason and the one nearest to a row."""
    if not report.traces:
        return NothingLeft(f"There are no traces in {', '.join(report.runs)}: run `strawberry generate` first.")
    reasons = sorted(report.dropped_problems.items(), key=lambda item: -item[1])
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
    order = list(ADVICE)
    telling = [reasons[0][0], max((reason for reason, _ in reasons), key=order.index)] if reasons else []
    advice = "; or ".join(dict.fromkeys(ADVICE[reason] for reason in telling)) or "draw more samples"
    found = f"{counted(report.traces, 'trace')} of {counted(report.problems, 'problem')}"
    return NothingLeft(f"No {what} can be made of {found} ({told}): {advice}.")
