"""Plots for reports, as SVG text that stands inside a page.

Drawn with matplotlib (imported only when something is drawn). What always holds: the same numbers give the same bytes;
words stay words (selectable, in the page's own font) and take the page's colours, so that a dark page is readable; the
drawing is narrow enough for a phone and grows with the page.
"""

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

COLOURS = ("#e4344e", "#2f7fd6", "#1f9d6b", "#b0661a", "#8b5bd6", "#0f95a8", "#c2418f", "#7d8894")
_MARKERS = "osD^vPX*"
_INK, _LINE = "#010203", "#040506"  # stand for the page's colours of text and rules until the SVG is finished
_WIDTH = 4.1  # inches of 72 units: on a phone, letters of 8.5 units are about 9 pixels high
_LABELS = 8  # series beyond this share a scale of colours, and only so many are named
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
    **dict.fromkeys(("axes.edgecolor", "grid.color"), _LINE),
}


class Point(NamedTuple):
    """A value at `x` with the interval around it."""

    x: float
    y: float
    low: float
    high: float


def lines(
    series: Mapping[str, Sequence[Point]], x_label: str, y_label: str, *, percent: bool = True, name: str = "lines"
) -> str:
    """Lines with a band for each interval.

    Args:
        series: a name for each line, and its points in any order. `percent`: they are fractions, shown as 0 to 100%.
            A line without points keeps its colour from the others, so that drawings with the same series agree.
        name: tells this drawing from others in the same page.

    Returns:
        An `<svg>` element, without fixed width or height.
    """
    with _styled(name):
        shown = _named([place for place, points in enumerate(series.values()) if points])
        figure, axes = _canvas(2.7, 0.05 + 0.165 * len(shown))
        for number, (label, points) in enumerate(series.items()):
            colour, marker = _colour(number, len(series)), _MARKERS[number % len(_MARKERS)]
            xs, ys, lows, highs = zip(*sorted(points), strict=True) if points else ((), (), (), ())
            if len(series) <= len(COLOURS) or number in (0, len(series) - 1):  # more bands would hide one another
                axes.fill_between(xs, lows, highs, color=colour, alpha=0.16, linewidth=0)
            axes.plot(xs, ys, color=colour, marker=marker, markersize=3.6, linewidth=1.5,
                      label=_plain(label) if number in shown else "_")  # fmt: skip
        _framed(figure, axes, x_label, y_label, percent, bool(shown))
        if all(float(point.x).is_integer() for points in series.values() for point in points):
            axes.xaxis.get_major_locator().set_params(integer=True)
        return _svg(figure, name)


def dots(
    series: Mapping[str, Sequence[Point]], x_label: str, y_label: str, *, percent: bool = True, name: str = "dots"
) -> str:
    """Points with bars for their intervals, for values at places that nothing joins.

    Args:
        series: as in `lines`. `percent`: they are fractions, shown as 0 to 100%.
        name: tells this drawing from others in the same page.

    Returns:
        An `<svg>` element, without fixed width or height.
    """
    with _styled(name):
        shown = _named([place for place, points in enumerate(series.values()) if points])
        figure, axes = _canvas(2.5, 0.05 + 0.165 * len(shown))
        for number, (label, points) in enumerate(series.items()):
            colour, marker = _colour(number, len(series)), _MARKERS[number % len(_MARKERS)]
            for place, point in enumerate(points):
                axes.plot((point.x, point.x), (point.low, point.high), color=colour, linewidth=1.3)
                axes.plot(point.x, point.y, color=colour, marker=marker, markersize=4.5, linewidth=0,
                          label=_plain(label) if number in shown and not place else "_")  # fmt: skip
        _framed(figure, axes, x_label, y_label, percent, bool(shown))
        axes.set_xlim(left=0)
        return _svg(figure, name)


def bars(items: Mapping[str, tuple[float, float, float]], *, percent: bool = True, name: str = "bars") -> str:
    """Horizontal bars with intervals; each has its name above it and its value behind it.

    Args:
        items: name -> (value, low, high). `percent`: they are fractions, shown as 0 to 100%.
        name: tells this drawing from others in the same page.

    Returns:
        An `<svg>` element, without fixed width or height.
    """
    with _styled(name):
        figure, axes = _canvas(0.3 + 0.45 * max(1, len(items)), 0.0, left=0.03, below=0.25)
        for place, (label, (value, low, high)) in enumerate(items.items()):
            colour = _colour(place, len(items))
            axes.barh(place + 0.16, value, height=0.44, color=colour, alpha=0.75, linewidth=0)
            axes.plot((low, high), (place + 0.16, place + 0.16), color=_INK, linewidth=1.2, solid_capstyle="butt")
            for end in (low, high):
                axes.plot((end, end), (place + 0.06, place + 0.26), color=_INK, linewidth=1.2)
            said = f"{value:.1%} ({low:.0%} to {high:.0%})" if percent else f"{value:.3g} ({low:.3g} to {high:.3g})"
            axes.text(0, place - 0.22, _plain(label, 34), va="center", ha="left")
            axes.text(1, place - 0.22, said, va="center", ha="right", transform=axes.get_yaxis_transform())
        axes.set_ylim(len(items) - 0.4, -0.45)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", linewidth=0.6)
        axes.set_axisbelow(True)
        _scale(axes.xaxis, axes.set_xlim, percent)
        return _svg(figure, name)


def palette(many: int) -> list[str]:
    """The colours of so many series, in their order."""
    return [_colour(place, many) for place in range(many)]


def _styled(name: str) -> Any:
    from matplotlib import rc_context

    return rc_context({**_STYLE, "svg.hashsalt": name})


def _framed(figure: Any, axes: Any, x_label: str, y_label: str, percent: bool, named: bool) -> None:
    """What stands around lines and dots alike: names above where there are any, a grid, scale, labels."""
    if named:
        figure.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), frameon=False, ncols=1, labelspacing=0.25)
    axes.grid(axis="y", linewidth=0.6)
    _scale(axes.yaxis, axes.set_ylim, percent)
    axes.set_xlabel(_plain(x_label))
    axes.set_title(_plain(y_label), fontsize=8.5, loc="left", pad=6)


def _canvas(height: float, above: float, left: float = 0.11, below: float = 0.42) -> tuple[Any, Any]:
    """A transparent figure with one pair of axes, and room `above` it for the names of the lines (inches)."""
    from matplotlib.figure import Figure

    whole = height + above
    figure = Figure(figsize=(_WIDTH, whole))
    bottom, top = below / whole, 1 - (above + 0.28 if above else 0.05) / whole
    axes = figure.add_axes((left, bottom, 0.97 - left, top - bottom))
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    axes.tick_params(width=0.6, length=3)
    return figure, axes


def _scale(axis: Any, limit: Any, percent: bool) -> None:
    from matplotlib.ticker import PercentFormatter

    if percent:
        limit(0, 1.02)
        axis.set_ticks([0, 0.25, 0.5, 0.75, 1])
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    else:
        limit(0, None)


def _named(places: Sequence[int]) -> set[int]:
    """Those of the series at `places` that the legend names: all, or evenly chosen ones with the first and the last."""
    if len(places) <= _LABELS:
        return set(places)
    return {places[round(step * (len(places) - 1) / (_LABELS - 1))] for step in range(_LABELS)}


def _colour(place: int, of: int) -> str:
    """A colour of its own for few, a place on a scale from blue to red for many."""
    if of <= len(COLOURS):
        return COLOURS[place]
    share = place / (of - 1)
    return "#" + "".join(f"{round(low + share * (high - low)):02x}" for low, high in ((47, 228), (127, 52), (214, 78)))


def _plain(text: str, limit: int = 60) -> str:
    """`text` without characters that XML does not allow, short enough to be drawn."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _svg(figure: Any, name: str) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = StringIO()
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*|<style.*?</style>", "", text, flags=re.DOTALL)
    opening = text[: text.index(">") + 1]
    text = re.sub(r' (?:width|height)="[^"]*"', "", opening) + text[len(opening) :]
    # Several drawings may share a page, where an id must stand once.
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{re.sub(r'[^a-z0-9]', '-', name.lower())}-", text)
    text = text.replace("'DejaVu Sans'", "system-ui, sans-serif")
    return text.replace(_INK, "currentColor").replace(_LINE, "var(--line, #8888)")
