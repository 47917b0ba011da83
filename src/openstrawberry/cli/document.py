"""Shows a report (`evaluation/page.py`) in the terminal: everything but its drawings and details."""

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from openstrawberry.cli.render import clean
from openstrawberry.evaluation.page import Block, Document, Listing, Paragraph, Table

_STYLES = {"good": "bold green", "bad": "bold red", "quiet": "dim"}


def show_document(console: Console, document: Document) -> None:
    """Title, paragraphs and tables. Text in them is shown as text, whoever wrote it."""
    console.print()
    console.print(Text(clean(document.title), style="bold"), soft_wrap=True)
    for section in document.sections:
        if section.detail:
            continue
        console.print()
        if section.heading:
            console.print(Text(clean(section.heading), style="bold red"))
        for block in section.blocks:
            _show(console, block)


def _show(console: Console, block: Block) -> None:
    if isinstance(block, Paragraph):
        console.print(Text(clean(block.text), style=_STYLES.get(block.tone, "")))
    elif isinstance(block, Listing):
        console.print(Text(clean(block.text)), soft_wrap=True)
    elif isinstance(block, Table):
        table = RichTable(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for place, name in enumerate(block.header):
            table.add_column(Text(clean(name)), justify="left" if place < block.words else "right", no_wrap=place == 0)
        for row in block.rows:
            table.add_row(*(Text(clean(cell)) for cell in row))
        console.print(table)
