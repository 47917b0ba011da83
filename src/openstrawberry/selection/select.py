"""From runs to training data: which traces are learnt from, which are set against which, and why the others are not.

    run directories -> samples by problem -> not to be seen? -> in the band? -> pairs, or single traces
                    -> without copies -> balanced over sizes -> rows, and a report

The first pass reads the index of each run, which knows question, verdict, end and steps of every trace; then each
problem's traces are read, compared, and let go again. What is kept is a note of where each side stands, and the rows
are read from disk once more as they are written: 100,000 traces need a few hundred bytes each.

What always holds: the same runs, options and seed give the same rows in the same order; no problem of an evaluation
set, nor of the held-out side, is ever among them.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import fmean, median

from openstrawberry.errors import SetupError
from openstrawberry.problems.families import recognise
from openstrawberry.selection.candidates import Group, Pick, Single, outcome_of
from openstrawberry.selection.difficulty import Size, family_of, tally
from openstrawberry.selection.export import Row, export
from openstrawberry.selection.heldout import Heldout
from openstrawberry.selection.options import Selecting
from openstrawberry.selection.picking import Picker
from openstrawberry.selection.report import Account, Report, nothing_left, size_lines
from openstrawberry.selection.steps import Guard, told_in_steps
from openstrawberry.store.reading import Entry, Shelf
from openstrawberry.wording import cause


@dataclass(frozen=True)
class Selection:
    """What was selected. Iterating reads the rows from the runs, as often as wanted."""

    picks: tuple[Pick | Single, ...]
    report: Report
    options: Selecting
    shelves: tuple[Shelf, ...]

    def __iter__(self) -> Iterator[Row]:
        return export(self.picks, self.shelves, self.options)

    def __len__(self) -> int:
        return len(self.picks)

    def write(self, path: Path) -> None:
        """Writes the rows as JSONL, and the report beside them; both are there whole or not at all.

        Raises:
            SetupError: the place cannot be written to, or something else is there.
        """
        if path.is_file() and not report_path(path).exists():
            raise SetupError(f"{path} is there already, and no selection wrote it: choose another file with --out.")
        written = json.dumps(self.report.model_dump(), indent=2, ensure_ascii=False) + "\n"
        _write(path, (json.dumps(row, ensure_ascii=False) + "\n" for row in self))
        _write(report_path(path), iter([written]))


def report_path(path: Path) -> Path:
    """Where the report of the rows in `path` stands."""
    return path.with_name(path.name + ".report.json")


def select(runs: Sequence[Path], options: Selecting) -> Selection:
    """Selects training data from runs.

    Raises:
        SetupError: a run cannot be read, a problem is in an evaluation set, or nothing is left (and why).
    """
    shelves = tuple(Shelf(path) for path in runs)
    account = Account()
    groups = by_problem(shelves, account)
    everything = tally((group.problem, group.size, outcome_of(entry))
                       for group in groups for _, entry in group.members)  # fmt: skip
    allowed = unseen(groups, options, account)
    clean = False if options.format == "prm" else options.clean  # there every step has a label of its own
    asked = clean is not False or options.unit != "trace"
    guard = Guard(clean, asked and told_anywhere(shelves, allowed))
    picker = Picker(shelves, options, guard, account)
    picks = [pick for group in allowed for pick in picker.picks(group, everything.problems[group.problem])]
    picks = balanced(picks, options.balance, options.seed, account)
    rows = Counter(pick.size for pick in picks)
    report = Report(
        runs=[str(path) for path in runs],
        options=options.model_dump(mode="json"),
        unit=options.unit,
        format=options.format,
        clean_guard=guard.state,
        traces=sum(len(group.members) for group in groups),
        problems=len(groups),
        problems_used=len({pick.problem for pick in picks}),
        rows=len(picks),
        chosen_steps=_steps(picks, "chosen" if options.paired else "source"),
        rejected_steps=_steps(picks, "rejected"),
        dropped_problems=dict(account.problems),
        dropped_traces=dict(account.traces),
        dropped_rows=dict(account.rows),
        sizes=size_lines(everything.problems, everything.size_of, options.band, rows),
    )
    if not picks:
        raise nothing_left(report, "pairs" if options.paired else "rows")
    return Selection(tuple(picks), report, options, shelves)


def by_problem(shelves: Sequence[Shelf], account: Account) -> list[Group]:
    """The traces of all runs by problem, smaller sizes first. A trace that stands in two runs counts once."""
    members: dict[str, list[tuple[int, Entry]]] = defaultdict(list)
    seen: set[str] = set()
    for number, shelf in enumerate(shelves):
        for entry in shelf.entries():
            if entry.id in seen:
                account.traces["in another run already"] += 1
                continue
            seen.add(entry.id)
            members[entry.problem].append((number, entry))
    groups = [
        Group(problem, found[0][1].question, (family_of(found[0][1].question), found[0][1].difficulty), tuple(found))
        for problem, found in members.items()
    ]
    return sorted(groups, key=lambda group: (group.size, group.problem))


def unseen(groups: Sequence[Group], options: Selecting, account: Account) -> list[Group]:
    """The problems that may be learnt from.

    Raises:
        SetupError: some are in an evaluation set, and it was not said to leave them out.
    """
    heldout = Heldout.load(options.evaluation, options.ngram)
    told = {
        "held out": "held out",
        "evaluated": "in an evaluation set",
        "contaminated": "too like an evaluation problem",
    }
    allowed, evaluated = [], []
    for group in groups:
        why = heldout.seen(group.problem, group.question)
        if why:
            account.problems[told[why]] += 1
            evaluated += [group] if why == "evaluated" else []
        else:
            allowed.append(group)
    if evaluated and not options.drop_evaluated:
        raise SetupError(
            f"{len(evaluated):,} of the {len(groups):,} problems are in an evaluation set "
            f"({', '.join(options.evaluation)}), such as {evaluated[0].question[:60]!r}, and what is measured may "
            "never be learnt: leave them out with --drop-evaluated, or generate on other problems."
        )
    return allowed


def balanced(picks: list[Pick | Single], most: float, seed: int, account: Account) -> list[Pick | Single]:
    """`picks` without what a size has beyond `most` times the median size; each problem keeps its best longest."""
    counts = Counter(pick.size for pick in picks)
    if not most or not counts:
        return picks
    cap = max(1, ceil(most * median(counts.values())))
    ranks: Counter[str] = Counter()
    ranked: dict[Size, list[tuple[int, str, int]]] = defaultdict(list)
    for number, pick in enumerate(picks):
        ranked[pick.size].append((ranks[pick.problem], _draw(seed, pick.problem), number))
        ranks[pick.problem] += 1
    kept = {number for group in ranked.values() for _, _, number in sorted(group)[:cap]}
    if len(kept) < len(picks):
        account.rows["beyond the balance of sizes"] += len(picks) - len(kept)
    return [pick for number, pick in enumerate(picks) if number in kept]


def told_anywhere(shelves: Sequence[Shelf], groups: Sequence[Group]) -> bool:
    """Whether any right trace is told in the steps that its task knows; reads until the first that is."""
    known = (group for group in groups if recognise(group.question) is not None)
    return any(told_in_steps(shelves[shelf].read(entry)) for group in known for shelf, entry in group.of("right"))


def _draw(seed: int, problem: str) -> str:
    return hashlib.sha256(f"{seed}/{problem}".encode()).hexdigest()


def _steps(picks: Sequence[Pick | Single], side: str) -> float:
    found = [getattr(pick, side).steps for pick in picks if hasattr(pick, side)]
    return round(fmean(found), 3) if found else 0.0


def _write(path: Path, lines: Iterator[str]) -> None:
    if not path.name:
        raise SetupError(f"{str(path)!r} is no file that can be written: name one with --out, such as pairs.jsonl.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", errors="replace") as out:
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SetupError(
            f"Cannot write to {path} ({cause(error)}): free space or choose another file with --out."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
