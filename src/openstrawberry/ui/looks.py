"""How the page looks: its style, and small pieces of HTML in which any text is text."""

import re
from collections.abc import Iterable, Sequence

import streamlit as st

from openstrawberry.ui.markup import TRACE_STYLE, text

STYLE = f"""
:root {{ --page: #f6f6f4; --card: #ffffff; --ink: #1d1f21; --quiet: #5d6469; --line: #d9dcdf; --good: #12704a;
  --bad: #b3261e; --accent: #c9223c; }}
.stMainBlockContainer {{ max-width: 1120px; padding: 1.2rem 1.5rem 4rem; margin: 0 auto; }}
@media (max-width: 640px) {{ .stMainBlockContainer {{ padding: 0.8rem 0.9rem 3rem; }} }}
h1 {{ font-size: 1.7rem !important; padding: 0 0 0.4rem !important; letter-spacing: -0.01em; }}
.berry {{ color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
  {TRACE_STYLE}
  pre {{ white-space: pre-wrap; overflow-wrap: anywhere; margin: 6px 0 10px; padding: 0; background: none; border: 0;
    font: 0.85rem/1.55 ui-monospace, monospace; color: var(--ink); }}
  p {{ margin: 0 0 8px; }}
  .quiet {{ color: var(--quiet); font-size: 0.9rem; }}
  .step {{ background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--line);
    border-radius: 8px; padding: 8px 14px; margin: 0; }}
  .step > summary {{ list-style: none; display: flex; flex-wrap: wrap; gap: 0 8px; align-items: baseline; }}
  .step > summary::-webkit-details-marker {{ display: none; }}
  .step > summary b {{ color: var(--accent); min-width: 1.2em; }}
  .step > summary .facts {{ margin-left: auto; }}
  .step.now {{ border-left-color: var(--accent); }}
  .step.aside {{ margin-left: 18px; border-left-color: var(--quiet); }}
  .figures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(100px, 1fr)); gap: 8px; }}
  .figures div {{ background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; }}
  .figures b {{ display: block; font-size: 1.15rem; font-variant-numeric: tabular-nums; white-space: nowrap; }}
  .figures span {{ color: var(--quiet); font-size: 0.8rem; }}
  .verdict {{ border: 1px solid var(--line); border-left: 5px solid var(--quiet); border-radius: 8px;
    background: var(--card); padding: 10px 16px; }}
  .verdict b {{ font-size: 1.15rem; }}
  .verdict.correct {{ border-left-color: var(--good); }} .verdict.correct .sign {{ color: var(--good); }}
  .verdict.incorrect, .verdict.error {{ border-left-color: var(--bad); }}
  .verdict.incorrect .sign {{ color: var(--bad); }}
  .wide {{ overflow-x: auto; }}
  table {{ border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; margin: 0; }}
  th, td {{ text-align: left; padding: 6px 14px 6px 0; border: 0; border-bottom: 1px solid var(--line);
    vertical-align: top; overflow-wrap: normal; }}
  th {{ color: var(--quiet); font-weight: 600; }}
  .number {{ text-align: right; white-space: nowrap; }}
  .card {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px; }}
  .card dl {{ margin: 0; padding: 0; }} .card dd, .card dt {{ margin: 0; padding: 0; }}
  .steps {{ display: grid; gap: 8px; }}
  h3 {{ font-size: 1rem; font-weight: 650; margin: 14px 0 2px; padding: 0; }}
  .bar {{ display: grid; grid-template-columns: minmax(4em, max-content) 1fr max-content; gap: 4px 12px;
    align-items: center; }}
  .bar i {{ display: block; height: 12px; border-radius: 6px; background: var(--quiet); min-width: 4px; }}
  .bar i.correct {{ background: var(--good); }} .bar i.incorrect {{ background: var(--bad); }}
}}
.stAppHeader {{ display: none; }}
.st-key-top {{ border-bottom: 1px solid var(--line); padding-bottom: 6px; }}
.brand {{ font: 700 1.05rem/1.5 system-ui, sans-serif; color: var(--accent); margin-right: 10px; }}
@media (max-width: 640px) {{ .berry table {{ font-size: 0.8rem; }} .berry th, .berry td {{ padding-right: 8px; }}
  .berry .number {{ white-space: normal; }}
  .berry .figures:has(> :nth-child(4):last-child) {{ grid-template-columns: 1fr 1fr; }}
  .berry .step > summary {{ display: block; }} .berry .step > summary .facts {{ display: block; }}
  .berry .card {{ padding: 12px; }} .berry .figures b {{ font-size: 1rem; }} }}
.stMultiSelect [data-tag] {{ background: var(--line); color: var(--ink); }}
.st-key-list button {{ justify-content: flex-start; text-align: left; }}
.st-key-list button p {{ overflow-wrap: anywhere; text-align: left; }}
.st-key-list button > div {{ justify-content: flex-start; }}
.st-key-list button[kind=primary] {{ background: var(--card); color: var(--accent); border-color: var(--accent); }}
"""
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$&:^=])")


def put(html: str) -> None:
    """Shows HTML whose texts are escaped already."""
    st.html(f'<div class="berry">{html}</div>')


def plain(given: str, limit: int = 0) -> str:
    """Text for a label of streamlit's, which reads Markdown: shown as it is, on one line, nothing loaded."""
    return _MARKS.sub(r"\\\1", short(given, limit or len(given)))


def short(given: str, limit: int = 80) -> str:
    """Text on one line, for the widgets that read no Markdown (choices in a list)."""
    words = " ".join(given.split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def say(given: str, kind: str = "error") -> None:
    """A sentence in a box: an error, or a remark."""
    put(f'<div class="verdict {kind}">{text(given)}</div>')


def figures(named: Iterable[tuple[str, str]]) -> None:
    """Numbers side by side, each with its name."""
    put(
        '<div class="figures">'
        + "".join(f"<div><b>{text(v)}</b><span>{text(n)}</span></div>" for n, v in named)
        + "</div>"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> None:
    """A table whose first `words` columns are text, the others numbers."""

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = ("" if place < words else ' class="number"' for place in range(len(cells)))
        return (
            "<tr>" + "".join(f"<{tag}{kind}>{text(c)}</{tag}>" for kind, c in zip(kinds, cells, strict=True)) + "</tr>"
        )

    body = "".join(line("td", row) for row in rows)
    put(f'<div class="card wide"><table><thead>{line("th", header)}</thead><tbody>{body}</tbody></table></div>')


def dollars(amount: float | None) -> str:
    """An amount of money, small ones with more digits; a question mark where it is unknown."""
    if amount is None or amount < 0:
        return "?"
    return "$0" if amount == 0 else f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def count(number: int | None) -> str:
    """A number of tokens; a question mark where nobody said."""
    return "?" if number is None or number < 0 else f"{number:,}"
