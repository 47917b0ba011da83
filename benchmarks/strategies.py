"""Every strategy on the embedded model at equal token cost.

    python benchmarks/strategies.py [--problems SOURCE] [--games 8] [--prm prm:PATH] [--out build/strategies]

The budget is what `--games` step games generate on average. A strategy that takes less is repeated until it has spent
as much, and its answers are put to the vote (`vote:base=NAME,k=N`); N comes from problems of the training side. One
that takes more runs once, and its row says so. Then one `strawberry eval` measures all rows on held-out problems. The
same command again goes on where it was broken off.
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
from openstrawberry.settings import Settings
from openstrawberry.stats import wilson
from openstrawberry.store.files import write_whole
from openstrawberry.store.reading import read_traces
from openstrawberry.trace import Trace

TRAINING = "builtin:count?size=3-13&n=1&split=train", "builtin:add?size=1-7&n=2&split=train"
BASES = ("zero-shot", "few-shot", "cot", "strawberry", "critic", "llamaberry", "beam", "mcts")
REWARDED = {
    "strawberry + PRM": "vote:base=strawberry,k={k},early=off,weight=prm,choose=weighted",
    "mcts + PRM": "mcts:value=prm",
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


async def cost_of(spec: str, out: Path, prm: str | None) -> Cost:
    """What a method takes for a problem of the training side."""
    traces: list[Trace] = []
    for number, source in enumerate(TRAINING):
        method, folder = read_method(spec), out / f"{spec.replace(':', '-').replace('=', '-')}-{number}"
        config = RunConfig(problems=source, samples=1, strategy=method.strategy, set=method.options, out=folder,
                           concurrency=16, **({"prm": prm} if prm else {}))  # fmt: skip
        run = Run(config, Settings.load())
        try:
            await run.run()
        finally:
            await run.close()
        traces += read_traces(folder)
    return Cost.of(traces)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default="builtin:heldout?n=8")
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--prm", help="a process reward model, as prm:PATH, for the rows that need one")
    parser.add_argument("--out", type=Path, default=Path("build/strategies"))
    arguments = parser.parse_args()
    plan = arguments.out / "plan.json"
    if plan.is_file():
        rows: dict[str, str] = json.loads(plan.read_text())
    else:
        rows = await planned(arguments)
        write_whole(plan, json.dumps(rows, indent=1))
    rewarded = {"prm": arguments.prm} if arguments.prm else {}
    asked = Evaluation(models=["berry"], methods=list(rows.values()), problems=arguments.problems, concurrency=16,
                       out=arguments.out / "eval", **rewarded)  # fmt: skip
    report = await evaluate(asked, Settings.load())
    print(f"\n{asked.command}\n")
    print("| strategy | as it is run | right | 95% interval | tokens out | in | calls |")
    print("|---|---|---|---|---|---|---|")
    for name, spec in rows.items():
        (row,) = [row for row in report.rows if row.method == spec]
        traces = list(read_traces(Path(row.runs[0])))
        right, cost = sum(trace.correct for trace in traces), Cost.of(traces)
        low, high = wilson(right, len(traces))
        figures = f"{cost.output:,.0f} | {cost.input:,.0f} | {cost.calls:.1f}"
        print(f"| {name} | `{spec}` | {right / len(traces):.1%} | {low:.1%} to {high:.1%} | {figures} |", flush=True)


async def planned(arguments: argparse.Namespace) -> dict[str, str]:
    """Name -> method, each repeated so often that it takes what the step games take."""
    out = arguments.out / "cost"
    costs = {base: await cost_of(f"vote:base={base},k=1,early=off", out, None) for base in BASES}
    budget = arguments.games * costs["strawberry"].output
    rows = {"one step game": "strawberry:temperature=0.7"}
    for base in BASES:
        times = max(1, round(budget / costs[base].output))
        rows[base] = f"vote:base={base},k={times},early=off" if times > 1 else base
    if arguments.prm:
        rows |= {name: spec.replace("{k}", str(arguments.games)) for name, spec in REWARDED.items()}
    return rows


if __name__ == "__main__":
    asyncio.run(main())
