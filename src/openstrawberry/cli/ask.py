"""`strawberry ask`: one question, watched step by step."""

import asyncio
import os
import stat
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from openstrawberry.cli import options as o
from openstrawberry.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from openstrawberry.cli.asking import AskView
    from openstrawberry.config import RunConfig
    from openstrawberry.settings import Settings
    from openstrawberry.trace import Trace

QUESTION = "How many r's are in strawberry?"
PAUSE_EVERY = 10  # turns after which a person at a terminal is asked whether to go on


def command(
    question: Annotated[
        str | None,
        typer.Argument(help=f"What to think about; - or a pipe is read (default: {QUESTION})", metavar="TEXT"),
    ] = None,
    answer: Annotated[str | None, typer.Option(help="The right answer, to check against.")] = None,
    model: o.Model = None,
    critic_model: o.CriticModel = None,
    judge_model: o.JudgeModel = None,
    strategy: o.StrategyName = None,
    prm: o.Prm = None,
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
    timeout: o.Timeout = None,
    num_ctx: o.NumCtx = None,
    keep_alive: o.KeepAlive = None,
    cache_ttl: o.CacheTtl = None,
    prices: o.Prices = None,
    budget_usd: o.BudgetUsd = None,
    budget_tokens: o.BudgetTokens = None,
    out: o.Out = None,
    dry_run: o.DryRun = None,
    json: o.Json = None,
) -> None:
    """Watch a model reason about one question. At a terminal it pauses every 10 turns and asks whether to go on."""
    flags = dict(locals())
    from rich.console import Console

    from openstrawberry.cli.asking import AskView
    from openstrawberry.config import load_config, parse_sets
    from openstrawberry.settings import Settings

    dry = flags.pop("dry_run")
    asked, known = question_from(flags.pop("question")), flags.pop("answer")
    flags["set"] = parse_sets(flags.pop("set_") or [])
    as_json = flags.pop("json")
    config = load_config(None, {**flags, "samples": 1, "concurrency": 1})
    if dry:
        show_plan(config, asked, as_json)
        return
    view = AskView(Console())
    try:
        trace, kept = _ask(config, Settings.load(), asked, known, view, as_json)
    except KeyboardInterrupt:
        where = config.out or config.home
        raise Interrupted(f"Interrupted; what was said is kept in {where}. Ask again to start afresh.") from None
    finally:
        view.stop()
    if as_json:
        print(trace.to_line())
    else:
        view.verdict(trace, kept)
    if trace.owed:
        print(f"strawberry: {trace.error.message}", file=sys.stderr)
        raise typer.Exit(3)


def question_from(given: str | None) -> str:
    """The question: as written, or from stdin where that is a pipe or a file; an empty one leaves the usual question.

    Raises:
        UsageError: there is no text in it.
    """
    read = given == "-" or (given is None and _piped())
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if read else given
    if given is None and not (text or "").strip():
        return QUESTION
    if text is None or not text.strip():
        raise UsageError("The question is empty: write it after `strawberry ask`, or pipe it in.")
    return text.strip() if read else text


def _piped() -> bool:
    """Whether somebody gives us text. Where nobody does, stdin is a terminal, closed, or a device such as /dev/null."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def show_plan(config: "RunConfig", question: str, json: bool | None) -> None:
    """What asking would send and take."""
    from openstrawberry.ask import problem_of
    from openstrawberry.cli.planview import show_estimate
    from openstrawberry.estimate import estimate
    from openstrawberry.settings import Settings

    show_estimate(estimate(config, Settings.load(), [problem_of(config, question, None)]), bool(json))


def _ask(
    config: "RunConfig", settings: "Settings", question: str, answer: str | None, view: "AskView", quiet: bool | None
) -> "tuple[Trace, Path]":
    """The trace, and the run directory that holds it."""
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
                trace = loop.run(asking.run(turns))
            return trace, asking.path
        finally:
            loop.run(asking.close())


def _go_on() -> bool:
    try:
        reply = input(f"Continue for {PAUSE_EVERY} more turns? [Y/n] ")
    except EOFError:
        return False
    return reply.strip().lower() in ("", "y", "yes")
