"""A report as a document that is written once and read anywhere: in the terminal, as Markdown, as one HTML file.

A `Document` is a title and sections; a section is a heading and blocks: paragraphs, tables, figures. What always holds:
text is text, whoever wrote it (a model, a file): it is escaped wherever it is put, and the page allows no script and no
address to be loaded. The terminal's rendering is in `cli/document.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Tone = Literal["plain", "good", "bad", "quiet"]


@dataclass(frozen=True)
class Paragraph:
    """One or more sentences. `tone` colours what is good or bad news; `quiet` is a remark."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Listing:
    """Something to be copied as it is, such as a command."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first `words` columns are text, the others numbers (right-aligned)."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True)
class Figure:
    """A drawing, as the SVG that `plots.py` makes, and what it shows. Only the page has the drawing itself."""

    svg: str
    caption: str


Block = Paragraph | Listing | Table | Figure


@dataclass(frozen=True)
class Section:
    """A heading (may be empty, for what stands first) and what stands below it; the terminal leaves out `detail`."""

    heading: str
    blocks: Sequence[Block]
    detail: bool = False


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    sections: Sequence[Section]


def to_markdown(document: Document) -> str:
    """The document for a repository or an issue. Figures are left out: they are in the page."""
    parts = [f"# {_inline(document.title)}"]
    for section in document.sections:
        if section.heading:
            parts.append(f"## {_inline(section.heading)}")
        parts += [text for block in section.blocks if (text := _markdown(block))]
    return "\n\n".join(parts) + "\n"


def to_html(document: Document) -> str:
    """The document as one file that needs nothing else; light or dark as the reader's system is."""
    body = "\n".join(_section(section) for section in document.sections)
    title = escape(document.title)
    return (
        f"{HEAD}<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _markdown(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"**{_inline(block.text)}**" if block.tone in ("good", "bad") else _inline(block.text)
    if isinstance(block, Listing):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
        return f"{fence}sh\n{block.text}\n{fence}"
    if isinstance(block, Table):
        rules = ["---" if place < block.words else "---:" for place in range(len(block.header))]
        rows = [list(map(_inline, block.header)), rules, *(list(map(_inline, row)) for row in block.rows)]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return ""


def _inline(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escape(" ".join(text.split()), quote=False))


def _section(section: Section) -> str:
    heading = f"<h2>{escape(section.heading)}</h2>\n" if section.heading else ""
    return f"<section>\n{heading}" + "\n".join(_html(block) for block in section.blocks) + "\n</section>"


def _html(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f'<p class="{block.tone}">{escape(block.text)}</p>'
    if isinstance(block, Listing):
        return f"<pre>{escape(block.text)}</pre>"
    if isinstance(block, Figure):
        return figure_html(block)
    head = _row("th", block.header, block.words)
    rows = "\n".join(_row("td", row, block.words) for row in block.rows)
    return f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def figure_html(figure: Figure) -> str:
    """A drawing with its caption, which is also what is told to those who cannot see it."""
    caption = escape(figure.caption)
    svg = figure.svg.replace("<svg", f'<svg role="img" aria-label="{caption}"', 1)
    return f"<figure>\n{svg}\n<figcaption>{caption}</figcaption>\n</figure>"


def _row(tag: str, cells: Sequence[str], words: int) -> str:
    made = (
        f"<{tag}{'' if place < words else ' class=number'}>{escape(cell)}</{tag}>" for place, cell in enumerate(cells)
    )
    return f"<tr>{''.join(made)}</tr>"


_POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'\">"
)
HEAD = (  # of every page that we write: no script runs, nothing is loaded
    f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{_POLICY}\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
)

STYLE = """
:root { --page: #f6f6f4; --card: #ffffff; --ink: #1d1f21; --quiet: #5d6469; --line: #d9dcdf; --good: #12704a;
  --bad: #b3261e; --accent: #c9223c; }
@media (prefers-color-scheme: dark) { :root { --page: #131517; --card: #1c1f22; --ink: #e8eaec; --quiet: #a2a9af;
  --line: #3a3f44; --good: #5fd3a0; --bad: #ff8a80; --accent: #ff6b81; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 880px; margin: 0 auto; padding: 20px 16px 48px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 12px 0 16px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 12px; color: var(--accent); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px;
  margin: 0 0 16px; }
p { margin: 0 0 10px; overflow-wrap: anywhere; max-width: 72ch; }
section > :last-child { margin-bottom: 0; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.quiet { color: var(--quiet); font-size: 0.9rem; }
.wide { overflow-x: auto; margin: 0 -20px 10px; padding: 0 20px; }
table { border-collapse: collapse; font-size: 0.9rem; min-width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; max-width: 46ch; }
th { color: var(--quiet); font-weight: 600; vertical-align: bottom; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 10px; font: 0.85rem/1.5 ui-monospace, monospace; }
figure { margin: 0 0 14px; }
figure svg { display: block; width: 100%; max-width: 580px; height: auto; }
@media (max-width: 600px) { main { padding: 8px 8px 32px; } section { padding: 14px; } .wide { margin: 0 -14px 10px;
  padding: 0 14px; } }
figcaption { color: var(--quiet); font-size: 0.9rem; margin-top: 4px; }
"""
