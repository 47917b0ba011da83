"""How an evaluation looks while it goes on: each row as `generate` shows a run, and the report at the end."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from openstrawberry.cli.document import show_document
from openstrawberry.cli.jsonview import JsonView
from openstrawberry.cli.live import RunView, TextView
from openstrawberry.cli.render import clean, json_line
from openstrawberry.evaluation.evaluate import EvalEvent, RowEnded, RowStarted
from openstrawberry.evaluation.report import REPORT, Report
from openstrawberry.evaluation.story import share, tell
from openstrawberry.wording import counted


class EvalView:
    """Live on a terminal, plain when piped, one JSON object per line with `json`."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self._console = Console()
        self._view: RunView | None = None

    def chosen(self, why: str, command: str) -> None:
        """What was filled in for a bare command, and the full command it stands for."""
        if self._json:
            json_line(event="chosen", why=why, command=command)
        else:
            self._console.print(Text(clean(why)), soft_wrap=True)
            self._console.print(Text(clean(command), style="dim"), soft_wrap=True)

    def hear(self, event: EvalEvent) -> None:
        """Shows one event."""
        if isinstance(event, RowStarted):
            self._row_started(event)
        elif isinstance(event, RowEnded):
            self._row_ended(event)
        elif self._view is not None:
            self._view.hear(event)

    def stop(self) -> None:
        """Takes the live display down."""
        if self._view is not None:
            self._view.stop()
            self._view = None

    def end(self, report: Report) -> None:
        """The report, and where it is to be read."""
        if self._json:
            json_line(event="report", **report.model_dump(mode="json", by_alias=True))
            return
        show_document(self._console, tell(report, drawings=False))
        self._console.print()
        folder = Path(report.path)
        for name in (REPORT, "report.md", "report.html"):
            self._console.print(Text(f"{folder / name}"), soft_wrap=True)

    def _row_started(self, event: RowStarted) -> None:
        if self._json:
            json_line(event="row", name=event.entry.name, number=event.number, of=event.of)
            self._view = JsonView()
        else:
            self._console.print()
            title = f"{event.number} of {event.of}  {clean(event.entry.name)}"
            self._console.print(Text(title, style="bold"), soft_wrap=True)
            self._view = TextView(self._console, brief=True)
        self._view.start(event.run)

    def _row_ended(self, event: RowEnded) -> None:
        view, self._view = self._view, None
        if view is not None:
            view.stop()
        summary = event.summary
        if self._json:
            if view is not None:
                view.summary(summary)
            return
        replayed = f", {summary.replies_replayed:,} replayed" if summary.replies_replayed else ""
        asked = counted(summary.replies_asked, "reply", "replies")
        made = f"{counted(summary.made, 'trace')} made now, {asked}{replayed}, {summary.seconds:.1f} s"
        self._console.print(Text(f"  right {share(event.row.overall.accuracy)} · {made}"), soft_wrap=True)
