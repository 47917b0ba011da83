"""Tells a report as a document: first what came of it, then the numbers, then how they were made."""

from collections.abc import Callable, Sequence

from openstrawberry.evaluation.compare import Comparison, p_text
from openstrawberry.evaluation.config import Evaluation
from openstrawberry.evaluation.page import Block, Document, Figure, Listing, Paragraph, Section, Table, Tone
from openstrawberry.evaluation.plots import Point, bars, lines
from openstrawberry.evaluation.report import Baseline, Report
from openstrawberry.evaluation.rows import Group, Measures, Row
from openstrawberry.stats import Interval
from openstrawberry.wording import counted

UNKNOWN = "unknown"
_TONES: dict[str, Tone] = {"better": "good", "worse": "bad"}
_SIZE_NAMES = {"add": "digits", "count": "letters", "": "difficulty"}


def tell(report: Report, drawings: bool = True) -> Document:
    """The whole report; without drawings where nobody would see them."""
    sections = [
        _came_of_it(report),
        _accuracy(report, drawings),
        _cost(report.rows),
        *_sizes(report.rows, drawings),
        *_comparisons(report),
        *_mistakes(report.rows),
        _how(report),
    ]
    return Document(_title(report.rows), sections)


def _title(rows: Sequence[Row]) -> str:
    names = [row.name for row in rows]
    return "Evaluation: " + (", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} more")


def _came_of_it(report: Report) -> Section:
    asked = f"{counted(report.problems, 'problem')} of {report.config.get('problems', UNKNOWN)}"
    each = f"{report.samples:,} samples each" if report.samples > 1 else "one sample each"
    blocks: list[Block] = [Paragraph(f"{asked}, {each}; every row answered the same problems with the same seeds.")]
    blocks += [_verdict(one, one.first) for one in report.comparisons]
    if not report.comparisons:
        blocks += [Paragraph(f"{row.name}: {share(row.overall.accuracy)} right.") for row in report.rows]
    if report.baseline:
        old = f"the same row of {report.baseline.created[:10]}"
        blocks += [_verdict(one, old) for one in report.baseline.comparisons]
    blocks += [Paragraph(text, "quiet") for text in _reservations(report)]
    return Section("", blocks)


def _verdict(found: Comparison, against: str) -> Paragraph:
    return Paragraph(f"{found.second} against {against}: {found.sentence}.", _TONES.get(found.verdict, "plain"))


def _reservations(report: Report) -> list[str]:
    """What a reader must know before believing the numbers."""
    said = []
    for row in report.rows:
        if row.overall.excluded:
            counts = ", ".join(f"{count:,} {why}" for why, count in row.overall.excluded.items())
            traces = counted(sum(row.overall.excluded.values()), "trace")
            said.append(
                f"{row.name}: {traces} without a verdict on the model ({counts}). "
                "That is not counted as wrong; a problem without any other trace is in no rate and in no comparison."
            )
    said += [f"{name}: its model was trained on {count:,} of these problems." for name, count in report.seen.items()]
    if report.skipped_rows:
        said.append(f"Left out: {counted(len(report.skipped_rows), 'row')} of the source that could not be read.")
    if report.failed:
        said.append(f"{counted(report.failed, 'trace')} failed: the same command tries again.")
    return said


def _accuracy(report: Report, drawings: bool) -> Section:
    rows = report.rows
    ks = sorted({k for row in rows for k in row.overall.pass_at})
    columns: list[tuple[str, Callable[[Measures], str]]] = [
        ("right", lambda m: _percent(m.accuracy)),
        ("95% interval", lambda m: _range(m.accuracy)),
        *((f"pass@{k}", lambda m, k=k: _percent(m.pass_at.get(k))) for k in ks),
        *((f"maj@{k}", lambda m, k=k: _percent(m.majority_at.get(k))) for k in ks),
        ("no answer", lambda m: UNKNOWN if m.no_answer is None else f"{m.no_answer:.1%}"),
    ]
    blocks: list[Block] = []
    shown = {row.name: row.overall.accuracy for row in rows}
    known = {name: (found.mean, found.low, found.high) for name, found in shown.items() if found}
    if known and drawings:
        blocks.append(Figure(bars(known, name="right"), "Share of right answers with 95% intervals."))
    if any(row.overall.clean for row in rows):
        columns.append(("clean", lambda m: _percent(m.clean)))
        remark = " Clean: the answer was right and so was every step before it."
    else:
        remark = ""
    columns.append(("problems", lambda m: f"{m.problems:,}"))
    blocks.append(_table(rows, columns))
    how = "Intervals: Wilson's" if report.samples == 1 else "Intervals: bootstrapped over problems"
    blocks.append(Paragraph(f"Right is pass@1. {how}.{remark}", "quiet"))
    return Section("Right answers", blocks)


def _cost(rows: Sequence[Row]) -> Section:
    columns: list[tuple[str, Callable[[Measures], str]]] = [
        ("replies", lambda m: _number(m.steps, ".1f")),
        ("tokens in", lambda m: _number(m.tokens_in, ",.0f")),
        ("tokens out", lambda m: _number(m.tokens_out, ",.0f")),
        ("seconds", lambda m: _number(m.seconds, ".2f")),
        ("dollars", lambda m: _number(m.dollars, ",.4f")),
    ]
    if any(row.overall.clean_steps for row in rows):
        columns.insert(1, ("replies, clean", lambda m: _number(m.clean_steps, ".1f")))
    remark = "Means per trace; dollars are the sum. Seconds are by the clock, with many traces at a time."
    return Section("What it took", [_table(rows, columns), Paragraph(remark, "quiet")])


def _sizes(rows: Sequence[Row], drawings: bool) -> list[Section]:
    sections = []
    for family in dict.fromkeys(group.family for row in rows for group in row.groups):
        name, unit = family or "difficulty", _SIZE_NAMES.get(family, "size")
        caption = f"Share of right answers by {unit}, with 95% intervals."
        blocks = _by_size(rows, family, unit, caption if drawings else "", lambda m: m.accuracy)
        sections.append(Section(f"By size: {name}", blocks))
        if any(row.overall.clean for row in rows):
            caption = f"Share of traces in which every step was right by {unit}, with 95% intervals."
            blocks = _by_size(rows, family, unit, caption if drawings else "", lambda m: m.clean)
            sections.append(Section(f"Clean, by size: {name}", blocks, detail=True))
    return sections


def _by_size(
    rows: Sequence[Row], family: str, unit: str, caption: str, value: Callable[[Measures], Interval | None]
) -> list[Block]:
    """A table of one share, below a drawing of it where there is a caption for one."""
    blocks: list[Block] = [_size_table([row for row in rows if value(row.overall)], family, unit, value)]
    if caption:
        series = {row.name: _points(row, family, value) for row in rows}
        blocks.insert(0, Figure(lines(series, unit, "", name=f"{family} {caption[:16]}"), caption))
    return blocks


def _points(row: Row, family: str, value: Callable[[Measures], Interval | None]) -> list[Point]:
    found = ((group.size, value(group.measures)) for group in row.groups if group.family == family)
    return [Point(size, share.mean, share.low, share.high) for size, share in found if share]


def _size_table(rows: Sequence[Row], family: str, unit: str, value: Callable[[Measures], Interval | None]) -> Table:
    sizes = sorted({group.size for row in rows for group in row.groups if group.family == family})

    def cell(row: Row, size: float) -> str:
        found: list[Group] = [group for group in row.groups if (group.family, group.size) == (family, size)]
        return share(value(found[0].measures)) if found else "–"

    return Table(
        (unit, *(row.name for row in rows)), [(f"{size:g}", *(cell(row, size) for row in rows)) for size in sizes]
    )


def _comparisons(report: Report) -> list[Section]:
    sections = []
    if report.comparisons:
        remark = (
            "Points are percentage points of right answers. Problems that one of the two rows could not be judged on "
            "are left out. p: McNemar's exact test (one sample each) or randomly flipped signs, two-sided; adjusted "
            "for the number of comparisons (Holm). Intervals: paired bootstrap, not adjusted."
        )
        sections.append(
            Section("Comparisons", [_paired_table(report.comparisons), Paragraph(remark, "quiet")], detail=True)
        )
    if report.baseline:
        sections.append(_against_baseline(report.baseline))
    return sections


def _against_baseline(baseline: Baseline) -> Section:
    blocks: list[Block] = [Paragraph(f"Compared with {baseline.path}, made {baseline.created}.")]
    if baseline.comparisons:
        blocks.append(_paired_table(baseline.comparisons))
    blocks += [Paragraph(f"{name} has no row to be compared with there.", "quiet") for name in baseline.missing]
    return Section("Against the baseline", blocks, detail=True)


def _paired_table(comparisons: Sequence[Comparison]) -> Table:
    header = ("row", "against", "verdict", "points", "95% interval", "p", "adjusted", "problems", "left out")
    rows = []
    for one in comparisons:
        known = one.difference
        points = (
            (f"{100 * known.mean:+.1f}", f"{100 * known.low:.1f} to {100 * known.high:.1f}") if known else ("–", "–")
        )
        ps = [p_text(p).removeprefix("p = ").removeprefix("p ") for p in (one.p, one.adjusted)] if known else ["–", "–"]
        rows.append((one.second, one.first, one.verdict, *points, *ps, f"{one.problems:,}", f"{one.left_out:,}"))
    return Table(header, rows, words=3)


def _mistakes(rows: Sequence[Row]) -> list[Section]:
    cells = [(row.name, one.question, one.answer, one.given) for row in rows for one in row.mistakes]
    table = Table(("row", "question", "right answer", "given"), cells, words=4)
    return [Section("Some wrong answers", [table], detail=True)] if cells else []


def _how(report: Report) -> Section:
    settings = [(key, _said(value)) for key, value in report.config.items() if value not in (None, [], {}, False, "")]
    runs = [(f"traces of {row.name}", run) for row in report.rows for run in row.runs]
    made = [("started", report.created), ("ended", report.ended), ("folder", report.path)]
    blocks: list[Block] = [Table(("setting", "value"), [*made, *settings, *report.versions.items(), *runs], words=2)]
    blocks.append(Paragraph("The same again, for nothing that was paid before:", "quiet"))
    blocks.append(Listing(Evaluation(**{**report.config, "out": report.path}).command))
    return Section("How it was measured", blocks, detail=True)


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "yes" if value is True else str(value)


def _table(rows: Sequence[Row], columns: Sequence[tuple[str, Callable[[Measures], str]]]) -> Table:
    header = ("row", *(name for name, _ in columns))
    return Table(header, [(row.name, *(cell(row.overall) for _, cell in columns)) for row in rows])


def _percent(found: Interval | None) -> str:
    return UNKNOWN if found is None else f"{found.mean:.1%}"


def _range(found: Interval | None) -> str:
    return UNKNOWN if found is None else f"{found.low:.1%} to {found.high:.1%}"


def share(found: Interval | None) -> str:
    """Such as `87% (82–91)`, the 95% interval in brackets."""
    return UNKNOWN if found is None else f"{found.mean:.0%} ({100 * found.low:.0f}–{100 * found.high:.0f})"


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)
