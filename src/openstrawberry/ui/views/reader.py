"""A trace to be read: who made it, its steps, and the tree of a search with a reply to read at a click."""

from typing import Any

import streamlit as st

from openstrawberry.trace import Trace
from openstrawberry.ui.charts import PICKED, tree_chart
from openstrawberry.ui.looks import put
from openstrawberry.ui.markup import about_html, given_html, step_html
from openstrawberry.ui.reading import Reading, Step, read
from openstrawberry.ui.tree import is_tree


def show_trace(trace: Trace, key: str) -> None:
    """All of it. `key` tells several readers on one page apart."""
    reading = read(trace)
    put(f'<div class="card">{about_html(reading)}</div>')
    show_tree(trace, f"tree-{key}")
    folded = len(reading.steps) > 1 and st.toggle("Titles only", key=f"titles-{key}")
    put(given_html(reading) + _steps(reading, key, not folded))


def _steps(reading: Reading, key: str, unfolded: bool) -> str:
    shown = "".join(step_html(step, f"{key}-", unfolded=unfolded) for step in reading.steps)
    return f'<div class="steps">{shown}</div>' if shown else '<p class="quiet">Nothing was said.</p>'


def show_tree(trace: Trace, key: str) -> None:
    """The tree of a search; nothing for a chat."""
    if not is_tree(trace):
        return
    branches = read(trace).branches
    put(f"<h3>The search: {branches:,} replies beside the way; click one to read it</h3>")
    event: Any = st.altair_chart(
        tree_chart(trace), key=key, on_select="rerun", selection_mode=PICKED, width="stretch", theme=None
    )
    picked = (event or {}).get("selection", {}).get(PICKED) or []
    index = int(picked[0]["index"]) if picked and "index" in picked[0] else -1
    if 0 <= index < len(trace.messages):
        turn = trace.messages[index]
        asked = trace.messages[turn.parent].content if turn.parent >= 0 else ""
        put(
            '<div class="picked">'
            + step_html(Step(depth(trace, index), index, turn, asked), f"{key}-picked-")
            + "</div>"
        )


def depth(trace: Trace, index: int) -> int:
    """How many replies lead to this one, itself included."""
    found = 0
    while index >= 0:
        found += trace.messages[index].role == "assistant"
        index = trace.messages[index].parent
    return found
