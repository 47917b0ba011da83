"""What a process reward model is worth: berry's answers chosen by its own reward model, against a majority vote.

    python benchmarks/learning/prm.py [--problems 150] [--rollouts 2] [--exam 100] [--samples 8] [--out build/prm]

Three stages, each of which goes on where it was cut off:

1. `steps.jsonl`: berry plays training problems of about these sizes, and its steps are labelled by rollouts.
2. `heldout`: berry plays held-out problems of the sizes that it barely does, the same number of samples of each.
3. `model`: berry's own weights become a process reward model (`strawberry train-prm`), which scores every step of 2.

Printed: the share of problems that each way to choose among the same samples gets right, with 95% intervals, and the
differences to the majority vote, paired by problem. The known answers are used to label training problems and to judge
the choices, never to make them.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from choosing import Sample, report
from rollouts import label

from openstrawberry.bootstrap.config import Exam, Loop
from openstrawberry.bootstrap.ladder import Ladder, Rung
from openstrawberry.config import RunConfig
from openstrawberry.generate import Run
from openstrawberry.models.prm import open_reward
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Trace, Tree
from openstrawberry.training.progress import Grade, Progress
from openstrawberry.training.recipe import Recipe

LEARNT = {"add": ("5", "6"), "count": ("11", "12", "13")}
EXAM = {"add": ("6", "7"), "count": ("12", "13")}
SEED = 7
RECIPE = Recipe(method="prm", labels="hard", epochs=4, learning_rate=5e-4, batch_size=8)


def problems(learnt: int, exam: int) -> tuple[list[Problem], list[Problem]]:
    """What is learnt from and what is held out: so many of each size, the sizes in turn."""
    ladder = Ladder(Loop(exam=Exam(problems=exam)))
    train = [ladder.train(rung, learnt, SEED, set()) for rung in _rungs(ladder, LEARNT)]
    held = [ladder.heldout(rung)[:exam] for rung in _rungs(ladder, EXAM)]
    return _in_turn(train), _in_turn(held)


def _rungs(ladder: Ladder, sizes: Mapping[str, Sequence[str]]) -> list[Rung]:
    return [rung for family, wanted in sizes.items() for rung in ladder.rungs[family] if rung.size in wanted]


def _in_turn(sizes: list[list[Problem]]) -> list[Problem]:
    return list(chain.from_iterable(zip(*sizes, strict=True)))


def sample(held: list[Problem], samples: int, out: Path) -> list[Trace]:
    """Traces of the held-out problems, made as `strawberry generate` makes them."""
    config = RunConfig(out=out, samples=samples, temperature=0.7, set={"max_turns": 60}, problems="held out")
    run = Run(config, Settings({}), problems=held)

    async def play() -> None:
        try:
            await run.run()
        finally:
            await run.close()

    asyncio.run(play())
    wanted = {problem.id for problem in held}
    return [trace for trace in read_traces(out) if trace.problem.id in wanted and trace.sample < samples]


def train(rows: Path, out: Path) -> str:
    """The spec of the process reward model, trained if it is not there."""
    from openstrawberry.training.prm import RewardTraining

    def hear(told: Progress) -> None:
        if isinstance(told, Grade):
            print(told, flush=True)

    return f"prm:{out}" if out.is_dir() else RewardTraining(RECIPE, "berry", rows, hear).run(out).spec


def score(traces: list[Trace], prm: str) -> list[Sample]:
    """Every trace with the process reward of each of its steps."""
    scorer = open_reward(prm)

    async def one(trace: Trace) -> Sample:
        tree, node, replies = Tree(), None, []
        for message in trace.chat:
            node = tree.add(message.role, message.content, node)
            replies += [node] if message.role == "assistant" else []
        return Sample(trace, tuple(await asyncio.gather(*map(scorer, replies))))

    async def all_of_them() -> list[Sample]:
        return await asyncio.gather(*map(one, traces))

    return asyncio.run(all_of_them())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/prm"))
    parser.add_argument("--problems", type=int, default=150, help="to learn from, per size")
    parser.add_argument("--games", type=int, default=2, help="of each of them")
    parser.add_argument("--rollouts", type=int, default=2, help="from one prefix, at most")
    parser.add_argument("--exam", type=int, default=100, help="held-out problems, per size")
    parser.add_argument("--samples", type=int, default=8, help="of each held-out problem")
    given = parser.parse_args()
    learnt, held = problems(given.problems, given.exam)
    steps = label(learnt, given.games, given.rollouts, SEED, given.out)
    traces = sample(held, given.samples, given.out / "heldout")
    print(report(score(traces, train(steps, given.out / "model"))))


if __name__ == "__main__":
    main()
