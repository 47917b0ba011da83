"""Runs the command line in this process, as a user would."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.cli.app import main

SCRIPT = """
rules:
  - {when: confident, say: <final_answer>3</final_answer>}
turns: [s is not r., t is not r., r is r.]
"""


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """A place with a scripted model and two problems in it."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture
        self.script = folder / "script.yaml"
        self.script.write_text(SCRIPT)
        self.problems = folder / "problems.jsonl"
        self.problems.write_text(
            '{"question": "How many r in strawberry?", "answer": 3}\n{"question": "2+2?", "answer": 4}\n'
        )
        self.run = folder / "run"

    def strawberry(self, *arguments: object) -> Outcome:
        """`strawberry ARGUMENTS`."""
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = self._capture.readouterr()
        code = left.value.code
        return Outcome(code if isinstance(code, int) else 0, said.out, said.err)

    def generate(self, *arguments: object) -> Outcome:
        """`strawberry generate` with the scripted model, the two problems and the run directory."""
        return self.strawberry(
            "generate", "--model", f"scripted:{self.script}", "--problems", self.problems, "--out", self.run, *arguments
        )


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)
