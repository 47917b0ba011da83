"""`strawberry ask`: one question, watched step by step."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from openstrawberry.cli import options as o
from openstrawberry.errors import Interrupted

if TYPE_CHECKING:
    from openstrawberry.cli.asking import AskView
    from openstrawberry.config import RunConfig
    from openstrawberry.settings import Settings
    from openstrawberry.trace import Trace

PAUSE_EVERY = 10  # turns after which a person at a terminal is asked whether to go on


def command(
    question: Annotated[str, typer.Argument(help="What to think about.")] = "How many r's are in strawberry?",
    answer: Annotated[str | None, typer.Option(help="The right answer, to check against.")] = None,
    model: o.Model = None,
    critic_model: o.CriticModel = None,
    judge_model: o.JudgeModel = None,
    strategy: o.StrategyName = None,
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
    timeout: o.Timeout = None,
    num_ctx: o.NumCtx = None,
    keep_alive: o.KeepAlive = None,
    cache_ttl: o.CacheTtl = None,
    prices: o.Prices = None,
    budget_usd: o.BudgetUsd = None,
    budget_tokens: o.BudgetTokens = None,
    out: o.Out = None,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Watch a model reason about one question. At a terminal it pauses every 10 turns and asks whether to go on."""
    flags = dict(locals())
    from rich.console import Console

    from openstrawberry.cli.asking import AskView
    from openstrawberry.config import load_config, parse_sets
    from openstrawberry.settings import Settings

    dry = flags.pop("dry_run")
    asked, known = flags.pop("question"), flags.pop("answer")
    flags["set"] = parse_sets(flags.pop("set_") or [])
    as_json = flags.pop("json")
    config = load_config(None, {**flags, "samples": 1, "concurrency": 1})
    if dry:
        show_plan(config, asked, as_json)
        return
    view = AskView(Console(), streaming=sys.stdout.isatty())
    try:
        trace = _ask(config, Settings.load(), asked, known, view, as_json)
    except KeyboardInterrupt:
        raise Interrupted("Interrupted; what was said is kept in traces/. Ask again to start afresh.") from None
    if as_json:
        print(trace.to_line())
    else:
        view.verdict(trace)
    if trace.owed:
        print(f"strawberry: {trace.error.message}", file=sys.stderr)
        raise typer.Exit(3)


def show_plan(config: "RunConfig", question: str, json: bool) -> None:
    """What asking would send and take."""
    from openstrawberry.ask import problem_of
    from openstrawberry.cli.planview import show_estimate
    from openstrawberry.estimate import estimate
    from openstrawberry.settings import Settings

    show_estimate(estimate(config, Settings.load(), [problem_of(config, question, None)]), json)


def _ask(
    config: "RunConfig", settings: "Settings", question: str, answer: str | None, view: "AskView", quiet: bool
) -> "Trace":
    from openstrawberry.ask import Asking
    from openstrawberry.engine.events import ignore

    pausing = not quiet and sys.stdin.isatty() and sys.stdout.isatty() and config.max_turns is None
    turns: int | None = PAUSE_EVERY if pausing else config.max_turns
    with asyncio.Runner() as loop:  # not one `asyncio.run`: Ctrl-C at the prompt must reach the prompt
        asking = Asking(config, settings, question, answer, ignore if quiet else view.hear, stream=view.streaming)
        try:
            trace = loop.run(asking.run(turns))
            while pausing and trace.stop == "max_turns" and turns and _go_on():
                turns += PAUSE_EVERY
                view.again()
                trace = loop.run(asking.run(turns))
            return trace
        finally:
            loop.run(asking.close())


def _go_on() -> bool:
    try:
        reply = input(f"Continue for {PAUSE_EVERY} more turns? [Y/n] ")
    except EOFError:
        return False
    return reply.strip().lower() in ("", "y", "yes")
