"""`strawberry doctor`: what is set up, what answers, and what it offers."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from openstrawberry.cli import options as o

Call = Annotated[bool, typer.Option("--call/--no-call", help="Send one tiny request per configured model, or none.")]
Home = Annotated[Path, typer.Option(help="Where run directories are.")]


def command(call: Call = True, home: Home = Path("traces"), json: o.Json = None) -> None:
    """Show which providers have keys, which local servers answer, and which models they list. Secrets stay hidden.

    A provider for which the environment names a model (OPENAI_MODEL_NAME and its like) gets one request of 16 tokens,
    so that its latency and its limits can be shown; --no-call spends nothing.
    """
    from openstrawberry.cli.doctorview import show_doctor
    from openstrawberry.doctor import examine, examine_sandbox
    from openstrawberry.settings import Settings
    from openstrawberry.store.records import measure_records

    findings = asyncio.run(examine(Settings.load(), call))
    show_doctor(findings, asyncio.run(examine_sandbox()), measure_records(home), json=bool(json))
