"""The report of an evaluation: `report.json` with every number, and the same to read as Markdown and as a page."""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openstrawberry.errors import SetupError
from openstrawberry.evaluation.compare import Comparison, compare, together
from openstrawberry.evaluation.page import to_html, to_markdown
from openstrawberry.evaluation.rows import Row
from openstrawberry.store.files import write_whole
from openstrawberry.wording import cause

REPORT = "report.json"
_PLAIN_LIST = re.compile(r"\[\n[^\[\]{}]*\n\s*\]")  # text in JSON has no line breaks, so these are the list's own


class Baseline(BaseModel):
    """An earlier report beside this one: `comparisons` have its row first. `missing` rows have no counterpart there."""

    model_config = ConfigDict(frozen=True)

    path: str
    created: str
    comparisons: list[Comparison]
    missing: list[str]


class Report(BaseModel):
    """Everything that came of an evaluation. `problems` counts what was asked, `failed` the traces that broke.

    `config` is the evaluation's own settings, `seen` says per row how many problems its model was trained on.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schema_: int = Field(default=1, alias="schema")
    path: str
    created: str
    ended: str
    seconds: float
    config: dict[str, Any]
    versions: dict[str, str]
    problems: int
    rows: list[Row]
    comparisons: list[Comparison] = []
    baseline: Baseline | None = None
    skipped_rows: list[str] = []
    seen: dict[str, int] = {}
    failed: int = 0

    @property
    def samples(self) -> int:
        """Samples per problem."""
        return int(self.config.get("samples", 1))


def read_report(path: Path) -> Report:
    """An earlier report, from its `report.json` or from the folder that holds it.

    Raises:
        SetupError: there is none, or it is no report.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        return Report.model_validate_json(file.read_bytes())
    except OSError as error:
        raise SetupError(
            f"{file} cannot be read ({cause(error)}): name the report.json of an earlier evaluation."
        ) from error
    except ValidationError as error:
        raise SetupError(f"{file} is no report of strawberry eval: name the report.json of an earlier one.") from error


def against_baseline(rows: list[Row], earlier: Report, path: Path, seed: int = 0) -> Baseline:
    """Each row beside the earlier row of its name, or else the only earlier one of its method."""
    comparisons, missing = [], []
    for row in rows:
        named = [old for old in earlier.rows if old.name == row.name]
        same = named or [old for old in earlier.rows if old.method == row.method]
        if len(same) == 1:
            comparisons.append(compare(same[0], row, seed=seed))
        else:
            missing.append(row.name)
    return Baseline(path=str(path), created=earlier.created, comparisons=together(comparisons), missing=missing)


def save(report: Report, folder: Path) -> None:
    """Writes `report.json`, `report.md` and `report.html`, each whole or not at all.

    Raises:
        SetupError: the folder cannot be written to.
    """
    from openstrawberry.evaluation.story import tell

    document = tell(report)
    write_whole(folder / REPORT, _json(report))
    write_whole(folder / "report.md", to_markdown(document))
    write_whole(folder / "report.html", to_html(document))


def _json(report: Report) -> str:
    """Indented, but with each list of plain values on one line: thousands of outcomes stay readable."""
    text = report.model_dump_json(by_alias=True, indent=1)
    return _PLAIN_LIST.sub(_on_one_line, text) + "\n"


def _on_one_line(found: re.Match[str]) -> str:
    return re.sub(r"\n\s*", " ", found[0]).replace("[ ", "[").replace(" ]", "]")
