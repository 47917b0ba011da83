"""Carries out an evaluation: one `generate` after the other over the same problems, then the report.

    evals/<name>/evaluation.json    what was asked, and whether it is finished
    evals/<name>/<row>/             the run directory of each row: every trace and every reply
    evals/<name>/report.*           the report as JSON, Markdown and a page

What always holds: all rows answer the same problems, sample by sample with the same seeds, so that rows can be compared
problem by problem. A killed evaluation goes on with the same command and pays for nothing twice, because its rows are
run directories.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openstrawberry.calls import check_calls
from openstrawberry.engine.events import Event
from openstrawberry.errors import SetupError, UsageError
from openstrawberry.evaluation.compare import Comparison, against, all_pairs
from openstrawberry.evaluation.config import Evaluation
from openstrawberry.evaluation.folder import claimed, folder_for, now
from openstrawberry.evaluation.methods import Entry, entries, find
from openstrawberry.evaluation.report import Baseline, Report, against_baseline, read_report, save
from openstrawberry.evaluation.rows import Row
from openstrawberry.evaluation.score import score
from openstrawberry.generate import Run
from openstrawberry.models.budget import NOTHING
from openstrawberry.models.gate import Gate
from openstrawberry.models.opening import open_members
from openstrawberry.pieces import model_options, problems_of, versions
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.ledger import spent_below
from openstrawberry.store.summary import Summary
from openstrawberry.training.card import trained_on
from openstrawberry.wording import counted


@dataclass(frozen=True, slots=True)
class RowStarted:
    """A row begins: its place among all, counted from 1, and the run that makes its traces."""

    entry: Entry
    number: int
    of: int
    run: Run


@dataclass(frozen=True, slots=True)
class RowEnded:
    """A row is measured."""

    entry: Entry
    row: Row
    summary: Summary


EvalEvent = Event | RowStarted | RowEnded
EvalEmit = Callable[[EvalEvent], None]


def ignore(event: EvalEvent) -> None:
    """An `EvalEmit` for callers that do not listen."""


async def evaluate(config: Evaluation, settings: Settings, emit: EvalEmit = ignore) -> Report:
    """Measures every row and writes the report. Can be cancelled at any point; the same call goes on from there.

    Raises:
        SetupError: something about the configuration is wrong; what stands on disk by then is kept.
    """
    began = time.monotonic()
    planned = entries(config.models, config.methods)
    reference = find(config.against, [entry.name for entry in planned]) if config.against else 0
    _check_ks(config)
    earlier = read_report(config.baseline) if config.baseline else None
    skipped: list[str] = []
    problems = _problems(config, skipped)
    seen = _seen(planned, config.prm, problems, config.allow_trained_on)
    await _check_models(config, planned, settings)
    folder = folder_for(config)
    with claimed(folder, config) as claim:
        rows, failed = [], 0
        for number, entry in enumerate(planned, start=1):
            row, summary = await _measure(config, entry, folder, problems, settings, emit, (number, len(planned)))
            rows.append(row)
            failed += summary.failed
        report = Report(
            path=str(folder),
            created=claim.created,
            ended=now(),
            seconds=round(time.monotonic() - began, 1),
            config=config.model_dump(mode="json"),
            versions={k: v for entry in planned for k, v in versions(config.run_config(entry, folder)).items()},
            problems=len(problems),
            rows=rows,
            comparisons=_comparisons(config, rows, reference),
            baseline=_baseline(config, rows, earlier),
            skipped_rows=skipped,
            seen=seen,
            failed=failed,
        )
        save(report, folder)
        if not failed:
            claim.finish()
    return report


async def _measure(
    config: Evaluation,
    entry: Entry,
    folder: Path,
    problems: Sequence[Problem],
    settings: Settings,
    emit: EvalEmit,
    place: tuple[int, int],
) -> tuple[Row, Summary]:
    """Makes the traces of a row that are owed, and scores all it has."""
    began = time.monotonic()
    asked = config.run_config(entry, folder)
    elsewhere = spent_below(folder, without=folder / entry.folder) if config.capped else NOTHING
    run = Run(asked, settings, emit=emit, problems=problems, elsewhere=elsewhere)
    try:
        emit(RowStarted(entry, *place, run))
        summary = await run.run()
    finally:
        await run.close()
    if summary.stopped:  # the rows would not be of the same problems
        raise SetupError(summary.stopped)
    summary.seconds = time.monotonic() - began
    row = score(
        [run.directory.path],
        name=entry.name,
        model=entry.model,
        method=entry.method.spec,
        ks=config.ks,
        samples=config.samples,
        only={problem.id for problem in problems},
        seed=config.seed,
    )
    emit(RowEnded(entry, row, summary))
    return row, summary


def _problems(config: Evaluation, skipped: list[str]) -> list[Problem]:
    """The problems, read once for all rows; each stands once."""
    return list({problem.id: problem for problem in problems_of(config, skipped.append)}.values())


def _seen(planned: Sequence[Entry], prm: str | None, problems: Sequence[Problem], allowed: bool) -> dict[str, int]:
    """How many of the problems each row's model was trained on, and the process reward model, where their folders say.

    Raises:
        SetupError: any, and that is not allowed.
    """
    asked = {problem.id for problem in problems}
    models = {entry.name: entry.model for entry in planned} | ({f"--prm {prm}": prm} if prm else {})
    places = {name: model.partition(":")[2] for name, model in models.items()}
    found = {name: len(asked & trained_on(Path(place))) for name, place in places.items() if place}
    seen = {name: count for name, count in found.items() if count}
    if seen and not allowed:
        name, count = next(iter(seen.items()))
        raise SetupError(
            f"The model of {name!r} was trained on {count:,} of the {counted(len(problems), 'problem')}, so this would "
            "measure memory: choose other problems with --problems, or measure it all the same with --allow-trained-on."
        )
    return seen


async def _check_models(config: Evaluation, planned: Sequence[Entry], settings: Settings) -> None:
    """Opens each further model once: a missing key or price of the last is found before the first is paid for."""
    for entry in {entry.model: entry for entry in planned}.values():
        check_calls(config.run_config(entry, Path()), settings)
        # The first is opened at once anyway; to load weights twice costs more than it saves.
        if entry.model != planned[0].model and not entry.model.startswith("hf:"):
            asked = model_options(config.run_config(entry, Path()))
            for member in open_members(entry.model, settings, lambda provider: Gate(provider, 1), **asked)[1]:
                await member.model.close()


def _check_ks(config: Evaluation) -> None:
    for k in config.ks:
        if not 1 <= k <= config.samples:
            raise UsageError(f"pass@{k} needs {k} samples of each problem: write --samples {max(k, 1)} or a smaller k.")


def _comparisons(config: Evaluation, rows: Sequence[Row], reference: int) -> list[Comparison]:
    return all_pairs(rows, seed=config.seed) if config.all_pairs else against(rows, reference, seed=config.seed)


def _baseline(config: Evaluation, rows: list[Row], earlier: Report | None) -> Baseline | None:
    return against_baseline(rows, earlier, config.baseline, config.seed) if earlier and config.baseline else None
