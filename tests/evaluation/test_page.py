from html.parser import HTMLParser

from openstrawberry.evaluation.page import Document, Figure, Listing, Paragraph, Section, Table, to_html, to_markdown
from openstrawberry.evaluation.plots import bars

BAD = "<script>alert(1)</script> & | *b* `c` [d](javascript:e) \n# f"
BARS = bars({BAD: (0.5, 0.4, 0.6)})
DOCUMENT = Document(
    BAD,
    [
        Section("", [Paragraph("fine", "good")]),
        Section(BAD, [Paragraph(BAD), Table((BAD, "n"), [(BAD, "1")]), Listing(BAD), Figure(BARS, BAD)]),
    ],
)


class Tags(HTMLParser):
    """Collects the tags of a page, and checks that they close in order."""

    VOID = ("meta", "use", "path", "rect", "br")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.ids += [value or "" for name, value in attributes if name == "id"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.ids += [value or "" for name, value in attributes if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert not tags.open
    return tags


def test_text_is_text_in_the_page_whoever_wrote_it() -> None:
    page = to_html(DOCUMENT)
    assert "script" not in read(page).seen
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 7


def test_the_page_needs_nothing_from_anywhere() -> None:
    page = to_html(DOCUMENT)
    assert {"link", "img", "iframe", "object", "a"} & set(read(page).seen) == set()
    assert "default-src 'none'" in page
    assert not [part for part in page.split('"') if part.startswith("http") and "www.w3.org" not in part]


def test_two_figures_in_one_page_share_no_id() -> None:
    figures = [Figure(bars({"a": (0.5, 0.4, 0.6)}, name=name), "") for name in ("one", "two")]
    ids = read(to_html(Document("", [Section("", figures)]))).ids
    assert ids
    assert len(ids) == len(set(ids))


def test_markdown_shows_text_as_it_is_in_one_line_per_row() -> None:
    text = to_markdown(DOCUMENT)
    assert "<script" not in text.replace(f"```sh\n{BAD}\n```", "")
    shown = r"&lt;script&gt;alert(1)&lt;/script&gt; &amp; \| \*b\* \`c\` \[d\](javascript:e) # f"
    assert f"| {shown} | n |\n| --- | ---: |\n| {shown} | 1 |" in text
    assert f"# {shown}\n" in text
    assert "**fine**" in text


def test_a_listing_with_fences_in_it_stays_a_listing() -> None:
    assert "````sh\n```\n````" in to_markdown(Document("", [Section("", [Listing("```")])]))
