"""`strawberry bootstrap`: the whole loop, round after round."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from openstrawberry.cli import options as o
from openstrawberry.errors import Interrupted


def command(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of a loop (default: the embedded model's loop).")
    ] = None,
    student: Annotated[str | None, typer.Option(help="Who learns: berry, berry:DIR or hf:NAME.")] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Who makes the traces, as provider:name (default: the student).")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds at most (default: 3).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the loop (default: loops/berry).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seeds problems, sampling and training (default: 0).")] = None,
    hours: Annotated[float | None, typer.Option(help="Begin nothing new after so many hours of work.")] = None,
    budget_usd: Annotated[
        float | None, typer.Option(help="Never spend more than so many dollars on the whole loop.")
    ] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(help="Never read and write more than so many tokens in the whole loop.")
    ] = None,
    prices: o.Prices = None,
    show_config: Annotated[bool, typer.Option("--show-config", help="Print the loop as YAML, to be edited.")] = False,
    json: o.Json = None,
) -> None:
    """Let a model learn from its own checked traces, round after round, on ever harder problems.

    Each round samples problems that the model barely solves, trains on its right and wrong traces, and keeps the new
    model only if a paired test on held-out problems says that it is better. Run the same command to go on after a kill;
    hours and budgets hold over all of its commands.
    """
    flags = dict(locals())
    file, as_json, show = flags.pop("config"), flags.pop("json"), flags.pop("show_config")
    _run(file, flags, as_json, show)


def _run(file: Path | None, flags: dict[str, Any], as_json: bool | None, show: bool) -> None:
    from openstrawberry.bootstrap.config import Loop
    from openstrawberry.config import load_settings, load_switches

    shown = load_switches(file, {"json": as_json})
    loop = load_settings(Loop, file, flags, beside=shown)
    if show:
        import yaml

        print(yaml.safe_dump(loop.model_dump(mode="json"), sort_keys=False), end="")
        return
    from openstrawberry.bootstrap.loop import Bootstrap
    from openstrawberry.cli.climb import open_view
    from openstrawberry.cli.generate import with_flag
    from openstrawberry.settings import Settings

    view = open_view(shown["json"])
    bootstrap = Bootstrap(loop, Settings.load(), view.hear)
    view.start(bootstrap)
    try:
        lineage = bootstrap.run()
    except KeyboardInterrupt:
        command = shlex.join(["strawberry", *sys.argv[1:]])
        raise Interrupted(f"Interrupted; everything so far is kept. Go on with: {command}") from None
    finally:
        view.stop()
        bootstrap.close()
    view.finish(lineage, bootstrap.ladder)
    if bootstrap.used_up is not None:
        again = shlex.join(["strawberry", *with_flag(sys.argv[1:], *bootstrap.used_up.more.split())])
        why = bootstrap.used_up.why
        print(f"strawberry: {why[0].upper()}{why[1:]}; everything so far is kept. Go on with: {again}", file=sys.stderr)
        raise typer.Exit(3)
