"""`strawberry problems SOURCE`: what would be asked; and with --write-tests, tests for code that has none."""

import asyncio
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openstrawberry.cli import options as o
from openstrawberry.errors import SetupError, UsageError

if TYPE_CHECKING:
    from openstrawberry.cli.live import RunView
    from openstrawberry.generate import Run
    from openstrawberry.problems.problem import Problem
    from openstrawberry.store.summary import Summary
    from openstrawberry.writing import Validity, Written

SHOWN = 20  # problems, unless told otherwise
_WRITING = (
    "model",
    "samples",
    "out",
    "concurrency",
    "temperature",
    "max_tokens",
    "prices",
    "budget_usd",
    "budget_tokens",
    "set_",
)


def command(
    source: Annotated[
        str, typer.Argument(help="A file, hub:NAME, gym:NAME, builtin:NAME or a preset.")
    ] = "builtin:demo",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N (shown: 20).")] = None,
    seed: o.Seed = None,
    verifier: o.VerifierName = None,
    question_column: o.QuestionColumn = None,
    answer_column: o.AnswerColumn = None,
    skip_bad_rows: o.SkipBadRows = None,
    write_tests: Annotated[
        bool,
        typer.Option("--write-tests", help="Let --model write tests for code problems, and keep those that hold."),
    ] = False,
    model: o.Model = None,
    samples: Annotated[int | None, typer.Option("--samples", "-n", help="Lists of tests per problem (1).")] = None,
    out: Annotated[Path | None, typer.Option(help="With --write-tests: the file for the problems, JSONL.")] = None,
    concurrency: o.Concurrency = None,
    temperature: o.Temperature = None,
    max_tokens: o.MaxTokens = None,
    prices: o.Prices = None,
    budget_usd: o.BudgetUsd = None,
    budget_tokens: o.BudgetTokens = None,
    set_: o.Set = None,
    json: o.Json = None,
) -> None:
    """Show the problems of a source: question, answer, how answers are checked, difficulty.

    With --write-tests a model writes tests for code problems that have none. They are run against the known solution of
    each problem, those that it passes are kept, and the problems with their tests are written to --out.
    """
    flags = dict(locals())
    from openstrawberry.problems.load import load_problems

    named = next((name for name in _WRITING if flags[name] is not None), "")
    if named and not write_tests:
        flag = named.strip("_").replace("_", "-")
        raise UsageError(f"--{flag} is for writing tests: add --write-tests, or leave it out.")
    skipped: list[str] = []
    found = load_problems(
        source,
        question_column=question_column,
        answer_column=answer_column,
        verifier="code" if write_tests else verifier,
        limit=limit if write_tests else None,
        seed=seed or 0,
        skip_bad_rows=bool(skip_bad_rows),
        on_bad_row=skipped.append,
    )
    if write_tests:
        _write(source, list(found), flags, bool(json))
        return
    from openstrawberry.cli.render import show_problems

    limit = limit or SHOWN
    if json:
        for problem in islice(found, limit):
            print(problem.model_dump_json())
    else:
        show_problems(source, list(islice(found, limit)), more=next(found, None) is not None, skipped=skipped)


def _write(source: str, problems: "list[Problem]", flags: dict[str, Any], json: bool) -> None:
    """Makes the tests in a run of their own, which goes on where it was broken off, and writes the problems."""
    from openstrawberry.cli.live import open_view
    from openstrawberry.cli.render import show_written
    from openstrawberry.config import load_config, parse_sets
    from openstrawberry.generate import Run
    from openstrawberry.pieces import BERRY_ONLY_KNOWS
    from openstrawberry.settings import Settings
    from openstrawberry.verifiers.cases import cases_of
    from openstrawberry.writing import Validity

    bare = [problem for problem in problems if cases_of(problem).empty]
    if not bare:
        raise SetupError(f"Every problem of {source} has tests: use it as it is, or name one without tests.")
    given = {name: flags[name] for name in (*_WRITING, "seed") if name not in ("out", "set_")}
    given |= {"set": parse_sets(flags["set_"] or []), "problems": source, "strategy": "write-tests"}
    config = load_config(None, {**given, "samples": flags["samples"] or 1})
    if config.providers == ["berry"]:
        raise SetupError(BERRY_ONLY_KNOWS)
    file = flags["out"] or Path(f"{Path(source.partition('@')[0]).stem.replace(':', '-')}-with-tests.jsonl")
    view = open_view(json=json, watch=False)
    validity = Validity()
    run = Run(config, Settings.load(), emit=view.hear, problems=bare, checker=validity)
    summary, written = asyncio.run(_run(run, view, validity, problems, file))
    show_written(written, summary, json=json)
    if summary.owed or summary.stopped:
        raise typer.Exit(3)


async def _run(
    run: "Run", view: "RunView", validity: "Validity", problems: "list[Problem]", file: Path
) -> "tuple[Summary, Written]":
    from openstrawberry.writing import Collector

    try:
        if weak := await validity.warning():
            print(f"strawberry: {weak}", file=sys.stderr)
        view.start(run)
        summary = await run.run()
        view.stop()
        return summary, await Collector(problems, run.directory.path, run.model.spec, validity).write(file)
    finally:
        view.stop()
        await validity.close()
        await run.close()
