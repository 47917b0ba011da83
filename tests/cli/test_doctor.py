"""`strawberry doctor`, as a user meets it."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from openstrawberry.store.records import measure_records
from tests.cli.commands import Shell


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing is configured, and nothing listens."""
    for name in [name for name in os.environ if name.endswith(("_KEY", "_TOKEN", "_URL", "_NAME", "_ENDPOINT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("VLLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.chdir(tmp_path)


def test_it_fits_80_columns_and_needs_no_colour(shell: Shell) -> None:
    done = shell.strawberry("doctor", "--no-call")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert "\x1b" not in done.out
    assert not [line for line in done.out.splitlines() if line != line.rstrip()]
    assert "openai       no key: set OPENAI_API_KEY" in done.out
    assert "ollama serve" in done.out


def test_json_has_a_line_for_every_provider_and_one_for_the_records(shell: Shell) -> None:
    events = shell.strawberry("doctor", "--json").events
    rows = {event["name"]: event for event in events if event["event"] == "provider"}
    assert (rows["berry"]["state"], rows["berry"]["cache"]) == ("ready", "kept")
    assert rows["berry"]["latency_s"] > 0
    facts = {name: (rows[name]["cache"], rows[name]["batch"]) for name in ("openai", "anthropic", "gemini", "vllm")}
    assert facts == {
        "openai": ("key", True), "anthropic": ("marks", True), "gemini": ("prefix", True), "vllm": ("prefix", False),
    }  # fmt: skip
    assert events[-1] == {"event": "records", "path": "traces", "runs": 0, "bytes": 0, "oldest": "", "newest": ""}


def test_a_key_is_shown_as_set_and_never_as_itself(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    for arguments in ((), ("--json",)):
        done = shell.strawberry("doctor", "--no-call", *arguments)
        assert "sk-secret" not in done.out + done.err
        assert "set" in done.out
        assert max(map(len, done.out.splitlines())) <= 80 or arguments


def test_size_and_age_of_the_reply_records_are_shown(shell: Shell) -> None:
    home = shell.folder / "traces"
    for name in ("one", "two"):
        shell.run = home / name
        shell.generate("--samples", 1)
    created = [json.loads((home / name / "run.json").read_text())["created"] for name in ("one", "two")]
    done = shell.strawberry("doctor", "--no-call", "--json").events[-1]
    assert (done["runs"], [done["oldest"], done["newest"]]) == (2, sorted(created))
    assert done["bytes"] == sum(file.stat().st_size for file in home.glob("*/replies.sqlite*")) > 0
    shown = shell.strawberry("doctor", "--no-call").out.splitlines()[-1]
    assert shown.startswith("Reply records of 2 runs in traces: ")


def test_a_record_without_a_run_file_counts_by_its_own_age(tmp_path: Path) -> None:
    (tmp_path / "lost").mkdir()
    sqlite3.connect(tmp_path / "lost" / "replies.sqlite").close()
    (tmp_path / "lost" / "replies.sqlite").write_bytes(b"x" * 100)
    found = measure_records(tmp_path)
    assert (found.runs, found.bytes) == (1, 100)
    assert found.oldest is not None
    assert found.oldest.tzinfo is not None


def test_no_folder_holds_no_records(tmp_path: Path) -> None:
    assert measure_records(tmp_path / "nothing").runs == 0
