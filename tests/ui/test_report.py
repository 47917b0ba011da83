"""A run as one HTML file: whole, safe, paged."""

import asyncio
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from openstrawberry.store.browsing import Browser, Wanted
from openstrawberry.store.run import RunDirectory
from openstrawberry.trace import Trace, Tree, turn_of
from openstrawberry.ui import report
from openstrawberry.ui.reading import read
from openstrawberry.ui.report import write_report
from openstrawberry.ui.summaries import Summary, blocks, keep_summaries
from tests.making import make_reply, make_trace
from tests.ui.test_reading import search

BAD = '<script>alert(1)</script><img src=x onerror=alert(1)>"><b style="x:url(http://evil)">\x1b[31m\u202e'


def run_of(path: Path, traces: list[Trace]) -> Path:
    async def fill() -> None:
        directory = RunDirectory(path / "run", {"model": "m"}, {})
        for trace in traces:
            await directory.add(trace)
        await directory.close()

    asyncio.run(fill())
    return path / "run"


class Seen(HTMLParser):
    """Tags, attributes and text of a page, and whether every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def hostile() -> Trace:
    trace = make_trace(1, text=BAD, status="incorrect")
    problem = trace.problem.model_copy(update={"question": BAD, "answer": BAD})
    verdict = trace.verdict.model_copy(update={"detail": BAD})
    harm = {"problem": problem, "answer": BAD, "verdict": verdict, "model": BAD, "id": 'x" onclick="alert(1)'}
    return trace.model_copy(update=harm)


def test_nothing_that_a_model_wrote_becomes_markup_and_nothing_is_loaded(tmp_path: Path) -> None:
    run = run_of(tmp_path, [hostile(), search()[0]])
    (block,) = blocks(read(hostile()))
    keep_summaries(run, [Summary(trace=hostile().id, block=block.key, model=BAD, text=BAD)])
    with Browser(run) as browser:
        (file,) = write_report(browser, tmp_path / "out.html")
    seen = Seen(file.read_text())
    assert not seen.open
    assert not {"script", "img", "link", "iframe", "b style"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert all(value.startswith("#") for name, value in seen.attributes if name in ("href", "src", "xlink:href"))
    assert "default-src 'none'" in file.read_text()
    assert "\x1b" not in file.read_text()
    assert '<p class="summary"><b>Step 1</b> &lt;script&gt;' in file.read_text()


def test_every_trace_is_there_with_its_steps_and_the_tree_of_a_search_links_to_replies(tmp_path: Path) -> None:
    with Browser(run_of(tmp_path, [search()[0]])) as browser:
        (file,) = write_report(browser, tmp_path / "out.html")
    seen = Seen(file.read_text())
    ids = {value for name, value in seen.attributes if name == "id"}
    links = {value[1:] for name, value in seen.attributes if name == "href"}
    assert len(links) == 5
    assert links <= ids


def test_a_large_run_is_paged_and_the_pages_link_to_one_another(tmp_path: Path) -> None:
    traces = [make_trace(number) for number in range(report.PER_PAGE * 2 + 1)]
    with Browser(run_of(tmp_path, traces)) as browser:
        files = write_report(browser, tmp_path / "out.html")
    assert [file.name for file in files] == ["out.html", "out-2.html", "out-3.html"]
    assert [file.read_text().count('<details class="trace') for file in files] == [200, 200, 1]
    assert re.findall(r'href="(out[^"]*)"', files[1].read_text())[:2] == ["out.html", "out-3.html"]
    ids = [value for file in files for name, value in Seen(file.read_text()).attributes if name == "id"]
    assert sum(each.startswith("t0") and "-" not in each for each in ids) == len(traces)


def test_long_traces_make_pages_of_less_than_five_megabytes(tmp_path: Path) -> None:
    traces = [make_trace(number, text="One step. " * 150_000) for number in range(5)]
    with Browser(run_of(tmp_path, traces)) as browser:
        files = write_report(browser, tmp_path / "out.html")
    assert len(files) == 3
    assert all(file.stat().st_size < 5_000_000 for file in files)


def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    traces = [make_trace(number, status=("correct", "incorrect")[number % 2]) for number in range(4)]
    with Browser(run_of(tmp_path, traces)) as browser:
        (file,) = write_report(browser, tmp_path / "out.html", Wanted(statuses=("incorrect",)))
        (none,) = write_report(browser, tmp_path / "none.html", Wanted(text="no such text"))
    assert file.read_text().count('<details class="trace incorrect"') == 2
    assert "No trace fits." in none.read_text()


def test_one_trace_of_many_megabytes_is_cut_in_the_middle_of_its_longest_texts(tmp_path: Path) -> None:
    tree = Tree()
    node = tree.add("user", "q", None)
    for text in ("short", "begin " + "<" * 3_000_000 + " end", "also short"):
        node = tree.add("assistant", text, node, reply=make_reply(text))
    turns = tuple(turn_of(node) for node in tree.nodes)
    trace = make_trace(0).model_copy(update={"messages": turns, "path": (0, 1, 2, 3)})
    with Browser(run_of(tmp_path, [trace])) as browser:
        (file,) = write_report(browser, tmp_path / "out.html")
    page = file.read_text()
    assert file.stat().st_size < 5_000_000
    assert all(f"<pre>{text}</pre>" in page for text in ("short", "also short"))
    assert "begin &lt;" in page
    assert "&lt; end</pre>" in page
    assert re.search(r"\[[\d,]+ characters left out\]", page)


def test_pages_link_to_one_another_whatever_their_names(tmp_path: Path) -> None:
    traces = [make_trace(number) for number in range(report.PER_PAGE + 1)]
    folder = run_of(tmp_path, traces).rename(tmp_path / os.fsdecode(b"<b>\xff"))
    with Browser(folder) as browser:
        first, _ = write_report(browser, tmp_path / "javascript:a#b%20 <i>.html")
    page = first.read_text()
    (link,) = set(re.findall(r'href="([^#][^"]*)"', page))
    assert link == "javascript%3Aa%23b%2520%20%3Ci%3E-2.html"
    assert (tmp_path / unquote(link)).exists()
    assert "<h1>&lt;b&gt;\ufffd</h1>" in page


def test_models_are_drawn_against_what_they_take_and_hints_and_silence_are_told_apart(tmp_path: Path) -> None:
    traces = [make_trace(number).model_copy(update={"model": f"m{number % 2}", "cost_usd": 0.5}) for number in range(4)]
    with Browser(run_of(tmp_path, [*traces, make_trace(9, status="unknown")])) as browser:
        (file,) = write_report(browser, tmp_path / "out.html")
    page = file.read_text()
    assert "4 of 4: 100.0%" in page  # what nobody checked is neither right nor wrong
    assert "<figcaption>Share right against tokens written per trace, with 95% intervals</figcaption>" in page
    assert "<figcaption>Share right against dollars per trace, with 95% intervals</figcaption>" in page
    assert ">m1 · strawberry</text>" in page


def test_spaces_and_joiners_of_any_script_are_text(tmp_path: Path) -> None:
    said = "5\u202fkm, 5\u00a0kg, نمی\u200cخواهم, 👩\u200d🚀"
    with Browser(run_of(tmp_path, [make_trace(0, text=said)])) as browser:
        (file,) = write_report(browser, tmp_path / "out.html")
    assert said in file.read_text()
