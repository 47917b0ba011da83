"""The page's plots, drawn with altair: from records to charts, nothing is asked or read here."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from openstrawberry.evaluation.plots import COLOURS, Point
from openstrawberry.store.browsing import Tally
from openstrawberry.trace import Trace
from openstrawberry.ui.tree import dots

ACCENT, LINE, GOOD, QUIET = "#c9223c", "#d9dcdf", "#12704a", "#5d6469"
PICKED = "node"  # the selection in `tree_chart`: {"index": place in the trace}
_SCALE = alt.Scale(range=list(COLOURS))
_LEGEND = alt.Legend(orient="bottom", columns=1, labelLimit=320, title=None, symbolOpacity=1)


def tree_chart(trace: Trace) -> alt.LayerChart:
    """The tree of a search, from the question down; a click on a dot selects the reply.

    The greener a dot, the higher its value; the larger, the more visits; the way to the answer is red.
    """
    placed = dots(trace)
    by_index = {dot.index: dot for dot in placed}
    top = [dot.x for dot in placed if dot.y == 0]
    middle = (min(top, default=0) + max(top, default=0)) / 2
    links, points = [], []
    for dot in placed:
        above = by_index.get(dot.parent)
        links.append({
            "x": above.x if above else middle, "y": above.y if above else -1, "x2": dot.x, "y2": dot.y,
            "way": dot.on_path,
        })  # fmt: skip
        points.append({
            "x": dot.x, "y": dot.y, "index": dot.index, "title": dot.title, "value": round(dot.value, 3),
            "visits": dot.visits, "way": dot.on_path, "label": f"{dot.value:.2f}" if dot.visits else "",
        })  # fmt: skip
    x = alt.X("x:Q", axis=None, scale=alt.Scale(padding=24, nice=False, zero=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(reverse=True, padding=24, nice=False, zero=False))
    stroke = alt.condition("datum.way", alt.value(ACCENT), alt.value(LINE))
    lines = alt.Chart(alt.Data(values=links)).mark_rule(strokeWidth=2).encode(x=x, y=y, x2="x2", y2="y2", color=stroke)
    circles = (
        alt.Chart(alt.Data(values=points))
        .mark_circle(opacity=1, strokeWidth=2.5, cursor="pointer")
        .encode(
            x=x,
            y=y,
            size=alt.Size("visits:Q", scale=alt.Scale(range=[160, 620]), legend=None),
            color=alt.Color(
                "value:Q", scale=alt.Scale(range=["#e8efe9", GOOD], domain=[0, 1], clamp=True), legend=None
            ),
            stroke=alt.condition("datum.way", alt.value(ACCENT), alt.value(QUIET)),
            tooltip=[alt.Tooltip("title:N"), alt.Tooltip("value:Q"), alt.Tooltip("visits:Q")],
        )
        .add_params(alt.selection_point(name=PICKED, fields=["index"]))
    )
    question = alt.Chart(alt.Data(values=[{"x": middle, "y": -1}])).mark_square(size=200, color=ACCENT, opacity=1)
    labels = (
        alt.Chart(alt.Data(values=points)).mark_text(dy=20, fontSize=10, color=QUIET).encode(x=x, y=y, text="label:N")
    )
    deep = max((dot.y for dot in placed), default=0)
    height = int(min(640, 90 + 64 * (deep + 1)))
    return (lines + question.encode(x=x, y=y) + circles + labels).properties(height=height).configure_view(stroke=None)


def share_chart(groups: Sequence[tuple[str, Tally, Point]], what: str) -> alt.LayerChart:
    """Share right with its 95% interval (`Point.y`, `low`, `high`) at `Point.x`: tokens or dollars per trace."""
    rows = [{"who": name, "x": at.x, "share": at.y, "low": at.low, "high": at.high, "traces": tally.traces}
            for name, tally, at in groups]  # fmt: skip
    return _dotted(rows, what, joined=False)


def line_chart(series: Mapping[str, Sequence[Point]], what: str) -> alt.LayerChart:
    """Shares with 95% intervals along `what`, one line per name."""
    rows = [{"who": name, "x": at.x, "share": at.y, "low": at.low, "high": at.high}
            for name, points in series.items() for at in points]  # fmt: skip
    return _dotted(rows, what, joined=True)


def _dotted(rows: list[dict[str, Any]], what: str, joined: bool) -> alt.LayerChart:
    base = alt.Chart(alt.Data(values=rows))
    x = alt.X(
        "x:Q",
        title=what,
        scale=alt.Scale(zero=not joined, padding=16, nice=True),
        axis=alt.Axis(tickCount=6, grid=False),
    )
    y = alt.Y("share:Q", title="share right", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5))
    colour = alt.Color("who:N", scale=_SCALE, legend=_LEGEND)
    told = [alt.Tooltip("who:N", title="who"), alt.Tooltip("x:Q", title=what), alt.Tooltip("share:Q", format=".1%"),
            alt.Tooltip("low:Q", format=".1%"), alt.Tooltip("high:Q", format=".1%")]  # fmt: skip
    bars = base.mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q", title="share right"), y2="high:Q", color=colour)
    points = base.mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=colour, tooltip=told)
    layers = [bars, points]
    if joined:
        layers.insert(0, base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour))
    return alt.layer(*layers).properties(height=380)
