"""How a conversation looks while it goes on and when it has ended."""

import time

import streamlit as st

from openstrawberry.trace import Trace
from openstrawberry.ui.looks import count, dollars, figures, put, say
from openstrawberry.ui.markup import folded, said_html, step_html, text
from openstrawberry.ui.reading import read
from openstrawberry.ui.session import Conversation, View
from openstrawberry.ui.transcript import Block, Lane, Votes, spread, winner
from openstrawberry.ui.views.reader import show_tree

SHOWN = 120  # steps of a long trace that are drawn; the newest


def draw(talk: Conversation, view: View) -> None:
    """Everything that changes while it goes on."""
    put(f'<div class="card"><div class="quiet">{text(talk.config.model)} · {text(talk.config.strategy)}</div>'
        f"{text(talk.question)}</div>")  # fmt: skip
    sums = view.totals
    figures([
        ("replies", f"{sums.replies:,}"),
        ("tokens in", count(sums.input) if sums.replies else "0"),
        ("from cache", count(sums.cached) if sums.replies else "0"),
        ("tokens out", count(sums.output) if sums.replies else "0"),
        ("cost", dollars(sums.dollars) if sums.replies else "$0"),
        ("seconds", f"{view.seconds:.1f}"),
    ])  # fmt: skip
    if view.error:
        say(view.error)
    if view.running and view.trouble:
        say(view.trouble, "note")
    if len(view.lanes) > 1:
        _spread(view)
        _pick(view.lanes)
    lane = _chosen(view.lanes)
    if lane is None:
        if view.running:
            put('<p class="quiet">Getting ready …</p>')
        return
    _verdict(lane.trace, view)
    _steps(lane, view.running)


def _verdict(trace: Trace | None, view: View) -> None:
    """The answer, and whether it is right."""
    if trace is None:
        put(f'<div class="verdict"><b>{"Thinking …" if view.running else "Stopped"}</b></div>')
        return
    reading = read(trace)
    known = f" · the right answer is {text(trace.problem.answer)}" if trace.verdict.status == "incorrect" else ""
    kind = "error" if trace.owed else trace.verdict.status
    answer = text(trace.answer or "No answer", 400)
    put(
        f'<div class="verdict {kind}"><b><span class="sign">{reading.sign}</span> {answer}</b> '
        f'<span class="quiet">{text(reading.outcome)}{known}</span></div>'
    )


def draw_end(view: View) -> None:
    """What is there once it has ended: the tree of a search, and the record to take along."""
    lane = _chosen(view.lanes)
    if lane is None or lane.trace is None:
        if view.state == "stopped":
            put('<p class="quiet">Stopped. Replies that were whole are kept in the run directory.</p>')
        return
    show_tree(lane.trace, "tree-asked")
    record = lane.trace.model_dump_json(by_alias=True, indent=2)
    with st.container(horizontal=True):
        st.download_button("Download the trace", record, f"trace-{lane.trace.id}.json", "application/json", key="save")
        with st.popover("Copy the trace"):
            st.code(record, language="json", height=260)


def _spread(view: View) -> None:
    """The answers of several traces, and the vote."""
    traces = view.traces
    votes = spread(traces)
    silent = len(traces) - sum(vote.count for vote in votes)
    chosen = winner(votes)
    bars = "".join(_bar(vote, len(traces)) for vote in votes)
    bars += _bar(Votes("no answer", silent, None), len(traces)) if silent else ""
    told = f"The vote: {text(chosen.answer, 200)}" if chosen else "No answer has the most votes" if traces else ""
    sign = {True: " ✓ right", False: " ✗ wrong", None: ""}[chosen.right] if chosen else ""
    put(f'<div class="card votes"><p><b>{told}{sign}</b> <span class="quiet">{len(traces)} of {len(view.lanes)} '
        f'traces have ended</span></p><div class="bar">{bars}</div></div>')  # fmt: skip


def _bar(vote: Votes, whole: int) -> str:
    kind = {True: "correct", False: "incorrect", None: ""}[vote.right]
    bar = f'<i class="{kind}" style="width:{100 * vote.count / whole:.0f}%"></i>'
    return f"<span>{text(vote.answer, 60)}</span><span>{bar}</span><span>{vote.count}</span>"


def _chosen(lanes: list[Lane]) -> Lane | None:
    """The trace whose steps are shown."""
    by_sample = {lane.sample: lane for lane in lanes}
    return by_sample.get(st.session_state.get("sample", 0), lanes[0] if lanes else None)


def _pick(lanes: list[Lane]) -> None:
    """Which of several traces is shown."""
    samples = [lane.sample for lane in lanes]
    st.selectbox("Trace", samples, format_func=lambda sample: f"{sample + 1} of {len(samples)}", key="sample")


def _steps(lane: Lane, running: bool) -> None:
    blocks = lane.blocks if running else [block for block in lane.blocks if block.node is not None]
    if blocks and len(before := blocks[0].after.path()) > 1:
        put(folded("what was said before", (said_html(n.role, n.content) for n in before[:-1]), "asked"))
    if len(blocks) > SHOWN:
        put(f'<p class="quiet">The newest {SHOWN} of {len(blocks):,} steps; all of them are in Runs.</p>')
    for number, block in list(enumerate(blocks, start=1))[-SHOWN:]:
        kind = "step" if block.role == "solver" else "step aside"
        put(step_html(block.step(number), "s", kind) if block.node is not None else _growing(number, block, kind))


def _growing(number: int, block: Block, kind: str) -> str:
    """A reply that is still coming."""
    asked = block.after.content.strip().splitlines() if block.after.role == "user" else []
    told = f'<p class="asked">→ {text(asked[-1], 110)}</p>' if asked else ""
    thought = f'<pre class="quiet">{text(block.thought)}</pre>' if block.thought else ""
    name = "thinking" if block.role == "solver" else block.role
    return (
        f'<details class="{kind} now" open><summary><b>{number}</b> {name} …'
        f'<span class="facts">{time.monotonic() - block.began:.1f} s</span></summary>{told}{thought}'
        f"<pre>{text(block.text)}</pre></details>"
    )
