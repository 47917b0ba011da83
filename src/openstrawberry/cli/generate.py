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
    from openstrawberry.generate import Run
    from openstrawberry.store.summary import Summary


def command(
    model: o.Model = None,
    problems: o.Problems = None,
    strategy: o.StrategyName = None,
    samples: o.Samples = None,
    until_decided: o.UntilDecided = None,
    limit: o.Limit = None,
    out: o.Out = None,
    engine: o.Engine = None,
    deadline: o.Deadline = None,
    concurrency: o.Concurrency = None,
    max_turns: o.MaxTurns = None,
    final_every: o.FinalEvery = None,
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
    config: o.Config = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the steps of one trace after the other.")] = False,
    json: o.Json = False,
) -> None:
    """Make a model reason through problems step by step, check every trace, and keep them all.

    Bare, it runs the embedded model on built-in problems. Run the same command again to go on after a crash.
    """
    flags = dict(locals())
    run_command(flags, json=flags.pop("json"), watch=flags.pop("watch"))


def run_command(flags: dict[str, Any], json: bool, watch: bool) -> None:
    """Generates with the given flags and leaves with the right exit code."""
    from openstrawberry.cli.live import open_view
    from openstrawberry.config import load_config, parse_sets
    from openstrawberry.generate import Run
    from openstrawberry.settings import Settings

    file = flags.pop("config")
    flags["set"] = parse_sets(flags.pop("set_") or [])
    view = open_view(json=json, watch=watch)
    run = Run(load_config(file, flags), Settings.load(), emit=view.hear)
    try:
        summary = asyncio.run(_run(run, view))
    except KeyboardInterrupt:
        command = shlex.join(["strawberry", *sys.argv[1:]])
        left = f", and {batches(run.batches)} at the provider" if run.batches else ""
        raise Interrupted(f"Interrupted; everything so far is kept{left}. Go on with: {command}") from None
    view.summary(summary)
    if summary.failed:
        raise typer.Exit(3)


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
