"""Runs: every run directory, its traces by filter and page, one trace to be read, a second one beside it."""

import math
from datetime import datetime
from pathlib import Path
from typing import cast

import streamlit as st

from openstrawberry.errors import StrawberryError
from openstrawberry.stats import wilson
from openstrawberry.store.browsing import Browser, Order, Row, Wanted
from openstrawberry.trace import OWED, Trace
from openstrawberry.ui.frame import Place
from openstrawberry.ui.looks import count, dollars, figures, plain, put, say, table
from openstrawberry.ui.reading import SIGNS, WORDS
from openstrawberry.ui.shelves import Counted, Listed, listed, name_of, run_folders
from openstrawberry.ui.views.reader import show_trace

PER_PAGE = 8
SHOWN = 12  # runs in the overview
EVERY = 2.0  # seconds between two looks at runs that go on
ORDERS = {
    "file": "as they came",
    "turns": "most turns",
    "seconds": "longest",
    "cost": "dearest",
    "problem": "by problem",
}
NAMES = {**WORDS, "error": "error"}


def page(place: Place) -> None:
    """Draws it."""
    st.title("Runs")
    folders = run_folders(place.home)
    if not folders:
        say(f"There is no run in {place.home} yet: ask something, or make one with `strawberry generate`.", "note")
        return
    _overview(folders[:SHOWN], place.home)
    names = {name_of(path, place.home): path for path in folders}
    name = st.selectbox("Run", list(names), key="run", on_change=_another_run)
    try:
        with Browser(names[name]) as browser:
            _run(browser, place, folders)
    except StrawberryError as error:
        say(str(error))


def _overview(folders: list[Path], home: Path) -> None:
    """The newest runs, and how those that go on come along."""
    runs = _listed(folders)

    def draw() -> None:
        rows = (_line(run, home) for run in _listed(folders))
        table(("run", "begun", "model", "", "traces", "right"), rows, words=4)

    live = any(run.live for run in runs)
    with st.expander(f"The newest {len(runs)} of all runs" if len(runs) == SHOWN else "All runs", expanded=live):
        st.fragment(draw, run_every=EVERY if live else None)()


def _listed(folders: list[Path]) -> list[Listed]:
    found = []
    for folder in folders:
        try:
            found.append(listed(folder))
        except StrawberryError:  # damaged, or gone since: the others are still worth a look
            continue
    return found


def _line(run: Listed, home: Path) -> tuple[str, ...]:
    holds = run.holds
    of = f" of {holds.expected:,}" if holds.expected > holds.traces else ""
    right = f"{holds.right / holds.judged:.0%}" if holds.judged else ""
    return (
        name_of(run.path, home),
        _when(holds.created),
        ", ".join(holds.models),
        run.state,
        f"{holds.traces:,}{of}",
        right,
    )


def _when(created: str) -> str:
    try:
        return datetime.fromisoformat(created).astimezone().strftime("%d %b %H:%M")
    except (ValueError, OverflowError):
        return ""


def _run(browser: Browser, place: Place, folders: list[Path]) -> None:
    run = listed(browser.path)
    holds = run.holds
    low, high = wilson(holds.right, holds.judged) if holds.judged else (0.0, 0.0)
    figures(
        [
            ("traces", f"{holds.traces:,}"),
            (f"right ({low:.0%} to {high:.0%})", f"{holds.right / holds.judged:.0%}")
            if holds.judged
            else ("right", "–"),
            ("tokens out", count(holds.output)),
            ("cost", dollars(holds.cost)),
            *([(run.state, f"{holds.share:.0%}")] if run.live or 0 < holds.share < 1 else []),
        ]
    )
    wanted, order = _filters(holds)
    total = browser.count(wanted)
    pages = max(1, math.ceil(total / PER_PAGE))
    at = min(int(st.session_state.get("page", 0)), pages - 1)
    if not total:
        say("No trace fits: take away a filter.", "note")
        return
    rows = browser.page(wanted, start=at * PER_PAGE, size=PER_PAGE, order=order)
    row = next((row for row in rows if row.id == st.session_state.get("trace")), rows[0])
    left, right = st.columns([2, 3])
    with left:
        _list(rows, row, at, pages, total)
    with right:
        other = _beside(browser, row, place, folders)
        if other is None:
            show_trace(browser.read(row), "one", browser.path, place)
    if other is not None:
        one, two = st.columns(2)
        with one:
            show_trace(browser.read(row), "one", browser.path, place)
        with two:
            show_trace(*other, place)


def _filters(holds: Counted) -> tuple[Wanted, Order]:
    found = {NAMES[status]: status for status in NAMES if holds.statuses.get(status)}
    if set(holds.stops) & OWED:
        found["error"] = "error"
    models, strategies = list(holds.models), list(holds.strategies)
    chosen = (
        st.pills("Show only", list(found), selection_mode="multi", key="filter-status", on_change=_first_page) or []
    )
    with st.expander("More filters"):
        words = st.text_input("Question or answer holds", key="filter-text", on_change=_first_page)
        one, two, three, four, five = st.columns(5)
        model = one.multiselect("Model", models, key="filter-model", on_change=_first_page)
        strategy = two.multiselect("Strategy", strategies, key="filter-strategy", on_change=_first_page)
        least = three.number_input("Turns from", 0, None, None, key="filter-least", on_change=_first_page)
        most = four.number_input("Turns to", 0, None, None, key="filter-most", on_change=_first_page)
        order = five.selectbox("Order", list(ORDERS), format_func=ORDERS.__getitem__, key="filter-order")
    verdicts = tuple(found[name] for name in chosen if found[name] != "error")
    stops = tuple(OWED) if "error" in chosen else ()
    wanted = Wanted(verdicts, stops, tuple(model), tuple(strategy), "", least, most, words.strip())
    return wanted, cast(Order, order)


def _another_run() -> None:
    for key in ("page", "trace", "beside", "beside-run"):
        st.session_state.pop(key, None)


def _first_page() -> None:
    st.session_state["page"] = 0
    st.session_state.pop("trace", None)


def _list(rows: list[Row], read: Row, at: int, pages: int, total: int) -> None:
    with st.container(key="list", gap="small"):
        for row in rows:
            st.button(
                plain(told(row), 120), key=f"open-{row.id}", width="stretch", on_click=_open, args=(row.id,),
                type="primary" if row.id == read.id else "secondary",
            )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back", disabled=at == 0, on_click=_turn, args=(at - 1,), key="back")
        st.text(f"{at * PER_PAGE + 1:,} to {at * PER_PAGE + len(rows):,} of {total:,}")
        st.button("Next", disabled=at + 1 >= pages, on_click=_turn, args=(at + 1,), key="next")


def told(row: Row) -> str:
    """A trace in a line: its verdict, the question, the answer, the turns."""
    sign = "!" if row.stop in OWED else SIGNS.get(row.status, "?")
    question = " ".join(row.question.split())
    question = question if len(question) <= 60 else question[:59].rstrip() + "…"
    answer = " ".join(row.answer.split())[:24] or "no answer"
    return f"{sign} {question} → {answer} · {row.turns:,} turns"


def _turn(to: int) -> None:
    st.session_state["page"] = to
    st.session_state.pop("trace", None)


def _open(trace_id: str) -> None:
    st.session_state["trace"] = trace_id
    st.session_state.pop("beside", None)


def _beside(browser: Browser, row: Row, place: Place, folders: list[Path]) -> tuple[Trace, str, Path] | None:
    """A second trace of the same problem, of this run or another, and where; one with the other verdict comes first."""
    runs = {name_of(path, place.home): path for path in folders if path != browser.path}
    with st.expander("Compare with another trace of this problem"):
        elsewhere = st.selectbox("From", [None, *runs], key="beside-run", format_func=lambda name: name or "this run")
        with Browser(runs[elsewhere] if elsewhere else browser.path) as second:
            found = second.page(Wanted(problem=row.problem), size=200)
            others = {other.id: other for other in found if elsewhere or other.id != row.id}
            if not others:
                put('<p class="quiet">There is no other trace of this problem there.</p>')
                return None
            names = sorted(others, key=lambda each: others[each].status == row.status)
            beside = st.selectbox(
                "Trace", [None, *names], key="beside", format_func=lambda each: told(others[each]) if each else "none"
            )
            return (second.read(others[beside]), "two", second.path) if beside else None
