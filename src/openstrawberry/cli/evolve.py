"""`strawberry evolve SOURCE`: harder and broader problems, each with a derived answer."""

import asyncio
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openstrawberry.cli import options as o
from openstrawberry.errors import Interrupted

if TYPE_CHECKING:
    from openstrawberry.cli.evolveview import EvolveView
    from openstrawberry.evolve.evolution import Evolution
    from openstrawberry.store.summary import Summary

BESIDE = ("dry_run", "json")  # what is shown; all other flags are settings

Source = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE", help="Problems to begin with: a file, hub:NAME, gym:NAME, builtin:NAME, a preset."
    ),
]
Writer = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Who writes, and unless others are named solves and tries (default: berry)."),
]
SolverModel = Annotated[str | None, typer.Option(help="Who finds the answers (default: --model).")]
TargetModel = Annotated[
    str | None, typer.Option(help="Who must be right sometimes, and wrong sometimes (default: --model).")
]
Rounds = Annotated[int | None, typer.Option(help="Rounds; each problem meets one operator in each (default: 2).")]
Operators = Annotated[
    list[str] | None,
    typer.Option(help="Some of deepen, constrain, concretise, reason, complicate, broaden, fresh (default: all)."),
]
Written = Annotated[
    bool | None, typer.Option("--written", help="Let the model write also what a generator of the family could make.")
]
Solvers = Annotated[int | None, typer.Option(help="Independent solvers of each problem (default: 5).")]
Agree = Annotated[float | None, typer.Option(help="Share of the solvers that must give one answer (default: 0.8).")]
SolverStrategy = Annotated[str | None, typer.Option(help="How they solve (default: cot).")]
Samples = Annotated[
    int | None,
    typer.Option("--samples", "-n", help="Tries of the target at most, 0 keeps any difficulty (default: 8)."),
]
TargetStrategy = Annotated[
    str | None, typer.Option("--strategy", "-s", help="How the target tries (default: strawberry for berry, else cot).")
]
Near = Annotated[float | None, typer.Option(help="Likeness from which problems are copies (default: 0.9).")]
Out = Annotated[Path | None, typer.Option(help="File to append to (default: evolved/SOURCE-MODEL.jsonl).")]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", "-c", help="Problems and calls at a time (default: 64).")
]


def command(
    problems: Source = None,
    model: Writer = None,
    solver_model: SolverModel = None,
    target_model: TargetModel = None,
    rounds: Rounds = None,
    operators: Operators = None,
    written: Written = None,
    solvers: Solvers = None,
    agree: Agree = None,
    solver_strategy: SolverStrategy = None,
    samples: Samples = None,
    strategy: TargetStrategy = None,
    near: Near = None,
    limit: o.Limit = None,
    out: Out = None,
    concurrency: Concurrency = None,
    requests_per_minute: o.RequestsPerMinute = None,
    tokens_per_minute: o.TokensPerMinute = None,
    max_turns: o.MaxTurns = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    max_tokens: o.MaxTokens = None,
    reasoning: o.Reasoning = None,
    seed: o.Seed = None,
    set_: o.Set = None,
    prompts: o.Prompts = None,
    prompt_set: o.PromptSet = None,
    question_column: o.QuestionColumn = None,
    answer_column: o.AnswerColumn = None,
    skip_bad_rows: o.SkipBadRows = None,
    timeout: o.Timeout = None,
    attempts: o.Attempts = None,
    num_ctx: o.NumCtx = None,
    keep_alive: o.KeepAlive = None,
    cache_ttl: o.CacheTtl = None,
    prices: o.Prices = None,
    budget_usd: o.BudgetUsd = None,
    budget_tokens: o.BudgetTokens = None,
    config: o.Config = None,
    dry_run: o.DryRun = None,
    json: o.Json = None,
) -> None:
    """Make harder and broader problems out of problems, and keep those that a model solves sometimes.

    Every new problem gets an answer of its own, computed by a generator or agreed on by several solvers. Bare, built-in
    problems become harder until the embedded model slips. Run the same command again to go on after a crash.
    """
    flags = dict(locals())
    from openstrawberry.config import load_switches

    run_command(flags, **load_switches(config, {name: flags.pop(name) for name in BESIDE}))


def run_command(flags: dict[str, Any], dry_run: bool, json: bool) -> None:
    """Evolves with the given flags and leaves with the right exit code."""
    from openstrawberry.cli.evolveview import EvolveView, show_preview
    from openstrawberry.cli.generate import with_flag
    from openstrawberry.config import load_settings, parse_sets
    from openstrawberry.evolve.config import Evolving
    from openstrawberry.evolve.evolution import Evolution
    from openstrawberry.evolve.parts import preview
    from openstrawberry.settings import Settings

    file, sets = flags.pop("config"), parse_sets(flags.pop("set_") or [])
    flags = {name: value for name, value in flags.items() if value != []} | ({"set": sets} if sets else {})
    asked = load_settings(Evolving, file, flags, BESIDE)
    if dry_run:
        show_preview(asked, preview(asked, Settings.load()), json)
        return
    view = EvolveView(json)
    evolution = Evolution(asked, Settings.load(), view.hear)
    try:
        summary = asyncio.run(_run(evolution, view))
    except KeyboardInterrupt:
        again = shlex.join(["strawberry", *sys.argv[1:]])
        raise Interrupted(f"Interrupted; everything so far is kept. Go on with: {again}") from None
    view.end(evolution, summary)
    if evolution.cast.budget is not None and evolution.cast.budget.short:
        again = shlex.join(["strawberry", *with_flag(sys.argv[1:], *evolution.cast.budget.more().split())])
        print(f"strawberry: The budget is used up; everything so far is kept. Go on with: {again}", file=sys.stderr)
    if evolution.failures or evolution.stopped:
        raise typer.Exit(3)


async def _run(evolution: "Evolution", view: "EvolveView") -> "Summary":
    started = time.monotonic()
    try:
        view.start(evolution)
        summary = await evolution.run()
        summary.seconds = time.monotonic() - started
        return summary
    finally:
        view.stop()
        await evolution.close()
