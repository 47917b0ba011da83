"""`strawberry verify RUN`: checks the answers of a run again, or compares two verifiers over it."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openstrawberry.cli import options as o
from openstrawberry.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from openstrawberry.verify import JudgeCalls

JudgeModel = Annotated[
    str | None, typer.Option(help="Who judges, as provider:name; needed by --verifier judge, and called by no other.")
]
Audit = Annotated[
    bool, typer.Option("--audit", help="Keep nothing, but say how far the verifier and --against agree, and where not.")
]
Against = Annotated[
    str | None, typer.Option(help="With --audit: the other verifier (default: the verdicts that the run has).")
]
Limit = Annotated[int | None, typer.Option(min=1, help="With --audit: only the first N traces.")]
Concurrency = Annotated[int | None, typer.Option("--concurrency", "-c", help="Calls of the judge at a time (64).")]


def command(
    run: Annotated[Path | None, typer.Argument(help="Run directory (default: the newest in traces/).")] = None,
    verifier: o.VerifierName = None,
    judge_model: JudgeModel = None,
    audit: Audit = False,
    against: Against = None,
    limit: Limit = None,
    concurrency: Concurrency = None,
    prompts: o.Prompts = None,
    timeout: o.Timeout = None,
    attempts: o.Attempts = None,
    prices: o.Prices = None,
    budget_usd: o.BudgetUsd = None,
    budget_tokens: o.BudgetTokens = None,
    json: o.Json = None,
) -> None:
    """Check the answers of a run again, with another verifier or a repaired one. Only the verifier judge calls a model.

    The new verdicts are kept beside the traces, and count from then on. With --audit nothing is kept: two verifiers are
    compared.
    """
    flags = dict(locals())
    from openstrawberry.audit import audit as compare
    from openstrawberry.cli.verifyview import show_audit, show_recheck
    from openstrawberry.store.reading import newest
    from openstrawberry.verify import recheck
    from openstrawberry.wording import counted

    if not audit and (against or limit):
        raise UsageError("--against and --limit belong to --audit: add it, or leave them out.")

    def warn(text: str) -> None:
        print(f"strawberry: {text}", file=sys.stderr)

    judge = _judge(flags)
    path = run or newest(Path("traces"))
    try:
        if audit:
            compared = asyncio.run(compare(path, verifier, against, judge, limit, warn))
            show_audit(path, compared, bool(json))
            failed, why = compared.failed, compared.error
        else:
            checked = asyncio.run(recheck(path, verifier, judge, warn))
            show_recheck(path, checked, bool(json))
            failed, why = checked.failed, checked.error
    except KeyboardInterrupt:
        raise Interrupted("Interrupted; what was judged is on record. Run the same command to go on.") from None
    if failed:
        told = f"{counted(failed, 'trace')} could not be judged ({why}) Run the same command to ask again."
        print(f"strawberry: {told}", file=sys.stderr)
        raise typer.Exit(3)


def _judge(flags: dict[str, Any]) -> "JudgeCalls | None":
    """Who is asked, where somebody was named."""
    from openstrawberry.config import load_config
    from openstrawberry.settings import Settings
    from openstrawberry.verify import JudgeCalls

    names = ("concurrency", "prompts", "timeout", "attempts", "prices", "budget_usd", "budget_tokens")
    calls = {name: flags[name] for name in names}
    if flags["judge_model"] is not None:
        return JudgeCalls(load_config(None, {**calls, "model": flags["judge_model"]}), Settings.load())
    if given := [name for name, value in calls.items() if value is not None]:
        raise UsageError(f"--{given[0].replace('_', '-')} is for the calls of a judge: name one with --judge-model.")
    return None
