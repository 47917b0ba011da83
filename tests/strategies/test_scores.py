"""A strategy that wants process rewards says so before anything is asked."""

from pathlib import Path
from typing import Any

import pytest

from openstrawberry.config import RunConfig
from openstrawberry.errors import SetupError
from openstrawberry.estimate import estimate
from openstrawberry.generate import Run
from openstrawberry.settings import Settings
from tests.making import PROBLEM

WANTED: list[tuple[str, dict[str, Any]]] = [
    ("vote", {"weight": "prm"}),
    ("vote", {"base": "mcts", "base_options": {"value": "prm"}}),
    ("beam", {"value": "prm"}),
    ("mcts", {"value": "prm"}),
]


@pytest.mark.parametrize(("strategy", "options"), WANTED, ids=str)
def test_without_a_process_reward_model_nothing_is_paid_for(
    tmp_path: Path, strategy: str, options: dict[str, Any]
) -> None:
    config = RunConfig(model="scripted", strategy=strategy, set=options, out=tmp_path / "run")
    for beginning in (Run, estimate):
        with pytest.raises(SetupError, match="--prm prm:PATH"):
            beginning(config, Settings({}), problems=[PROBLEM])
    assert not (tmp_path / "run").exists()


def test_a_prompt_file_that_asks_for_them_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "beam.yaml").write_text("brief: {value: prm}")
    config = RunConfig(strategy="beam", prompts=tmp_path, out=tmp_path / "run")
    with pytest.raises(SetupError, match="--prm prm:PATH"):
        Run(config, Settings({}), problems=[PROBLEM])
