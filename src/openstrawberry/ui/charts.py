"""The page's plots, drawn with altair: from records to charts, nothing is asked or read here."""

from collections.abc import Mapping, Sequence

import altair as alt

from openstrawberry.evaluation.plots import Point, palette
from openstrawberry.trace import Trace
from openstrawberry.ui.tree import dots

ACCENT, LINE, GOOD, QUIET, INK = "#c9223c", "#d9dcdf", "#12704a", "#5d6469", "#1d1f21"
PICKED = "node"  # the selection in `tree_chart`: {"index": place in the trace}
SHARE = "share right"
BANDS = 3  # more than so many would hide one another, and become bars
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


def share_chart(series: Mapping[str, Sequence[Point]], what: str) -> alt.LayerChart:
    """Shares with bars for their 95% intervals, at `what` a trace takes: tokens or dollars."""
    return _drawn(series, what, SHARE, joined=False)


def line_chart(series: Mapping[str, Sequence[Point]], what: str, of: str = SHARE) -> alt.LayerChart:
    """Lines along `what`, one per name: shares with bands for their 95% intervals, or values `of` something else."""
    return _drawn(series, what, of, joined=True)


def _drawn(series: Mapping[str, Sequence[Point]], what: str, of: str, joined: bool) -> alt.LayerChart:
    """A name has the same colour in every chart with the same names, also where it has no points."""
    rows = [{"who": name, "x": at.x, "y": at.y, "low": at.low, "high": at.high}
            for name, points in series.items() for at in points]  # fmt: skip
    shares = of == SHARE
    base = alt.Chart(alt.Data(values=rows))
    x_scale = alt.Scale(zero=False, padding=12) if joined else alt.Scale(zero=True, nice=True)
    y_scale = alt.Scale(domain=[0, 1]) if shares else alt.Scale(zero=True, nice=True)
    axis = alt.Axis(format="%" if shares else "", tickCount=5)
    x = alt.X("x:Q", title=what, scale=x_scale, axis=alt.Axis(tickCount=6, grid=False))
    y = alt.Y("y:Q", title=of, scale=y_scale, axis=axis)
    names = alt.Scale(domain=list(series), range=palette(len(series)))
    colour = alt.Color("who:N", scale=names, legend=_LEGEND if len(series) > 1 else None)
    told = [alt.Tooltip("who:N", title="who"), alt.Tooltip("x:Q", title=what)]
    told += (
        [alt.Tooltip(f"{name}:Q", format=".1%") for name in ("y", "low", "high")] if shares else [alt.Tooltip("y:Q")]
    )
    layers = [base.mark_point(filled=True, size=80, opacity=1).encode(x=x, y=y, color=colour, tooltip=told)]
    if joined:
        layers.insert(0, base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour))
    if shares:
        band = joined and len(series) <= BANDS
        interval = base.mark_area(opacity=0.14) if band else base.mark_rule(strokeWidth=2, opacity=0.4 if joined else 1)
        layers.insert(0, interval.encode(x=x, y=alt.Y("low:Q", title=of, axis=axis), y2="high:Q", color=colour))
    return _styled(alt.layer(*layers).properties(height=340))


def _styled(chart: alt.LayerChart) -> alt.LayerChart:
    """A chart in the colours and letters of the page."""
    quiet = {"labelColor": QUIET, "titleColor": QUIET, "titleFontWeight": "normal"}
    lines = {"gridColor": LINE, "domainColor": LINE, "tickColor": LINE}
    return (
        chart.configure(font="system-ui, sans-serif", background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=13, **quiet, **lines)
        .configure_legend(labelColor=INK, labelFontSize=13)
    )
