"""`strawberry verify RUN`: checks the answers of a run again, without calling a model."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from openstrawberry.cli import options as o


def command(
    run: Annotated[Path | None, typer.Argument(help="Run directory (default: the newest in traces/).")] = None,
    verifier: o.VerifierName = None,
    json: o.Json = False,
) -> None:
    """Check the answers of a run again, with another verifier or a repaired one. Calls no model.

    The new verdicts are kept beside the traces, and count from then on.
    """
    from openstrawberry.cli.render import show_recheck
    from openstrawberry.store.reading import newest
    from openstrawberry.verify import recheck

    def warn(text: str) -> None:
        print(f"strawberry: {text}", file=sys.stderr)

    path = run or newest(Path("traces"))
    show_recheck(path, asyncio.run(recheck(path, verifier, warn)), json=json)
