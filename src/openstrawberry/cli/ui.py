"""`strawberry ui`: the web page."""

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path, typer.Option(help="Where run directories are, and where what is asked is kept.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port (default: the first free one from 8501 on).")]
Host = Annotated[str, typer.Option(help="Address to serve at; any but this one lets other machines in.")]


def command(home: Home = Path("traces"), port: Port = None, host: Host = "127.0.0.1") -> None:
    """Open the web page: ask and watch it think, look through runs, compare models and strategies."""
    from openstrawberry.ui.serve import free_port, is_loopback, serve, wanted

    wanted()
    chosen = free_port(host, port)
    name = f"[{host}]" if ":" in host else host
    print(f"The page is at http://{name}:{chosen} (Ctrl-C ends it).", flush=True)
    if is_loopback(host):
        print("Only this machine can reach it; --host 0.0.0.0 would let others in.", flush=True)
    else:
        print("Other machines can reach it, and may ask with your keys: there is no password.", flush=True)
    serve(home.resolve(), host, chosen)
