"""The report of a loop: how far it climbed, per size and round, with intervals."""

from collections.abc import Sequence
from pathlib import Path

from openstrawberry.bootstrap.decide import kept
from openstrawberry.bootstrap.ladder import Ladder, Rung
from openstrawberry.bootstrap.lineage import Attempt, Lineage, RoundRecord
from openstrawberry.bootstrap.scores import Scores
from openstrawberry.evaluation.page import Document, Figure, Paragraph, Section, Table, to_html, to_markdown
from openstrawberry.evaluation.plots import Point, lines
from openstrawberry.store.files import write_whole
from openstrawberry.wording import counted

SHOWN = 5  # columns of rounds on a terminal: before, and the newest ones
Block = Paragraph | Table | Figure


def write_report(lineage: Lineage, ladder: Ladder, folder: Path) -> None:
    """`lineage.json`, `report.md` and `report.html`, anew after every round."""
    document = report(lineage, ladder)
    lineage.write(folder)
    write_whole(folder / "report.md", to_markdown(document))
    write_whole(folder / "report.html", to_html(document))


def report(lineage: Lineage, ladder: Ladder) -> Document:
    """The report as a document for terminal, Markdown and page."""
    sections = [Section("", _headline(lineage, ladder))]
    sections += [
        Section(f"{family}: held-out, by size and round", _family(lineage, ladder, family)) for family in ladder.rungs
    ]
    sections.append(Section("Rounds", [_rounds(lineage)]))
    return Document(f"{lineage.student}: {counted(len(lineage.accepted) - 1, 'accepted round')}", sections)


def brief(lineage: Lineage, ladder: Ladder) -> Document:
    """What fits on a terminal: how far it climbed, and every size before and after the newest rounds."""
    return Document(
        f"{lineage.student}: {counted(len(lineage.accepted) - 1, 'accepted round')}",
        [Section("", _headline(lineage, ladder)), *(_sizes(lineage, ladder, family) for family in ladder.rungs)],
    )


def _sizes(lineage: Lineage, ladder: Ladder, family: str) -> Section:
    rounds = [(number, scores) for number, _, scores in lineage.accepted]
    shown = rounds if len(rounds) <= SHOWN else [rounds[0], *rounds[1 - SHOWN :]]
    rungs = [rung for rung in ladder.rungs[family] if any(rung in scores for _, scores in shown)]
    header = ["size", *(f"round {number}" if number else "before" for number, _ in shown)]
    rows = [[rung.size, *(_both(scores, rung) for _, scores in shown)] for rung in rungs]
    title = f"{family}: held-out problems right, and right in every step, in %"
    return Section(title, [Table(header, rows)])


def _both(scores: Scores, rung: Rung) -> str:
    if rung not in scores or not scores[rung].results:
        return ""
    return f"{100 * scores[rung].share():.1f} · {100 * scores[rung].share(clean=True):.1f}"


def _headline(lineage: Lineage, ladder: Ladder) -> list[Block]:
    exam = lineage.loop.exam
    first, last = lineage.first, lineage.accepted[-1][2]
    blocks: list[Block] = []
    for family, rungs in ladder.rungs.items():
        told = []
        for name, clean in (("right", False), ("right in every step", True)):
            before, after = (ladder.frontier(scores, clean)[family] for scores in (first, last))
            told.append(f"{_size(rungs, before)} to {_size(rungs, after)} ({name})")
        good = ladder.frontier(last, False)[family] > ladder.frontier(first, False)[family]
        text = f"{family}: the largest size with at least {exam.passing:.0%} rose from {', from '.join(told)}."
        blocks.append(Paragraph(text, "good" if good else "plain"))
        blocks += _apart(first, last, rungs, ladder.frontier(first, False)[family] + 1)
    easy = [rung for rung in ladder.easy() if rung in first and rung in last]
    if easy and len(lineage.accepted) > 1:
        floor = kept(first, last, easy, exam)
        verdict = "not worse" if floor.holds else "may be worse"
        blocks.append(
            Paragraph(
                f"Easy sizes pooled: {floor.mean:+.1%}, at worst {floor.low:+.1%} (one-sided 95%): {verdict} by more "
                f"than {exam.margin:.0%}.",
                "good" if floor.holds else "bad",
            )
        )
    blocks.append(
        Paragraph(f"Model: {lineage.model}. " + (f"Ended: {lineage.ended}." if lineage.ended else "Going on."))
    )
    return blocks


def _apart(first: Scores, last: Scores, rungs: list[Rung], place: int) -> list[Block]:
    """The size after the old frontier, before and after."""
    if not 0 <= place < len(rungs) or rungs[place] not in first or rungs[place] not in last:
        return []
    rung = rungs[place]
    (low, high), (new_low, new_high) = first[rung].interval(), last[rung].interval()
    apart = "the intervals do not overlap" if new_low > high else "the intervals overlap"
    return [
        Paragraph(
            f"At {rung}, the size after the old frontier: {first[rung].share():.1%} ({low:.1%} to {high:.1%}) before, "
            f"{last[rung].share():.1%} ({new_low:.1%} to {new_high:.1%}) now; {apart}.",
            "quiet",
        )
    ]


def _family(lineage: Lineage, ladder: Ladder, family: str) -> list[Block]:
    rounds = [(number, scores) for number, _, scores in lineage.accepted]
    rungs = [rung for rung in ladder.rungs[family] if any(rung in scores for _, scores in rounds)]
    blocks: list[Block] = []
    for name, clean in (("right", False), ("right in every step", True)):
        header = ["size", *(f"round {number}" for number, _ in rounds)]
        rows = [[rung.size, *(_cell(scores, rung, clean) for _, scores in rounds)] for rung in rungs]
        series = {
            f"round {number}": [
                Point(_x(rung), scores[rung].share(clean), *scores[rung].interval(clean))
                for rung in rungs
                if rung in scores
            ]
            for number, scores in rounds
        }
        caption = f"{family}: share of held-out problems {name}, with 95% intervals"
        blocks += [
            Paragraph(f"Share {name}, with its 95% interval and the number of problems."),
            Figure(lines(series, "size", f"{family}, {name}", name=f"{family}-{clean}"), caption),
            Table(header, rows),
        ]
    return [*blocks, _lengths(rounds, rungs, family)]


def _lengths(rounds: Sequence[tuple[int, Scores]], rungs: Sequence[Rung], family: str) -> Figure:
    """How many steps a trace takes, where any was right in every step."""
    series = {
        f"round {number}": [
            Point(_x(rung), *(scores[rung].steps(),) * 3)
            for rung in rungs
            if rung in scores and scores[rung].count(clean=True)
        ]
        for number, scores in rounds
    }
    drawn = lines(series, "size", f"{family}, steps", percent=False, name=f"{family}-steps")
    return Figure(drawn, f"{family}: mean steps of traces that were right in every step")


def _rounds(lineage: Lineage) -> Table:
    header = [
        "round",
        "recipe",
        "verdict",
        "sizes sampled",
        "why",
        "pairs",
        "traces",
        "gain in the band",
        "easy, at worst",
    ]
    rows = [_attempt(record, attempt) for record in lineage.rounds for attempt in record.attempts]
    return Table(header, rows, words=5)


def _attempt(record: RoundRecord, attempt: Attempt) -> list[str]:
    decision = attempt.decision
    return [
        str(record.number),
        str(attempt.recipe),
        "accepted" if decision.accepted else "rejected",
        ", ".join(record.band),
        decision.reason,
        str(record.pairs),
        str(record.conversations),
        f"{decision.gain.mean:+.1%} ({decision.gain.low:+.1%} to {decision.gain.high:+.1%})",
        f"{decision.easy.low:+.1%}",
    ]


def _cell(scores: Scores, rung: Rung, clean: bool) -> str:
    if rung not in scores or not scores[rung].results:
        return ""
    low, high = scores[rung].interval(clean)
    return f"{scores[rung].share(clean):.1%} ({low:.0%} to {high:.0%}, n={len(scores[rung].results)})"


def _size(rungs: list[Rung], place: int) -> str:
    return rungs[place].size if place >= 0 else "none"


def _x(rung: Rung) -> float:
    return float(rung.size) if rung.size.replace(".", "", 1).isdigit() else float(rung.place)
