"""A run as one HTML file that needs nothing else: to be opened from disk, sent to a friend, attached to a pull request.

No script, no address that is loaded: folding is `<details>`, filtering is CSS. What a model wrote is text, escaped
wherever it stands. A run of more than `PER_PAGE` traces, or more than `PAGE_BYTES`, becomes several pages that link to
one another.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openstrawberry.evaluation.page import HEAD, STYLE, Figure, figure_html
from openstrawberry.evaluation.plots import bars, dots, lines
from openstrawberry.stats import wilson
from openstrawberry.store.browsing import EVERYTHING, Browser, Order, Row, Tally, Wanted
from openstrawberry.store.files import write_whole
from openstrawberry.ui.markup import TRACE_STYLE, text, trace_html
from openstrawberry.ui.measures import by_difficulty, by_name, share, takes, together
from openstrawberry.ui.reading import WORDS, read, shortened
from openstrawberry.ui.summaries import Kept, read_summaries

PER_PAGE, PAGE_BYTES = 200, 4_500_000
LEAST = 100_000  # characters of a trace, however long its texts are
_KINDS = (("all", "All"), ("correct", "Right"), ("incorrect", "Wrong"), ("no_answer", "No answer"), ("other", "Other"))


def write_report(browser: Browser, file: Path, wanted: Wanted = EVERYTHING, order: Order = "file") -> list[Path]:
    """Writes the traces that fit; returns the pages: `file`, and `NAME-2.html` and so on beside it.

    Raises:
        SetupError: the folder cannot be written to.
    """
    files: list[Path] = []
    pages = _pages(browser, wanted, order)
    body: str | None = next(pages)
    while body is not None:
        following = next(pages, None)  # one page ahead: a large run is never in memory as a whole
        number = len(files) + 1
        above, below = (_links(file, number, following is not None, where) for where in ("above", "below"))
        front = _about(browser, wanted) if number == 1 else ""
        files.append(_page_file(file, number))
        write_whole(files[-1], _whole(browser, front + _filter() + above + body + below))
        body = following
    return files


def _page_file(file: Path, number: int) -> Path:
    return file if number == 1 else file.with_name(f"{file.stem}-{number}{file.suffix}")


def _pages(browser: Browser, wanted: Wanted, order: Order) -> Iterator[str]:
    """The traces as HTML, page by page."""
    kept = read_summaries(browser.path)
    parts: list[str] = []
    size = 0
    for row in _rows(browser, wanted, order):
        shown = _trace(browser, row, kept)
        if parts and (len(parts) == PER_PAGE or size + len(shown.encode()) > PAGE_BYTES):
            yield "\n".join(parts)
            parts, size = [], 0
        parts.append(shown)
        size += len(shown.encode())
    yield "\n".join(parts) or '<p class="quiet">No trace fits.</p>'


def _trace(browser: Browser, row: Row, kept: Kept) -> str:
    """One trace; of one that is too long for a page, the longest texts are cut in their middles."""
    whole = read(browser.read(row))
    told = kept.told(whole)
    shown, most = trace_html(whole, row, told), PAGE_BYTES
    while len(shown.encode()) > PAGE_BYTES and most > LEAST:
        most //= 2
        shown = trace_html(read(shortened(whole.trace, most)), row, told)
    return shown


def _rows(browser: Browser, wanted: Wanted, order: Order) -> Iterator[Row]:
    for start in range(0, browser.count(wanted), PER_PAGE):
        yield from browser.page(wanted, start=start, size=PER_PAGE, order=order)


def _about(browser: Browser, wanted: Wanted) -> str:
    """What this run is, and how it went, in figures."""
    config: dict[str, Any] = browser.run.get("config") or {}
    counts = browser.counts("status")
    groups = together(browser.tally("model", "strategy"))
    judged, right = sum(tally.judged for tally in groups), sum(tally.right for tally in groups)
    low, high = wilson(right, judged)
    rows = [("model", ", ".join(browser.counts("model"))), ("strategy", ", ".join(browser.counts("strategy")))]
    rows += [("problems", str(config.get("problems", "")))] if config.get("problems") else []
    rows += [("traces", f"{browser.count():,}")]
    if judged:
        rows += [("right", f"{right:,} of {judged:,}: {right / judged:.1%} (95% interval {low:.1%} to {high:.1%})")]
    others = [f"{count:,} {WORDS.get(name, name)}" for name, count in counts.items() if name != "correct"]
    hinted = counts.get("correct", 0) - right
    others += [f"{hinted:,} right only with a hint"] if hinted else []
    rows += [("not", ", ".join(others))] if others else []
    shown = browser.count(wanted)
    rows += [("shown here", f"{shown:,}")] if shown != browser.count() else []
    facts = "".join(f"<dt>{name}</dt><dd>{text(value)}</dd>" for name, value in rows if value)
    return f"<section><dl>{facts}</dl>{''.join(map(figure_html, _figures(browser, groups)))}</section>"


def _figures(browser: Browser, groups: Sequence[Tally]) -> Iterator[Figure]:
    named = by_name(groups)
    if len(named) > 1:
        shares = {name: share(tally) for name, tally in named.items()}
        yield Figure(bars(shares, name="groups"), "Share right, with 95% intervals")
        for what, series in takes(named).items():
            drawn = dots(series, what, "share right", name=what)
            yield Figure(drawn, f"Share right against {what}, with 95% intervals")
    sizes = by_difficulty(together(browser.tally("model", "strategy", "family", "difficulty")), named)
    for family, series in sizes.items():
        drawn = lines(series, "difficulty", "share right", name=f"sizes-{family}")
        yield Figure(drawn, f"{family}: share right by difficulty, with 95% intervals")


def _filter() -> str:
    """Buttons that hide traces; they come before what they filter, so that CSS alone can do it."""
    radios = "".join(
        f'<input type="radio" name="show" id="show-{kind}"{" checked" if kind == "all" else ""}>'
        f'<label for="show-{kind}">{word}</label>'
        for kind, word in _KINDS
    )
    return f"<fieldset><legend>Show</legend>{radios}</fieldset>"


def _links(file: Path, number: int, more: bool, where: str) -> str:
    if number == 1 and not more:
        return ""
    places = [("first page", 1)] if number > 2 else []
    places += [("previous page", number - 1)] if number > 1 else []
    places += [("next page", number + 1)] if more else []
    links = (f'<a href="{_address(_page_file(file, place))}">{word}</a>' for word, place in places)
    return f'<nav aria-label="pages, {where}"><b>Page {number}</b> {" ".join(links)}</nav>'


def _address(file: Path) -> str:
    """A file beside this one, whatever letters its name has."""
    return quote(os.fsencode(file.name))


def _whole(browser: Browser, body: str) -> str:
    title = text(browser.path.resolve().name)
    return (
        f"{HEAD}<title>{title}</title>\n<style>{STYLE}{TRACE_STYLE}{_OWN_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


_OWN_STYLE = """
fieldset { border: 0; padding: 0; margin: 0 0 12px; display: flex; flex-wrap: wrap; gap: 6px; }
legend { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
fieldset input { position: absolute; opacity: 0; }
fieldset label { border: 1px solid var(--line); background: var(--card); border-radius: 999px; padding: 4px 12px;
  cursor: pointer; }
fieldset input:checked + label { border-color: var(--accent); color: var(--accent); font-weight: 600; }
fieldset input:focus-visible + label { outline: 2px solid var(--accent); outline-offset: 2px; }
main:has(#show-correct:checked) .trace:not(.correct), main:has(#show-incorrect:checked) .trace:not(.incorrect),
main:has(#show-no_answer:checked) .trace:not(.no_answer), main:has(#show-other:checked) .trace:not(.other) {
  display: none; }
nav { margin: 0 0 12px; display: flex; flex-wrap: wrap; gap: 8px; }
a { color: var(--accent); }
@media print { body { background: none; } fieldset, nav { display: none; } .trace, .step { break-inside: avoid-page; }
  details::details-content { content-visibility: visible; display: block; height: auto; } }
"""
