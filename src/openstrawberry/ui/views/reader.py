"""A trace to be read: who made it, its steps and their summaries, and the tree of a search with replies to click at."""

import asyncio
from pathlib import Path
from typing import Any

import streamlit as st

from openstrawberry.errors import StrawberryError
from openstrawberry.trace import Trace
from openstrawberry.ui.charts import PICKED, tree_chart
from openstrawberry.ui.choices import refuse_what_is_not_for_guests
from openstrawberry.ui.frame import Place, offered
from openstrawberry.ui.looks import put, say
from openstrawberry.ui.markup import about_html, given_html, step_html, steps_html
from openstrawberry.ui.reading import Reading, Step, read, shortened
from openstrawberry.ui.summaries import read_summaries
from openstrawberry.ui.summarise import Summarised, summarise
from openstrawberry.ui.tree import is_tree
from openstrawberry.wording import counted

SHOWN = 100  # steps at a time
MOST = 2_000_000  # characters of a trace that a browser is sent; of a longer one, the longest texts are cut


def show_trace(trace: Trace, key: str, run: Path, place: Place) -> None:
    """All of it. `key` tells several readers on one page apart; `run` is where it stands."""
    reading = read(shortened(trace, MOST))
    put(f'<div class="card">{about_html(reading)}</div>')
    show_tree(reading.trace, f"tree-{key}")
    with st.container(horizontal=True):
        folded = len(reading.steps) > 1 and st.toggle("Titles only", key=f"titles-{key}")
        wanted = bool(reading.steps) and st.toggle("Summaries by a model", key=f"summaries-{key}")
    if wanted:
        _summaries(trace, key, run, place)
    told = read_summaries(run).told(read(trace))
    steps = _part(reading, key)
    shown = steps_html(steps, f"{key}-", told, not folded)
    put(
        given_html(reading)
        + (f'<div class="steps">{shown}</div>' if steps else '<p class="quiet">Nothing was said.</p>')
    )


def _part(reading: Reading, key: str) -> tuple[Step, ...]:
    """All steps, or of a long trace those that were chosen."""
    many = len(reading.steps)
    if many <= SHOWN:
        return reading.steps
    starts = range(0, many, SHOWN)
    start = st.selectbox(
        "Steps",
        starts,
        key=f"part-{key}",
        format_func=lambda at: f"{at + 1:,} to {min(at + SHOWN, many):,} of {many:,}",
    )
    return reading.steps[start : start + SHOWN]


def _summaries(trace: Trace, key: str, run: Path, place: Place) -> None:
    """Has a model write what blocks of steps come to. It is asked only when the button is pressed."""
    with st.container(border=True):
        one, two = st.columns([3, 1], vertical_alignment="bottom")
        models = [model for model in offered(place) if model != "berry"]
        model = one.selectbox(
            "Model that writes them", models, index=None, key=f"by-{key}", accept_new_options=True,
            placeholder="provider:name", help="It is shown question and steps; what it writes is kept in the run.",
        )  # fmt: skip
        wanted = two.button("Write", key=f"write-{key}", disabled=not model, width="stretch")
    if not wanted or not model:
        return
    try:
        if place.public:
            refuse_what_is_not_for_guests(model)
        with st.spinner("Reading the steps"):
            done = asyncio.run(summarise(run, trace, model, place.settings))
    except StrawberryError as error:
        say(str(error))
    else:
        _done(done)


def _done(done: Summarised) -> None:
    if done.error:
        say(f"{counted(done.failed, 'block')} could not be summarised: {done.error}")
    elif not done.written:
        say("It has summarised all of them before.", "note")


def show_tree(trace: Trace, key: str) -> None:
    """The tree of a search; nothing for a chat."""
    if not is_tree(trace):
        return
    branches = read(trace).branches
    put(f"<h3>The search: {counted(branches, 'reply', 'replies')} beside the way; click one to read it</h3>")
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
