"""Starts the page: a streamlit server that only this machine can reach unless told otherwise, and that tells nobody.

The page's own settings travel as arguments of its script, `app.py`; streamlit's as options, so that no file of the user
is written or needed.
"""

import socket
from contextlib import closing
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError

PORT, TRIES = 8501, 50
HERE = "127.0.0.1"
APP = Path(__file__).parent / "app.py"
_ACCENT = "#c9223c"
_LOOKS = {
    "base": "light",
    "primaryColor": _ACCENT,
    "backgroundColor": "#f6f6f4",
    "secondaryBackgroundColor": "#ffffff",
    "textColor": "#1d1f21",
    "linkColor": _ACCENT,
    "borderColor": "#d9dcdf",
    "redColor": "#b3261e",
    "greenColor": "#12704a",
    "font": "system-ui, sans-serif",
    "headingFont": "system-ui, sans-serif",
    "codeFont": "ui-monospace, monospace",
    "baseRadius": "10px",
    "showWidgetBorder": True,
}


def serve(home: Path, host: str, port: int) -> None:
    """Serves the page until it is interrupted.

    Raises:
        SetupError: streamlit is not installed.
    """
    wanted()
    from streamlit.web import bootstrap

    options = options_for(host, port)
    bootstrap.load_config_options(flag_options=options)
    bootstrap.run(str(APP), False, [f"--home={home}"], options)


def wanted() -> None:
    """Makes sure that what draws the page is there.

    Raises:
        SetupError: it is not.
    """
    if find_spec("streamlit") is None:
        raise SetupError('The page needs streamlit: run pip install "openstrawberry[ui]".')


def options_for(host: str, port: int) -> dict[str, Any]:
    """Streamlit's options: nothing is counted or reported, no editor's aids, our colours.

    A page for this machine alone answers to no other name, so that no web site can reach it by one (DNS rebinding).
    """
    options: dict[str, Any] = {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.allowedHosts": ["localhost", HERE, "::1", host] if is_loopback(host) else [],
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "logger.hideWelcomeMessage": True,
        "logger.level": "warning",
        "runner.magicEnabled": False,
        "global.disableWidgetStateDuplicationWarning": True,
        **{f"theme.{name}": value for name, value in _LOOKS.items()},
    }
    return {name.replace(".", "_"): value for name, value in options.items()}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def free_port(host: str, port: int | None) -> int:
    """`port`, or the first free one from 8501 on.

    Raises:
        SetupError: the port, or every one that was tried, is taken, or `host` is no address of this machine.
    """
    reason = ""
    for candidate in [port] if port is not None else range(PORT, PORT + TRIES):
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with closing(socket.socket(family, socket.SOCK_STREAM)) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind((host, candidate))
                return candidate
        except (OSError, OverflowError) as error:
            reason = str(getattr(error, "strerror", None) or error).lower()
    where = f"{host}:{port}" if port is not None else host
    raise SetupError(f"The page cannot be served at {where} ({reason}): choose another --port or --host.")
