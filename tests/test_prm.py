"""`--prm`: who scores the steps of a run, and what belongs to its identity."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.errors import SetupError
from openstrawberry.evaluation.config import Evaluation
from openstrawberry.evaluation.methods import entries
from openstrawberry.generate import Run
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import load_prompts
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_run
from openstrawberry.strategies.strategy import Answer, Ask, Score, Steps, Strategy, Task, gather
from openstrawberry.trace import Node, Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.cli.commands import Shell
from tests.making import PROBLEM, Memory


class Scoring(Strategy):
    """Asks twice and scores both replies side by side."""

    name = "scoring"

    def solve(self, task: Task) -> Steps[Answer]:
        first = yield Ask(task.user(task.problem.question))
        second = yield Ask(task.user("Next step?", after=first))
        first.value, second.value = yield from gather(self.score(first), self.score(second))
        return Answer("3", second)

    def score(self, node: Node) -> Steps[float]:
        return (yield Score(node))


def played(scorer: Any) -> Trace:
    model = Recorded(ScriptedModel(answer=lambda request: f"{len(request.messages)} berries."), Memory())
    setting = Setting(Scoring(), load_prompts("strawberry", "brief"), {"solver": model}, Verifiers(), scorer=scorer)
    return asyncio.run(drive(setting, PROBLEM))


def test_without_a_scorer_the_command_ends_with_the_flag_that_names_one() -> None:
    with pytest.raises(SetupError, match=r"name a process reward model with --prm prm:PATH, or choose another"):
        played(None)


def test_scores_reach_the_strategy_and_stand_in_the_trace() -> None:
    async def scorer(node: Node) -> float:
        return len(node.messages) / 10

    assert [turn.value for turn in played(scorer).messages if turn.role == "assistant"] == [0.2, 0.4]


def test_what_is_no_process_reward_model_leaves_no_directory(shell: Shell) -> None:
    done = shell.generate("--prm", f"prm:{shell.folder}")
    assert done.code == 1
    assert done.err.startswith("strawberry: prm:")
    assert done.err.count("\n") == 1
    assert not shell.run.exists()


def test_a_run_without_one_is_still_found_by_what_it_was_before(tmp_path: Path) -> None:
    async def once() -> None:
        run = Run(RunConfig(out=tmp_path / "run", limit=1, samples=1), Settings({}))
        await run.run()
        await run.close()

    asyncio.run(once())
    assert "prm" not in read_run(tmp_path / "run")["identity"]


def test_an_evaluation_hands_it_to_every_row_and_names_it_in_its_command() -> None:
    config = Evaluation(prm="prm:models/reward", models=["berry"], methods=["cot", "strawberry"])
    rows = entries(config.models, config.methods)
    assert [config.run_config(row, Path()).prm for row in rows] == ["prm:models/reward"] * 2
    assert "--prm prm:models/reward" in config.command
    assert config.digest != config.model_copy(update={"prm": None}).digest


class TestWithTorch:
    """What needs a model."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """berry's weights with a random head."""
        torch = pytest.importorskip("torch", reason="the extra [hf] is not installed")
        transformers = pytest.importorskip("transformers", reason="the extra [hf] is not installed")
        from openstrawberry.models.providers.berry import MODEL

        torch.manual_seed(0)
        home = tmp_path / "reward"
        labels = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
        transformers.AutoModelForTokenClassification.from_pretrained(MODEL, **labels).save_pretrained(home)
        transformers.AutoTokenizer.from_pretrained(MODEL).save_pretrained(home)
        return home

    @pytest.mark.filterwarnings("default")
    def test_a_real_one_scores_the_steps_of_a_trace(self, folder: Path) -> None:
        from openstrawberry.models.prm import open_reward

        values = [turn.value for turn in played(open_reward(f"prm:{folder}")).messages if turn.role == "assistant"]
        assert len(set(values)) == 2
        assert all(0 < value < 1 for value in values)

    @pytest.mark.filterwarnings("default")
    def test_other_weights_cannot_go_on_with_a_run(self, folder: Path, tmp_path: Path) -> None:
        import torch
        from transformers import AutoModelForTokenClassification

        config = RunConfig(out=tmp_path / "run", prm=f"prm:{folder}", limit=1, samples=1)

        async def once() -> str:
            run = Run(config, Settings({}))
            try:
                await run.run()
            finally:
                await run.close()
            return str(read_run(tmp_path / "run")["identity"]["prm"])

        first = asyncio.run(once())
        assert asyncio.run(once()) == first  # goes on, since nothing has changed
        model = AutoModelForTokenClassification.from_pretrained(folder)
        with torch.no_grad():
            model.score.bias += 1.0
        model.save_pretrained(folder)
        with pytest.raises(SetupError, match=f"--prm {first} -> "):
            asyncio.run(once())

    def test_problems_that_it_was_trained_on_are_not_measured(self, folder: Path, tmp_path: Path) -> None:
        from openstrawberry.evaluation.evaluate import evaluate
        from openstrawberry.problems.load import load_problems

        source = "builtin:count?size=3&n=2"
        (folder / "trained_on.txt").write_text(next(iter(load_problems(source))).id + "\n")
        config = Evaluation(
            models=["berry"], methods=["strawberry"], problems=source, prm=f"prm:{folder}", out=tmp_path / "eval"
        )
        with pytest.raises(SetupError, match=r"The model of '--prm prm:.*' was trained on 1 of the 2 problems"):
            asyncio.run(evaluate(config, Settings({})))
