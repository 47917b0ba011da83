"""Compare: accuracy against tokens and dollars, pass rate by difficulty, and the rounds of a loop."""

from collections.abc import Mapping, Sequence
from itertools import starmap
from pathlib import Path

import streamlit as st

from openstrawberry.errors import StrawberryError
from openstrawberry.evaluation.plots import Point
from openstrawberry.store.browsing import Browser, Tally
from openstrawberry.ui.charts import line_chart, share_chart
from openstrawberry.ui.frame import Place
from openstrawberry.ui.looks import count, dollars, put, say, table
from openstrawberry.ui.loops import HEADER, loops, read_loop
from openstrawberry.ui.markup import text
from openstrawberry.ui.measures import Groups, by_difficulty, by_name, share, takes, together
from openstrawberry.ui.shelves import name_of, run_folders

TAKEN = 8  # runs that are compared unless others are chosen


def page(place: Place) -> None:
    """Draws it."""
    st.title("Compare")
    folders = run_folders(place.home)
    found = loops(place.home)
    if not folders and not found:
        say(f"There is nothing in {place.home} to compare yet: make runs with `strawberry generate`.", "note")
        return
    names = {name_of(path, place.home): path for path in folders}
    first = run_folders(place.home, asked=False) or folders  # one question says little
    chosen = st.multiselect("Runs", list(names), [name_of(path, place.home) for path in first[:TAKEN]], key="compared")
    groups, sizes = _collect([names[name] for name in chosen])
    named = by_name(groups)
    if named:
        _groups(named)
    _sizes(by_difficulty(sizes, named))
    if chosen and not groups:
        say("No trace of these runs has a verdict yet: choose others.", "note")
    if found:
        _loop(found, place.home)


def _collect(folders: list[Path]) -> tuple[list[Tally], list[Tally]]:
    """Traces of all runs per model and strategy, and per model, strategy, family and difficulty."""
    groups: list[Tally] = []
    sizes: list[Tally] = []
    for folder in folders:
        try:
            with Browser(folder) as browser:
                groups += browser.tally("model", "strategy")
                sizes += browser.tally("model", "strategy", "family", "difficulty")
        except StrawberryError as error:
            say(str(error))
    return together(groups), together(sizes)


def _groups(groups: Groups) -> None:
    if shown := takes(groups):
        put("<h3>Share right against what a trace takes, with 95% intervals</h3>")
        for column, (what, series) in zip(st.columns(len(shown)), shown.items(), strict=True):
            column.altair_chart(share_chart(series, what), theme=None, width="stretch", key=what)
    table(("model and strategy", "traces", "right", "tokens", "dollars"), starmap(_row, groups.items()))


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    right, low, high = share(tally)
    tokens = tally.output / tally.traces if tally.output >= 0 else -1
    cost = tally.cost / tally.traces if tally.cost >= 0 else None
    told = f"{right:.0%} ({low:.0%}\u00a0to\u00a0{high:.0%})"  # broken, if at all, before the bracket
    return (name, f"{tally.judged:,}", told, count(round(tokens)), dollars(cost))


def _sizes(families: Mapping[str, Mapping[str, Sequence[Point]]]) -> None:
    if families:
        put("<h3>Share right by difficulty, with 95% intervals</h3>")
        columns = st.columns(min(2, len(families)))
        for place, (family, series) in enumerate(families.items()):
            drawn = line_chart(series, f"difficulty of {family}")
            columns[place % 2].altair_chart(drawn, theme=None, width="stretch", key=f"sizes-{family}")


def _loop(found: list[Path], home: Path) -> None:
    st.header("Rounds of a loop", divider=False)
    names = {name_of(path, home): path for path in found}
    name = st.selectbox("Loop", list(names), key="loop")
    try:
        loop = read_loop(names[name])
    except StrawberryError as error:
        say(str(error))
        return
    for family in loop.families:
        put(f"<h3>{text(family)}: held-out problems, by size and round</h3>")
        right, steps = st.columns(2)
        shares = line_chart(loop.series(family, lambda score: score.right), "size")
        right.altair_chart(shares, theme=None, width="stretch", key=f"loop-{family}")
        lengths = line_chart(loop.series(family, lambda score: score.length), "size", "steps of a right trace")
        steps.altair_chart(lengths, theme=None, width="stretch", key=f"steps-{family}")
    table(("size", *loop.kept), loop.sizes)
    put("<h3>What was trained on what</h3>")
    table(HEADER, loop.table, words=len(HEADER))
