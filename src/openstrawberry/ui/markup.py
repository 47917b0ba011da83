"""A trace as HTML: what the report file and the page share, so that both look alike.

What a model wrote is text, escaped wherever it stands; folding is `<details>`.
"""

import re
from collections.abc import Iterable, Mapping
from html import escape

from openstrawberry.store.browsing import Row
from openstrawberry.trace import Turn
from openstrawberry.ui.reading import SIGNS, Reading, Side, Step
from openstrawberry.ui.summaries import Told
from openstrawberry.ui.tree import draw, is_tree, replies
from openstrawberry.wording import counted, steers

SHORT = 110  # characters of a user turn that is shown without being unfolded
_NOT_A_NAME = re.compile(r"[^\w-]")


def trace_html(reading: Reading, row: Row, told: Mapping[int, Told]) -> str:
    """One trace, folded; its steps are folded in turn. `told`: the summaries that stand before them."""
    trace = reading.trace
    status = row.status if row.status in SIGNS and not trace.owed else "other"
    name = f"t{_NOT_A_NAME.sub('', trace.id)}-"
    answer = trace.answer or "no answer"
    tokens = f"{row.output:,} tokens" if row.output >= 0 else ""
    facts = " · ".join(filter(None, (f"{row.turns:,} turns", tokens, f"{row.seconds:.1f} s")))
    body = [about_html(reading), given_html(reading), steps_html(reading.steps, name, told)]
    if is_tree(trace):
        body.append(
            f"<h2>The search: {counted(reading.branches, 'reply', 'replies')} beside the way</h2>{_tree(reading, name)}"
        )
    return (
        f'<details class="trace {status}" id="{name[:-1]}"><summary><span class="sign {status}">{reading.sign}</span>'
        f'<span class="what">{text(trace.problem.question, 160)}</span>'
        f'<span class="facts">{text(answer, 60)} · {facts}</span></summary>\n' + "\n".join(body) + "</details>"
    )


def about_html(reading: Reading) -> str:
    """The question, the answer, the verdict and who made it."""
    trace = reading.trace
    detail = f" ({trace.verdict.detail})" if trace.verdict.detail else ""
    rows = [("question", trace.problem.question), ("answer", trace.answer or "no answer")]
    rows += [("known answer", trace.problem.answer)] if trace.problem.answer else []
    rows += [("verdict", reading.outcome + detail)]
    rows += [("made by", f"{trace.model} · {trace.strategy} · sample {trace.sample}")]
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text(value)}</dd>" for name, value in rows) + "</dl>"


def given_html(reading: Reading) -> str:
    """What stood before the question, folded; nothing where nothing did."""
    return folded("what was said before", map(_turn, reading.given), "asked") if reading.given else ""


def steps_html(steps: Iterable[Step], name: str, told: Mapping[int, Told], unfolded: bool = True) -> str:
    """Steps one after another, each block of them below its summary where there is one."""
    return "".join(
        (summary_html(told[step.index]) if step.index in told else "") + step_html(step, name, unfolded=unfolded)
        for step in steps
    )


def summary_html(told: Told) -> str:
    """What a model said of some steps."""
    by = f'<span class="facts">{text(told.model)}</span>'
    return f'<p class="summary"><b>{text(told.name)}</b> {text(told.text)} {by}</p>'


def step_html(step: Step, name: str, kind: str = "step", unfolded: bool = True) -> str:
    """One step: its title, and below it what was asked, what was thought and said, and what others said of it.

    Its id is `name` and its place in the trace, its class `kind`.
    """
    asked = _asked(step.asked) if step.asked else ""
    thought = folded("thought before", [text(step.turn.reasoning)], "asked") if step.turn.reasoning else ""
    sides = "".join(map(_side, step.sides))
    opened = " open" if unfolded else ""
    return (
        f'<details class="{kind}"{opened} id="{name}{step.index}"><summary><b>{step.number}</b> {text(step.title)} '
        f'<span class="facts">{text(step.facts)}</span></summary>'
        f"{asked}{thought}<pre>{text(step.turn.content)}</pre>{sides}</details>"
    )


def _asked(said: str) -> str:
    """What was asked before a step: a short line as it is, a long text folded."""
    if len(said) <= SHORT and "\n" not in said:
        return f'<p class="asked">→ {text(said)}</p>'
    return folded("asked", [f"<pre>{text(said)}</pre>"], "asked")


def _side(side: Side) -> str:
    last = side.turns[-1].content if side.turns else ""
    return folded(f"{side.channel}: {' '.join(last.split())[:90]}", map(_turn, side.turns), "side")


def _tree(reading: Reading, name: str) -> str:
    """The drawing, and the replies that stand beside the way, to be led to from it."""
    on_path, turns = set(reading.trace.path), reading.trace.messages
    others = (_branch(turns[index], f"{name}{index}") for index in replies(reading.trace) if index not in on_path)
    return f'<div class="wide">{draw(reading.trace, name)}</div>' + folded("branches not taken", others, "asked")


def _branch(turn: Turn, name: str) -> str:
    return (
        f'<details class="step branch" id="{name}"><summary>{text(turn.title or "reply")} '
        f'<span class="facts">value {turn.value:.2f} · {counted(turn.visits, "visit")}</span></summary>'
        f"<pre>{text(turn.content)}</pre></details>"
    )


def _turn(turn: Turn) -> str:
    return said_html(turn.role, turn.content)


def said_html(role: str, content: str) -> str:
    """What somebody said."""
    return f'<p class="who">{role}</p><pre>{text(content)}</pre>'


def folded(title: str, parts: Iterable[str], kind: str) -> str:
    """`parts` below a title that a click opens."""
    return f'<details class="{kind}"><summary>{text(title)}</summary>{"".join(parts)}</details>'


def text(given: str, limit: int = 0) -> str:
    """Any text as text: escaped, cut to `limit` characters, without letters that steer a terminal or turn the line."""
    shown = given if not limit or len(given) <= limit else given[: limit - 1].rstrip() + "…"
    return escape("".join("\ufffd" if steers(c) else c for c in shown))


TRACE_STYLE = """
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 0 0 12px; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
summary { cursor: pointer; }
.trace { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 0 0 8px; }
.trace > summary { display: grid; grid-template-columns: 1.4em 1fr; gap: 0 6px; padding: 10px 14px; list-style: none; }
.trace > summary::-webkit-details-marker { display: none; }
.trace > :not(summary) { margin-left: 14px; margin-right: 14px; }
.trace[open] > summary { border-bottom: 1px solid var(--line); margin-bottom: 12px; }
.what { overflow-wrap: anywhere; }
.facts { color: var(--quiet); font-size: 0.85rem; overflow-wrap: anywhere; }
.trace > summary .facts { grid-column: 2; }
.sign { font-weight: 700; }
.sign.correct { color: var(--good); }
.sign.incorrect, .sign.other { color: var(--bad); }
.step { border-left: 3px solid var(--line); padding: 2px 0 2px 12px; margin: 0 0 10px; }
.step:target { border-left-color: var(--accent); }
.step pre { margin: 6px 0; }
.summary { border-left: 3px solid var(--accent); padding: 2px 0 2px 12px; margin: 12px 0 8px; overflow-wrap: anywhere; }
.asked, .side { font-size: 0.9rem; color: var(--quiet); margin: 4px 0; }
.side { border-left: 3px solid var(--accent); padding-left: 10px; }
.trace h2 { color: inherit; font-size: 0.95rem; margin: 10px 0 6px; }
.who { color: var(--quiet); font-size: 0.95rem; font-weight: 600; margin: 10px 0 6px; }
.tree { display: block; height: auto; }
.tree path { stroke: var(--line); stroke-width: 1.5; fill: none; }
.tree path.way { stroke: var(--accent); stroke-width: 2.5; }
.tree rect { fill: var(--accent); }
.tree circle { fill: var(--good); stroke: var(--quiet); stroke-width: 1; }
.tree circle.way { stroke: var(--accent); stroke-width: 2.5; }
.tree text { font-size: 8px; text-anchor: middle; fill: var(--quiet); }
"""
