"""Every strategy on the embedded model at equal token cost, on problems that it barely solves.

    python benchmarks/strategies.py [--problems 25] [--games 8] [--prm prm:PATH] [--out build/strategies]

The budget is what `--games` step games generate on average. A strategy that takes less is repeated until it has spent
as much, at most 64 times, and its answers are put to the vote (`vote:base=NAME,k=N`); N comes from training problems of
the same sizes, six of each. One that takes more runs once. Every row says what it took. Then `strawberry eval` measures
all rows on the same held-out problems, `--problems` of each size. What a process reward model reads is no part of the
tokens. The same command again goes on where it was broken off.
"""

import argparse
import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from openstrawberry.config import RunConfig
from openstrawberry.evaluation.config import Evaluation
from openstrawberry.evaluation.evaluate import evaluate
from openstrawberry.evaluation.methods import read_method
from openstrawberry.generate import Run
from openstrawberry.problems.load import load_problems
from openstrawberry.settings import Settings
from openstrawberry.stats import wilson
from openstrawberry.store.files import write_whole
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Trace
from openstrawberry.verifiers.catalogue import VERIFIERS

FAMILIES = {"add": "5-7", "count": "11-13"}
SIZES = 3
TRIED = 6
"""Training problems of each size that tell what a strategy takes."""
MOST = 64
"""Votes at most: a majority of more would hardly differ."""
BASES = "zero-shot", "few-shot", "cot", "strawberry", "critic", "llamaberry", "beam", "mcts"
REPEATED = {base: f"vote:base={base},k={{k}},early=off" for base in BASES}
# With a process reward nothing is played to its end for a value, so these search as deep as a game goes.
REWARDED = {
    "strawberry + PRM": "vote:base=strawberry,k={k},early=off,weight=prm",
    "beam + PRM": "vote:base=beam,base_options={value: prm, depth: 24},k={k},early=off,weight=prm",
    "mcts + PRM": "vote:base=mcts,base_options={value: prm, depth: 24, iterations: 32},k={k},early=off,weight=prm",
}


@dataclass(frozen=True)
class Cost:
    """Means over problems: tokens generated, tokens read, and replies."""

    output: float
    input: float
    calls: float

    @classmethod
    def of(cls, traces: list[Trace]) -> "Cost":
        calls = [sum(bool(turn.model) and turn.copy_of < 0 for turn in trace.messages) for trace in traces]
        return cls(fmean(t.usage.output for t in traces), fmean(t.usage.input for t in traces), fmean(calls))


def drawn(each: int, side: str, out: Path) -> Path:
    """A file with so many problems of each size from one side of the built-in families."""
    sources = [f"builtin:{name}?size={sizes}&n={each * SIZES}&split={side}" for name, sizes in FAMILIES.items()]
    problems = [found for source in sources for found in load_problems(source, known_verifiers=VERIFIERS.names())]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, "".join(problem.model_dump_json() + "\n" for problem in problems))
    return out


async def cost_of(spec: str, problems: Path, out: Path, prm: str | None = None) -> Cost:
    """What a method takes for one of these problems."""
    method = read_method(spec)
    config = RunConfig(problems=str(problems), samples=1, strategy=method.strategy, set=method.options, out=out,
                       concurrency=32, prm=prm)  # fmt: skip
    run = Run(config, Settings.load())
    try:
        await run.run()
    finally:
        await run.close()
    return Cost.of(list(read_traces(out)))


async def planned(games: int, prm: str | None, out: Path) -> dict[str, str]:
    """Name -> method, each repeated so often that it takes what the step games take."""
    tried = drawn(TRIED, "train", out / "tried.jsonl")
    game = await cost_of(REPEATED["strawberry"].replace("{k}", "1"), tried, out / "cost" / "strawberry")
    rows = {} if prm else {"one step game": "strawberry:temperature=0.7"}
    for name, spec in (REWARDED if prm else REPEATED).items():
        cost = await cost_of(spec.replace("{k}", "1"), tried, out / "cost" / name.replace(" + ", "-"), prm)
        times = min(MOST, max(1, round(games * game.output / cost.output)))
        rows[name] = name if times == 1 and not prm else spec.replace("{k}", str(times))
    return rows


async def measured(given: argparse.Namespace, prm: str | None) -> list[str]:
    """The rows of one evaluation: those with a process reward have one of their own, whose runs are tied to it."""
    part = f"{given.games}-{'prm' if prm else 'plain'}"
    plan = given.out / f"plan-{part}.json"
    if not plan.is_file():
        write_whole(plan, json.dumps(await planned(given.games, prm, given.out), indent=1))
    rows: dict[str, str] = json.loads(plan.read_text())
    held = drawn(given.problems, "held-out", given.out / f"held-out-{given.problems}.jsonl")
    asked = Evaluation(models=["berry"], methods=list(rows.values()), problems=str(held), concurrency=32,
                       out=given.out / f"eval-{given.problems}-{part}", prm=prm)  # fmt: skip
    report = await evaluate(asked, Settings.load())
    print(f"\n{asked.command}\n", flush=True)
    lines = []
    for name, spec in rows.items():
        (row,) = [row for row in report.rows if row.method == spec]
        traces = list(read_traces(Path(row.runs[0])))
        right, cost = sum(trace.correct for trace in traces), Cost.of(traces)
        low, high = wilson(right, len(traces))
        figures = f"{cost.output:,.0f} | {cost.input:,.0f} | {cost.calls:.1f}"
        lines.append(f"| {name} | `{spec}` | {right / len(traces):.1%} | {low:.1%} to {high:.1%} | {figures} |")
    return lines


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=25, help="held-out problems of each size")
    parser.add_argument("--games", type=int, default=8, help="step games that make the budget")
    parser.add_argument("--prm", help="a process reward model, as prm:PATH, for the rows that need one")
    parser.add_argument("--out", type=Path, default=Path("build/strategies"))
    given = parser.parse_args()
    lines = await measured(given, None) + (await measured(given, given.prm) if given.prm else [])
    print("| strategy | as it is run | right | 95% interval | tokens out | in | calls |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    asyncio.run(main())
