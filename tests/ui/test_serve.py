"""How the page is served: to this machine alone, and telling nobody."""

import socket
import subprocess
import sys

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.ui.serve import PORT, free_port, is_loopback, options_for


def test_nothing_is_counted_and_only_names_of_this_machine_are_answered() -> None:
    options = options_for("127.0.0.1", 8600)
    assert options["browser_gatherUsageStats"] is False
    assert (options["server_address"], options["server_port"]) == ("127.0.0.1", 8600)
    assert set(options["server_allowedHosts"]) == {"localhost", "127.0.0.1", "::1"}
    assert options_for("0.0.0.0", 8600)["server_allowedHosts"] == []


def test_every_option_is_one_that_streamlit_knows() -> None:
    config = pytest.importorskip("streamlit.config", reason="streamlit is not installed")
    known = config.get_config_options()
    assert not [name for name in options_for("127.0.0.1", 8600) if name.replace("_", ".") not in known]


def test_which_addresses_only_this_machine_reaches() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.4", "example.com", "")))


def test_a_port_that_is_taken_is_passed_over_or_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"127\.0\.0\.1:{port}.*--port"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", port) == port
    assert PORT <= free_port("127.0.0.1", None) < PORT + 50
    with pytest.raises(SetupError, match="another --port or --host"):
        free_port("no.such.host.invalid", 8600)


def test_without_streamlit_it_is_one_sentence() -> None:
    code = "import sys; sys.modules['streamlit'] = None; from openstrawberry.cli.app import main; main(['ui'])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr == 'strawberry: The page needs streamlit: run pip install "openstrawberry[ui]".\n'
