"""What a process reward model is worth: berry's answers chosen by its own reward model, against a majority vote.

    python benchmarks/learning/prm.py [--problems 366] [--exam 100] [--skip 60] [--samples 8] [--out build/prm]

Three stages, each of which goes on where it was cut off:

1. `train`: berry plays training problems of sizes that it barely does, four games each. Of the problems that it solved
   and failed, every step is labelled by how its game ended: a game is one rollout from each of its prefixes. That these
   problems have both kinds of games keeps the labels from telling nothing but how hard a problem is.
2. `heldout`: berry plays held-out problems of the same sizes, the same number of samples of each.
3. `model`: berry's own weights become a process reward model (`strawberry train-prm`), which scores every step of 2.

Printed: the share of problems that each way to choose among the same samples gets right, with 95% intervals, and the
differences to the majority vote, paired by problem. The one that counts is "reward-weighted vote, min", which is what
`vote` does with a process reward unless told otherwise; the other rows stand beside it, and nothing is corrected for
their number. The known answers are used to label training problems and to judge the choices, never to make them.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from choosing import Sample, report

from openstrawberry.bootstrap.config import Exam, Loop
from openstrawberry.bootstrap.ladder import Ladder
from openstrawberry.config import RunConfig
from openstrawberry.generate import Run
from openstrawberry.models.prm import open_reward
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Trace, Tree
from openstrawberry.training.prm import RewardTraining
from openstrawberry.training.progress import Grade, Progress, Step
from openstrawberry.training.recipe import Recipe

SHARES = {("add", "6"): 1.0, ("add", "7"): 0.25, ("count", "12"): 1.0, ("count", "13"): 1.0}
"""Sizes, and how many of the training problems are of each: of the hardest few, since it is seldom solved."""
SEED = 7
GAMES = 4
RECIPE = Recipe(method="prm", labels="hard", epochs=6, learning_rate=7e-4, batch_size=8)


def problems(learnt: int, exam: int, skip: int) -> tuple[list[Problem], list[Problem]]:
    """What is learnt from and what is held out, the sizes in turn; `skip` held-out problems of a size are left out."""
    ladder = Ladder(Loop(exam=Exam(problems=skip + exam)))
    rungs = [(rung, share) for (family, size), share in SHARES.items() for rung in ladder.rungs[family]
             if rung.size == size]  # fmt: skip
    train = [ladder.train(rung, round(share * learnt), SEED, set()) for rung, share in rungs]
    held = [ladder.heldout(rung)[skip:] for rung, _ in rungs]
    return _in_turn(train), _in_turn(held)


def _in_turn(sizes: list[list[Problem]]) -> list[Problem]:
    return [problem for problem in chain.from_iterable(zip_longest(*sizes)) if problem is not None]


def sample(asked: list[Problem], samples: int, out: Path) -> list[Trace]:
    """Traces of these problems, made as `strawberry generate` makes them."""
    config = RunConfig(out=out, samples=samples, temperature=0.7, set={"max_turns": 60}, problems="given")
    run = Run(config, Settings({}), problems=asked)

    async def play() -> None:
        try:
            await run.run()
        finally:
            await run.close()

    asyncio.run(play())
    wanted = {problem.id for problem in asked}
    return [trace for trace in read_traces(out) if trace.problem.id in wanted and trace.sample < samples]


def label(traces: Sequence[Trace], out: Path) -> Path:
    """The file that `strawberry train-prm` reads."""
    by_problem: dict[str, list[Trace]] = defaultdict(list)
    for trace in traces:
        if trace.stop == "final_answer":
            by_problem[trace.problem.id].append(trace)
    mixed = [group for _, group in sorted(by_problem.items()) if len({trace.correct for trace in group}) == 2]
    rows = [row_of(trace) for group in mixed for trace in sorted(group, key=lambda trace: trace.sample)]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} games of {len(mixed)} problems of {len(by_problem)}", flush=True)
    return out


def row_of(trace: Trace) -> dict[str, Any]:
    """A game with its steps labelled by its end."""
    path = [trace.messages[index] for index in trace.path]
    first = next(at for at, turn in enumerate(path) if turn.role == "assistant")
    replies = [turn.content for turn in path if turn.role == "assistant"]
    return {
        "prompt": [{"role": turn.role, "content": turn.content} for turn in path[:first]],
        "completions": replies,
        "asked": ["", *(turn.content for turn in path[first:] if turn.role == "user")],
        "labels": [trace.correct] * len(replies),
        "values": [float(trace.correct)] * len(replies),
        "trace": trace.id,
        "problem": trace.problem.id,
    }


def train(steps: Path, out: Path) -> str:
    """The spec of the process reward model, trained if it is not there."""

    def hear(told: Progress) -> None:
        if isinstance(told, Grade) or (isinstance(told, Step) and told.step % 50 == 0):
            print(told, flush=True)

    return f"prm:{out}" if out.is_dir() else RewardTraining(RECIPE, "berry", steps, hear).run(out).spec


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
    parser.add_argument("--problems", type=int, default=366, help="to learn from, per size")
    parser.add_argument("--exam", type=int, default=100, help="held-out problems, per size")
    parser.add_argument("--skip", type=int, default=60, help="held-out problems, per size, that earlier trials saw")
    parser.add_argument("--samples", type=int, default=8, help="of each held-out problem")
    given = parser.parse_args()
    learnt, held = problems(given.problems, given.exam, given.skip)
    steps = label(sample(learnt, GAMES, given.out / "train"), given.out / "steps.jsonl")
    traces = sample(held, given.samples, given.out / "heldout")
    print(report(score(traces, train(steps, given.out / "model"))))


if __name__ == "__main__":
    main()
