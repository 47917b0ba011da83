"""Compare: accuracy against tokens and dollars, pass rate by difficulty, and the rounds of a loop."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import streamlit as st

from openstrawberry.errors import StrawberryError
from openstrawberry.evaluation.plots import Point
from openstrawberry.stats import wilson
from openstrawberry.store.browsing import Browser, Tally
from openstrawberry.ui.charts import line_chart, share_chart
from openstrawberry.ui.frame import Place
from openstrawberry.ui.looks import dollars, put, say, table
from openstrawberry.ui.markup import text
from openstrawberry.ui.shelves import loops, read_loop, run_folders

TAKEN = 8  # runs that are compared unless others are chosen


def page(place: Place) -> None:
    """Draws it."""
    st.title("Compare")
    folders = run_folders(place.home)
    found = loops(place.home)
    if not folders and not found:
        say(f"There is nothing in {place.home} to compare yet: make runs with `strawberry generate`.", "note")
        return
    names = {str(path.relative_to(place.home)): path for path in folders}
    chosen = st.multiselect("Runs", list(names), list(names)[:TAKEN], key="compared")
    groups, sizes = _collect([names[name] for name in chosen])
    if groups:
        _groups(groups)
    if sizes:
        put("<h3>Share right by difficulty, with 95% intervals</h3>")
        st.altair_chart(line_chart(sizes, "difficulty"), theme="streamlit", width="stretch", key="sizes")
    if chosen and not groups:
        say("No trace of these runs has a verdict yet: choose others.", "note")
    if found:
        _loop(found, place.home)


def _collect(folders: list[Path]) -> tuple[dict[str, Tally], dict[str, list[Point]]]:
    """Traces of all runs per model and strategy, and shares by difficulty per model, strategy and family."""
    groups: dict[str, Tally] = {}
    sizes: dict[str, dict[float, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for folder in folders:
        try:
            with Browser(folder) as browser:
                for tally in browser.tally("model", "strategy"):
                    name = " · ".join(tally.group)
                    groups[name] = _sum(groups[name], tally) if name in groups else tally
                for tally in browser.tally("model", "strategy", "family", "difficulty"):
                    model, strategy, family, difficulty = tally.group
                    if difficulty is not None and difficulty >= 0:
                        told = " · ".join(filter(None, (model, strategy, family)))
                        cell = sizes[told][float(difficulty)]
                        cell[0] += tally.right
                        cell[1] += tally.traces
        except StrawberryError as error:
            say(str(error))
    series = {
        name: [Point(size, right / traces, *wilson(right, traces)) for size, (right, traces) in sorted(cells.items())]
        for name, cells in sizes.items()
    }
    return groups, {name: points for name, points in series.items() if len(points) > 1}


def _sum(one: Tally, other: Tally) -> Tally:
    cost = one.cost + other.cost if one.cost >= 0 and other.cost >= 0 else -1.0
    return Tally(one.group, one.right + other.right, one.traces + other.traces, one.output + other.output,
                 one.input + other.input, cost)  # fmt: skip


def _groups(groups: dict[str, Tally]) -> None:
    rows, by_tokens, by_dollars = [], [], []
    for name, tally in sorted(groups.items(), key=lambda item: -item[1].right / item[1].traces):
        low, high = wilson(tally.right, tally.traces)
        share, tokens = tally.right / tally.traces, tally.output / tally.traces
        cost = tally.cost / tally.traces if tally.cost >= 0 else None
        rows.append(
            (name, f"{tally.traces:,}", f"{share:.0%} ({low:.0%} to {high:.0%})", f"{tokens:,.0f}", dollars(cost))
        )
        by_tokens.append((name, tally, Point(tokens, share, low, high)))
        if cost:
            by_dollars.append((name, tally, Point(cost, share, low, high)))
    put("<h3>Share right against what a trace takes, with 95% intervals</h3>")
    one, two = st.columns(2) if by_dollars else (st.container(), None)
    one.altair_chart(
        share_chart(by_tokens, "tokens written per trace"), theme="streamlit", width="stretch", key="tokens"
    )
    if two is not None:
        two.altair_chart(
            share_chart(by_dollars, "dollars per trace"), theme="streamlit", width="stretch", key="dollars"
        )
    table(("model and strategy", "traces", "right", "tokens", "dollars"), rows)


def _loop(found: list[Path], home: Path) -> None:
    st.header("Rounds of a loop", divider=False)
    names = {str(path.relative_to(home)) if path != home else path.name: path for path in found}
    name = st.selectbox("Loop", list(names), key="loop")
    try:
        loop = read_loop(names[name])
    except StrawberryError as error:
        say(str(error))
        return
    kept = accepted(loop)
    families = sorted({str(score["family"]) for _, scores in kept for score in scores})
    for family in families:
        series = {label: _points(scores, family) for label, scores in kept}
        put(f"<h3>{text(family)}: held-out problems right, by size and round</h3>")
        st.altair_chart(line_chart(series, "size"), theme="streamlit", width="stretch", key=f"loop-{family}")
    header = ("size", *(label for label, _ in kept))
    table(header, _steps(kept))
    table(("round", "from", "trained on", "recipes", "verdict", "why"), map(_round, loop["rounds"]), words=6)


def accepted(loop: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The student as it came and the model of every accepted round, each with its scores."""
    kept = [("before", list(loop["student"]["scores"]))]
    for record in loop["rounds"]:
        for attempt in record["attempts"]:
            if attempt["accepted"]:
                kept.append((f"round {record['round']}", list(attempt["scores"])))
    return kept


def _points(scores: list[dict[str, Any]], family: str) -> list[Point]:
    of = [score for score in scores if score["family"] == family]
    return [
        Point(_size(score["size"], place), score["share"], score["low"], score["high"])
        for place, score in enumerate(of)
    ]


def _size(size: str, place: int) -> float:
    return float(size) if size.replace(".", "", 1).isdigit() else float(place)


def _steps(kept: list[tuple[str, list[dict[str, Any]]]]) -> list[tuple[str, ...]]:
    """Per size: the share right and the mean steps of a right trace, in every accepted round."""
    cells = {label: {(s["family"], s["size"]): s for s in scores} for label, scores in kept}
    sizes = list(dict.fromkeys(size for found in cells.values() for size in found))
    return [(" ".join(map(str, size)), *(_cell(cells[label].get(size)) for label, _ in kept)) for size in sizes]


def _cell(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    steps = f", {score['steps']:g} steps" if score.get("steps") is not None else ""
    return f"{score['share']:.0%}{steps}"


def _round(record: dict[str, Any]) -> tuple[str, ...]:
    attempts = record["attempts"]
    recipes = (
        " then ".join(str(recipe.get("method", recipe.get("kind", ""))) for recipe in attempts[-1]["trained"])
        if attempts
        else ""
    )
    trained = f"{record['pairs']['rows']:,} pairs, {record['conversations']['rows']:,} traces"
    taken = any(attempt["accepted"] for attempt in attempts)
    why = str(attempts[-1]["reason"]) if attempts else ""
    return (str(record["round"]), str(record["from"]), trained, recipes, "accepted" if taken else "rejected", why)
