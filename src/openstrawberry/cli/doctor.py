"""`strawberry doctor`: what is set up, what answers, and what it offers."""

import asyncio

from openstrawberry.cli import options as o


def command(json: o.Json = False) -> None:
    """Show which providers have keys, which local servers answer, and which models they list. Secrets stay hidden."""
    from openstrawberry.cli.render import show_doctor
    from openstrawberry.doctor import examine
    from openstrawberry.settings import Settings

    show_doctor(asyncio.run(examine(Settings.load())), json=json)
