"""`strawberry generate`: the main job."""

import asyncio
import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openstrawberry.cli import options as o
from openstrawberry.errors import Interrupted

if TYPE_CHECKING:
    from openstrawberry.cli.live import RunView
    from openstrawberry.config import RunConfig
    from openstrawberry.generate import Run
    from openstrawberry.store.summary import Summary

BESIDE = ("dry_run", "watch", "json")  # what is shown; all other flags are settings of the run


def command(
    model: o.Model = None,
    critic_model: o.CriticModel = None,
    judge_model: o.JudgeModel = None,
    problems: o.Problems = None,
    strategy: o.StrategyName = None,
    prm: o.Prm = None,
    samples: o.Samples = None,
    until_decided: o.UntilDecided = None,
    limit: o.Limit = None,
    out: o.Out = None,
    fresh: o.Fresh = None,
    engine: o.Engine = None,
    deadline: o.Deadline = None,
    concurrency: o.Concurrency = None,
    workers: o.Workers = None,
    requests_per_minute: o.RequestsPerMinute = None,
    tokens_per_minute: o.TokensPerMinute = None,
    max_turns: o.MaxTurns = None,
    final_every: o.FinalEvery = None,
    turns: o.Turns = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    max_tokens: o.MaxTokens = None,
    reasoning: o.Reasoning = None,
    seed: o.Seed = None,
    set_: o.Set = None,
    prompts: o.Prompts = None,
    prompt_set: o.PromptSet = None,
    verifier: o.VerifierName = None,
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
    watch: Annotated[
        bool | None,
        typer.Option("--watch/--no-watch", help="Show the steps of one trace after the other, as they are written."),
    ] = None,
    json: o.Json = None,
) -> None:
    """Make a model reason through problems step by step, check every trace, and keep them all.

    Bare, it runs the embedded model on built-in problems. Run the same command again to go on after a crash.
    """
    flags = dict(locals())
    from openstrawberry.config import load_switches

    shown = load_switches(config, {name: flags.pop(name) for name in BESIDE})
    if shown["dry_run"]:
        show_plan(flags, json=shown["json"])
    else:
        run_command(flags, json=shown["json"], watch=shown["watch"])


def show_plan(flags: dict[str, Any], json: bool) -> None:
    """What a run with the given flags would send and take."""
    from openstrawberry.cli.planview import show_estimate
    from openstrawberry.estimate import estimate
    from openstrawberry.settings import Settings

    show_estimate(estimate(_config(flags), Settings.load()), json)


def run_command(flags: dict[str, Any], json: bool, watch: bool) -> None:
    """Generates with the given flags and leaves with the right exit code."""
    from openstrawberry.cli.live import open_view
    from openstrawberry.generate import Run
    from openstrawberry.settings import Settings

    config = _config(flags)
    view = open_view(json=json, watch=watch)
    run = Run(config, Settings.load(), emit=view.hear, stream=view.streaming)
    try:
        summary = asyncio.run(_run(run, view))
    except KeyboardInterrupt:
        command = shlex.join(["strawberry", *resuming(sys.argv[1:], run.config)])
        left = f", and {batches(run.batches)} at the provider" if run.batches else ""
        raise Interrupted(f"Interrupted; everything so far is kept{left}. Go on with: {command}") from None
    view.summary(summary)
    if run.budget is not None and run.budget.short:
        again = shlex.join(["strawberry", *with_flag(resuming(sys.argv[1:], run.config), *run.budget.more().split())])
        print(f"strawberry: The budget is used up; everything so far is kept. Go on with: {again}", file=sys.stderr)
    elif config.fresh and summary.owed:
        again = shlex.join(["strawberry", *resuming(sys.argv[1:], config)])
        print(f"strawberry: Go on with this run, and not with a fresh one: {again}", file=sys.stderr)
    if summary.owed or summary.stopped:
        raise typer.Exit(3)


def resuming(arguments: list[str], config: "RunConfig") -> list[str]:
    """The arguments that go on with this run: a fresh one is not begun afresh once more, wherever it was asked for."""
    if not config.fresh:
        return arguments
    return [each for each in arguments if each != "--fresh"] + ["--no-fresh"]


def with_flag(arguments: list[str], flag: str, value: str) -> list[str]:
    """A command line in which `flag` has this value, whatever it was before."""
    kept = [word for word in arguments if not word.startswith(f"{flag}=")]
    if flag in kept:
        at = kept.index(flag)
        del kept[at : at + 2]
    return [*kept, flag, value]


def _config(flags: dict[str, Any]) -> "RunConfig":
    from openstrawberry.config import load_config, parse_sets

    file = flags.pop("config")
    flags["set"] = parse_sets(flags.pop("set_") or [])
    return load_config(file, flags, BESIDE)


def batches(count: int) -> str:
    """`one batch goes on`, `3 batches go on`."""
    return "one batch goes on" if count == 1 else f"{count:,} batches go on"


async def _run(run: "Run", view: "RunView") -> "Summary":
    started = time.monotonic()
    try:
        view.start(run)
        summary = await run.run()
        summary.seconds = time.monotonic() - started
        return summary
    finally:
        view.stop()
        await run.close()
