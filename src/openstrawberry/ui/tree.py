"""The tree of a search, drawn: one dot per reply, with its value and visits, the way to the answer marked.

A tidy layout in the sense of Wetherell and Shannon (1979): depth decides how far down a dot stands, leaves stand side
by side in the order in which they came, a parent stands in the middle above its children.
"""

from dataclasses import dataclass
from html import escape

from openstrawberry.trace import Trace
from openstrawberry.wording import counted

ACROSS, DOWN, RADIUS = 34, 44, 9
MOST = 1_500  # dots; a larger tree shows its most visited ones


@dataclass(frozen=True)
class Dot:
    """A reply in the drawing. `x`, `y`: place in units of leaves and depths; `parent`: index of the reply before it."""

    index: int
    parent: int
    x: float
    y: int
    value: float
    visits: int
    on_path: bool
    title: str


def is_tree(trace: Trace) -> bool:
    """Whether there is more to draw than one line."""
    return len(replies(trace)) > sum(trace.messages[index].role == "assistant" for index in trace.path)


def replies(trace: Trace) -> list[int]:
    """The replies of the main conversation; of one that stands there twice (`copy_of`), the copy alone."""
    copied = {turn.copy_of for turn in trace.messages}
    return [
        index
        for index, turn in enumerate(trace.messages)
        if turn.role == "assistant" and turn.channel == "main" and index not in copied
    ]


def dots(trace: Trace) -> list[Dot]:
    """Every reply of the main conversation with its place, parents before children."""
    turns, on_path = trace.messages, set(trace.path)
    above: dict[int, int] = {}  # any turn -> the reply it follows
    children: dict[int, list[int]] = {-1: []}
    depth: dict[int, int] = {}
    shown = set(replies(trace))
    for index, turn in enumerate(turns):
        parent = turn.parent
        before = parent if parent in children and parent != -1 else above.get(parent, -1)
        above[index] = before
        if index in shown:
            children[index] = []
            children[before].append(index)
            depth[index] = depth.get(before, -1) + 1
    kept = _most_visited(trace, set(depth))
    x: dict[int, float] = {}
    leaves = 0
    for index in _leaves_first(children, kept):
        below = [x[child] for child in children[index] if child in kept]
        if below:
            x[index] = (below[0] + below[-1]) / 2
        else:
            x[index] = leaves
            leaves += 1
    return [
        Dot(i, above[i], x[i], depth[i], turns[i].value, turns[i].visits, i in on_path, turns[i].title)
        for i in sorted(x)
    ]


def draw(trace: Trace, anchor: str) -> str:
    """The tree as an `<svg>` element; a click on a dot leads to `#{anchor}{index}`."""
    placed = dots(trace)
    where = {dot.index: (RADIUS + 4 + dot.x * ACROSS, RADIUS + 4 + (dot.y + 1) * DOWN) for dot in placed}
    first = [dot.x for dot in placed if dot.y == 0]
    where[-1] = (RADIUS + 4 + (min(first, default=0) + max(first, default=0)) / 2 * ACROSS, RADIUS + 4)  # the question
    width = max((x for x, _ in where.values()), default=0) + RADIUS + 4
    height = max((y for _, y in where.values()), default=0) + RADIUS + 16
    lines, labels = [], []
    x, y = where[-1]
    circles = [
        f'<g><title>the question</title><rect class="way" x="{x - 7:g}" y="{y - 5:g}" width="14" height="14"/></g>'
    ]
    for dot in placed:
        x, y = where[dot.index]
        above_x, above_y = where[dot.parent]
        kind = "way" if dot.on_path else "branch"
        lines.append(f'<path class="{kind}" d="M{above_x:g} {above_y + RADIUS:g}L{x:g} {y - RADIUS:g}"/>')
        told = escape(
            f"{dot.title} (value {dot.value:.2f}, {counted(dot.visits, 'visit')})" if dot.visits else dot.title
        )
        if dot.visits:
            labels.append(f'<text x="{x:g}" y="{y + RADIUS + 10:g}">{dot.value:.2f}</text>')
        shade = f"{0.15 + 0.85 * min(1.0, max(0.0, dot.value)):.2f}" if dot.visits else "0.15"
        circles.append(
            f'<a href="#{anchor}{dot.index}" aria-label="{told}"><title>{told}</title>'
            f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="{RADIUS}" '
            f'fill-opacity="{shade}"/></a>'
        )
    return (
        f'<svg class="tree" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'style="width:{width:g}px">{"".join([*lines, *circles, *labels])}</svg>'
    )


def _most_visited(trace: Trace, replies: set[int]) -> set[int]:
    """At most `MOST` replies: those on the way to the answer, then the most visited with all that lead to them."""
    if len(replies) <= MOST:
        return replies
    ranked = sorted(replies, key=lambda i: (i not in trace.path, -trace.messages[i].visits, i))
    kept: set[int] = set()
    for index in ranked:
        line, at = [], index
        while at != -1 and at not in kept:
            line.append(at)
            at = trace.messages[at].parent
        line = [each for each in line if each in replies]
        if len(kept) + len(line) <= MOST:
            kept.update(line)
    return kept


def _leaves_first(children: dict[int, list[int]], kept: set[int]) -> list[int]:
    """The kept replies in an order in which children come before their parents, without recursion."""
    order: list[int] = []
    waiting = [index for index in reversed(children[-1]) if index in kept]
    open_: list[int] = []
    while waiting:
        index = waiting.pop()
        while open_ and index not in children[open_[-1]]:
            order.append(open_.pop())
        open_.append(index)
        waiting += [child for child in reversed(children[index]) if child in kept]
    return order + open_[::-1]
