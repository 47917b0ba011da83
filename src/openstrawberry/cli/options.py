"""The common flags, the same in every command. A flag that is not given is None, so that `--config` can speak."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Who reasons, as provider:name, or several with commas that share the load (default: berry, embedded).",
    ),
]
CriticModel = Annotated[
    str | None,
    typer.Option(help="Who plays the critic of a strategy (default: the solver); asked live in batch runs."),
]
JudgeModel = Annotated[
    str | None,
    typer.Option(help="Who plays the judge of a strategy or of --verifier judge (default: the solver), likewise live."),
]
Problems = Annotated[
    str | None,
    typer.Option(
        "--problems", "-p", help="A file, hub:NAME, gym:NAME, builtin:NAME or a preset (default: builtin:demo)."
    ),
]
StrategyName = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        "-s",
        help="strawberry (default), zero-shot, few-shot, cot, g1, llamaberry, deep-think, distill or rationalize.",
    ),
]
Prm = Annotated[
    str | None, typer.Option("--prm", help="Process reward model that scores steps, as prm:PATH (see train-prm).")
]
Samples = Annotated[int | None, typer.Option("--samples", "-n", help="Traces per problem (default: 4).")]
UntilDecided = Annotated[
    bool | None,
    typer.Option(
        "--until-decided",
        help="Stop sampling a problem once it has a right and a wrong trace, or is clearly too easy or too hard "
        "(--samples then defaults to 20).",
    ),
]
Limit = Annotated[int | None, typer.Option(help="Use only the first N problems.")]
Out = Annotated[
    Path | None, typer.Option(help="Run directory (default: a new one, or the unfinished one, in traces/).")
]
Fresh = Annotated[
    bool | None,
    typer.Option(
        "--fresh/--no-fresh", help="Ask everything again: start a new run, and use no reply of an earlier one."
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Processes that send the requests, where one cannot keep up (default: 1).")
]
RequestsPerMinute = Annotated[
    float | None, typer.Option(help="Most requests a minute, for each model and key (default: as its provider allows).")
]
TokensPerMinute = Annotated[float | None, typer.Option(help="Most tokens a minute, read and written, likewise.")]
Engine = Annotated[
    str | None,
    typer.Option(help="live (default), or batch: the provider's batch API at half the price, all traces turn by turn."),
]
Deadline = Annotated[
    float | None,
    typer.Option(help="With --engine batch: hours to finish in; in the last quarter what is left is asked live."),
]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", "-c", help="Traces at a time (default: 64; --engine batch: 10000).")
]
MaxTurns = Annotated[int | None, typer.Option(help="Replies per trace before it is given up (strawberry: 40).")]
FinalEvery = Annotated[int | None, typer.Option(help="Ask for the final answer every N turns (strawberry: 9).")]
Turns = Annotated[int | None, typer.Option(help="Refining turns before the synthesis (llamaberry: 3).")]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", "-t", help="Fixed sampling temperature (strawberry: climbs from 0.3 to 1)."),
]
TopP = Annotated[float | None, typer.Option(help="Nucleus sampling (default: the model's own).")]
MaxTokens = Annotated[int | None, typer.Option(help="Longest reply, in tokens (default: 4096; berry: 160 a step).")]
Reasoning = Annotated[str | None, typer.Option(help="For models that think: off, low, medium or high.")]
Seed = Annotated[int | None, typer.Option(help="Seeds prompts and sampling (default: 0).")]
Set = Annotated[list[str] | None, typer.Option("--set", help="An option of the strategy, as key=value.")]
Prompts = Annotated[Path | None, typer.Option(help="Folder whose YAML files replace the shipped prompts by name.")]
PromptSet = Annotated[str | None, typer.Option(help="full or brief (default: brief for berry, full otherwise).")]
VerifierName = Annotated[
    str | None,
    typer.Option("--verifier", help="exact, numeric, choice, math, gym, code or judge (default: chosen per problem)."),
]
QuestionColumn = Annotated[str | None, typer.Option(help="Column that holds the question.")]
AnswerColumn = Annotated[str | None, typer.Option(help="Column that holds the answer.")]
SkipBadRows = Annotated[bool | None, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be read.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds without a byte before a call is given up (default: 600).")]
Attempts = Annotated[int | None, typer.Option(help="Tries per call before its trace fails (default: 8).")]
NumCtx = Annotated[int | None, typer.Option(help="Ollama: context window in tokens.")]
KeepAlive = Annotated[str | None, typer.Option(help="Ollama: how long the model stays loaded, such as 30m.")]
CacheTtl = Annotated[
    str | None,
    typer.Option(
        help="Anthropic: how long a cached prompt lives, 5m (default) or 1h (dearer to write, for slow turns)."
    ),
]
BudgetUsd = Annotated[
    float | None, typer.Option(help="Never spend more than so many dollars on this run, whatever happens.")
]
BudgetTokens = Annotated[int | None, typer.Option(help="Never read and write more than so many tokens in this run.")]
Prices = Annotated[Path | None, typer.Option(help="YAML file with prices of your own, in dollars per million tokens.")]
DryRun = Annotated[
    bool | None,
    typer.Option("--dry-run/--no-dry-run", help="Show the first prompt, and what it would take; send nothing."),
]
Config = Annotated[Path | None, typer.Option(help="YAML file with any of these flags; the command line wins.")]
Json = Annotated[
    bool | None, typer.Option("--json/--no-json", help="One JSON object per line on stdout, for programs.")
]
