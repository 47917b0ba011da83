"""`strawberry eval`: models and methods side by side."""

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from openstrawberry.cli import options as o
from openstrawberry.errors import Interrupted

Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", help="A model to compare, as provider:name; several times for several."),
]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", help="zero-shot, few-shot, cot, or strawberry:max_turns=20,temperature=0.7; several."),
]
Samples = Annotated[int | None, typer.Option("--samples", "-n", help="Traces per problem and row (default: 1).")]
Ks = Annotated[list[int] | None, typer.Option("--k", help="k of pass@k and maj@k (default: 2, 4, ... samples).")]
Against = Annotated[str | None, typer.Option(help="The row that the others are compared with (default: the first).")]
AllPairs = Annotated[bool | None, typer.Option("--all-pairs", help="Compare every row with every other.")]
Baseline = Annotated[Path | None, typer.Option(help="An earlier report.json: compare each row with its row there.")]
Out = Annotated[Path | None, typer.Option(help="Folder (default: a new one, or the unfinished one, in evals/).")]
Problems = Annotated[str | None, typer.Option("--problems", "-p", help="Any source (default: builtin:heldout?n=20).")]
Seen = Annotated[
    bool | None, typer.Option("--allow-trained-on", help="Ask also what a model was trained on; the report says so.")
]


def command(
    models: Models = None,
    methods: Methods = None,
    critic_model: o.CriticModel = None,
    judge_model: o.JudgeModel = None,
    prm: o.Prm = None,
    problems: Problems = None,
    samples: Samples = None,
    k: Ks = None,
    limit: o.Limit = None,
    against: Against = None,
    all_pairs: AllPairs = None,
    baseline: Baseline = None,
    out: Out = None,
    concurrency: o.Concurrency = None,
    requests_per_minute: o.RequestsPerMinute = None,
    tokens_per_minute: o.TokensPerMinute = None,
    max_turns: o.MaxTurns = None,
    final_every: o.FinalEvery = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    max_tokens: o.MaxTokens = None,
    reasoning: o.Reasoning = None,
    seed: o.Seed = None,
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
    allow_trained_on: Seen = None,
    config: o.Config = None,
    json: o.Json = None,
) -> None:
    """Measure models and methods side by side on the same problems, and say which is better, with intervals.

    Bare, it compares the newest trained model with its base, or the methods of the embedded model. Run the same command
    again to go on after a crash. The report is written as Markdown, JSON and one HTML page.
    """
    flags = dict(locals())
    from openstrawberry.config import load_switches

    run_command(flags, **load_switches(config, {"json": flags.pop("json")}))


def run_command(flags: dict[str, Any], json: bool) -> None:
    """Evaluates with the given flags and leaves with the right exit code."""
    from openstrawberry.cli.evalview import EvalView
    from openstrawberry.config import load_settings
    from openstrawberry.evaluation.choose import choose
    from openstrawberry.evaluation.config import Evaluation
    from openstrawberry.evaluation.evaluate import evaluate
    from openstrawberry.settings import Settings

    file = flags.pop("config")
    asked = load_settings(Evaluation, file, {name: value for name, value in flags.items() if value != []}, ["json"])
    choice = choose(asked.models, asked.methods)
    asked = asked.model_copy(update=choice.settings)
    view = EvalView(json)
    if choice.why:
        view.chosen(choice.why, asked.command)
    try:
        report = asyncio.run(evaluate(asked, Settings.load(), view.hear))
    except KeyboardInterrupt:
        again = shlex.join(["strawberry", *sys.argv[1:]])
        raise Interrupted(f"Interrupted; everything so far is kept. Go on with: {again}") from None
    finally:
        view.stop()
    view.end(report)
    if report.failed:
        raise typer.Exit(3)
