"""A small held-out pass rate while a model is still being trained: the live weights play a few problems.

Models that run on the light runtime are written out and played there, which is far faster than token by token in torch;
all others play where they are. Nothing of it is recorded: a probe steers a training, it is no evaluation.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Set
from itertools import islice
from pathlib import Path
from typing import Any

from openstrawberry.chat import Reply
from openstrawberry.config import RunConfig
from openstrawberry.engine.drive import Sampling, Setting, drive
from openstrawberry.engine.pool import run_pool
from openstrawberry.errors import SetupError
from openstrawberry.models.model import Model
from openstrawberry.models.retry import RetryPolicy
from openstrawberry.models.stack import compose
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.training.progress import Play
from openstrawberry.verifiers.catalogue import VERIFIERS, Verifiers

LIMIT = 100
"""Problems played at most; a source without an end must not hold up a training."""


def open_probe(source: str, light: bool, spec: str, tokenizer: Any, learnt: Set[str]) -> Play:
    """What plays the problems of `source` with the weights as they are. `learnt`: ids of the problems trained on.

    Raises:
        SetupError: the source cannot be read, is empty, or has problems that are trained on.
    """
    problems = list(islice(load_problems(source, known_verifiers=VERIFIERS.names()), LIMIT))
    if not problems:
        raise SetupError(f"--probe {source} has no problems: name a source that `strawberry problems` shows.")
    if both := sum(problem.id in learnt for problem in problems):
        raise SetupError(
            f"{both} of the {len(problems)} problems of --probe {source} are trained on, so they measure nothing: name "
            "problems that the traces are not about."
        )
    config = RunConfig(model=spec)

    def play(live: Any) -> tuple[int, int]:
        learning = live.training
        live.eval()
        try:
            with tempfile.TemporaryDirectory() as folder:
                model = _light(live, tokenizer, Path(folder)) if light else _in_place(live, tokenizer, spec)
                return asyncio.run(_play(model, config, problems)), len(problems)
        finally:
            live.train(learning)

    return play


async def _play(model: Model, config: RunConfig, problems: Iterable[Problem]) -> int:
    asked = compose(model, _Forgetful(), RetryPolicy(attempts=1), on_retry=lambda *_: None)
    checker = Verifiers(forced="")
    setting = Setting(
        strategy=open_strategy("strawberry", {}),
        prompts=load_prompts("strawberry", config.prompts_used, None),
        models={"solver": asked},
        checker=checker,
        sampling=Sampling(max_tokens=config.reply_tokens),
    )
    right = 0

    async def one(problem: Problem) -> None:
        nonlocal right
        trace = await drive(setting, problem)
        right += trace.correct

    try:
        await run_pool(problems, one, concurrency=64)
    finally:
        await checker.close()
        await asked.close()
    return right


def _light(live: Any, tokenizer: Any, folder: Path) -> Model:
    from openstrawberry.berry.export import export_onnx
    from openstrawberry.models.providers.berry import BerryModel

    live.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    export_onnx(folder)
    return BerryModel(folder)


def _in_place(live: Any, tokenizer: Any, spec: str) -> Model:
    from openstrawberry.models.providers.hf import HFModel

    return HFModel(spec, live, tokenizer)


class _Forgetful:
    """A reply record that keeps nothing."""

    def find(self, key: str) -> Reply | None:
        return None

    async def keep(self, key: str, reply: Reply) -> None:
        return None
