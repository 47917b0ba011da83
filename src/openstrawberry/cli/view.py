"""`strawberry view RUN`: looks through a run, reads one trace, or writes it all as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from openstrawberry.cli import options as o

Run = Annotated[Path | None, typer.Argument(help="Run directory (default: the newest in traces/).")]
Which = Annotated[str | None, typer.Option("--trace", help="Read this trace: its number in the list, or its id.")]
Html = Annotated[
    Path | None, typer.Option(help="Write one HTML file that needs nothing else, for a browser or a friend.")
]
Status = Annotated[
    list[str] | None, typer.Option(help="Only these: right, wrong, no-answer, unchecked, timeout, error; several.")
]
Text = Annotated[str | None, typer.Option(help="Only traces whose question or answer holds this text.")]
Limit = Annotated[int | None, typer.Option(min=1, help="How many traces the list shows (default: 20).")]


def command(
    run: Run = None,
    trace: Which = None,
    html: Html = None,
    status: Status = None,
    text: Text = None,
    limit: Limit = None,
    json: o.Json = None,
) -> None:
    """Look through a run: its traces in a list, one trace step by step, or all of it as one HTML file."""
    from openstrawberry.cli import viewing
    from openstrawberry.store.browsing import Browser
    from openstrawberry.store.reading import newest

    with Browser(run or newest(Path("traces"))) as browser:
        wanted = viewing.wanted_of(status or [], text or "")
        if trace is not None:
            viewing.show_trace(browser, wanted, trace, bool(json))
        elif html is not None:
            viewing.show_written(browser, wanted, html, bool(json))
        else:
            viewing.show_list(browser, wanted, limit or 20, bool(json))
