"""Which training turns the same traces into the better model: one round, many arms, several seeds.

    python benchmarks/learning/study.py [--seeds 3] [--arms base,sft,dpo,...] [--out build/learning]

Every seed samples training problems of its own once (the sizes just above the embedded model's easy ones, as the loop
does). Every arm of that seed learns from those same traces and answers the same held-out problems: arms are paired by
problem, and differ in nothing but what their name says. The same command again continues.

Printed after every seed: the share right at each size above the easy ones, pooled, and its difference to the first arm
with a 95% interval over all seeds' problems; the share right in every step; the easy sizes pooled; the mean difference
in steps to the first arm on the problems that every arm solved with every step right; seconds of training.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openstrawberry.bootstrap.config import Loop, usual_recipes
from openstrawberry.bootstrap.ladder import Ladder, Rung
from openstrawberry.bootstrap.scores import Score
from openstrawberry.bootstrap.stages import Asked, Stages
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.stats import Interval, paired_bootstrap
from openstrawberry.training.recipe import Recipe

DPO, SFT = usual_recipes()[0]  # what the loop does


@dataclass(frozen=True)
class Arm:
    """One way to learn. `easy`: share of easy traces mixed in. `checks`: whether traces hold "are you sure?" turns."""

    recipes: Sequence[Recipe]
    skew: float = 0.5
    clean: bool = True
    easy: float = 0.15
    checks: bool = True
    told: str = ""


ARMS = {
    "base": Arm([], told="no training"),
    "sft": Arm([SFT], told="right traces, supervised"),
    "dpo": Arm([DPO], told="pairs, DPO with the likelihood term"),
    "dpo-no-replay": Arm([DPO], easy=0.0, told="pairs, DPO with the likelihood term, without easy traces"),
    "dpo-only": Arm([Recipe(sft_weight=0.0)], easy=0.0, told="the same without the likelihood term"),
    "dpo+sft": Arm([DPO, SFT], told="DPO, then supervised: the loop's default"),
    "kto": Arm([Recipe(loss="kto")], told="the same pairs as single labelled traces"),
    "no-skew": Arm([DPO, SFT], skew=0.0, told="dpo+sft without the skew by steps"),
    "skew-2": Arm([DPO, SFT], skew=2.0, told="dpo+sft with four times the skew"),
    "dpo-no-skew": Arm([DPO], skew=0.0, told="dpo without the skew"),
    "dpo-skew-2": Arm([DPO], skew=2.0, told="dpo with four times the skew"),
    "no-replay": Arm([DPO, SFT], easy=0.0, told="dpo+sft without easy traces"),
    "lucky": Arm([DPO, SFT], clean=False, told="dpo+sft on every right trace, clean or not"),
    "no-checks": Arm([DPO, SFT], checks=False, told='dpo+sft on traces without "are you sure?"'),
}


@dataclass
class Found:
    """What one arm of one seed gave."""

    scores: dict[Rung, Score]
    seconds: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)


class Study:
    """All arms of one seed, below a folder of its own."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.folder = folder / f"seed-{seed}"
        self.seed = seed
        self.loop = Loop(seed=seed)
        self.ladder = Ladder(self.loop)
        self.band = self.ladder.above(self._tops())

    def run(self, name: str) -> Found:
        """Trains and measures one arm, or reads what is there."""
        arm, folder = ARMS[name], self.folder / name
        stages = self._stages(arm)
        model, rows, began = self.loop.student, {}, time.monotonic()
        if arm.recipes:
            samples = self._samples(arm)
            pairs, conversations = folder / "pairs.jsonl", folder / "conversations.jsonl"
            rows = {"pairs": stages.pairs([samples], pairs), "traces": stages.conversations([samples], conversations)}
            mix = (f"{self._easy()}:{arm.easy}",) if arm.easy else ()
            began = time.monotonic()
            for step, recipe in enumerate(arm.recipes, start=1):
                seeded = recipe.model_copy(update={"mix": mix, "seed": self.seed})
                file = pairs if recipe.method == "dpo" else conversations
                model = stages.train(seeded, model, file, folder / f"{step}-{recipe.method}")
        seconds = self._timed(folder, time.monotonic() - began)
        return Found(self._stages(ARMS["base"]).measure(model, self._exam(), folder / "heldout"), seconds, rows)

    def _samples(self, arm: Arm) -> Path:
        asked: list[tuple[Rung, Problem]] = []
        for rung in self.band:
            asked += [(rung, p) for p in self.ladder.train(rung, self.loop.sampling.problems, self.seed + 1000, set())]
        out = self.folder / ("samples" if arm.checks else "samples-without-checks")
        stages = self._stages(arm)
        return stages.play("sample", self.loop.student, asked, self.loop.sampling.samples, self.seed + 1000, out)

    def _easy(self) -> Path:
        file = self.folder / "easy.jsonl"
        if not file.is_file():
            asked: list[tuple[Rung, Problem]] = []
            for rung in self.ladder.easy():
                asked += [(rung, p) for p in self.ladder.train(rung, 25, self.seed, set())]
            stages = self._stages(ARMS["sft"])
            stages.play("replay", self.loop.student, asked, 1, self.seed, self.folder / "easy")
            stages.conversations([self.folder / "easy"], file)
        return file

    def _exam(self) -> Asked:
        counts = [(rung, self.loop.exam.problems) for rung in self.band]
        counts += [(rung, self.loop.exam.easy_problems) for rung in self.ladder.easy()]
        return [(rung, problem) for rung, count in counts for problem in self.ladder.heldout(rung)[:count]]

    def _stages(self, arm: Arm) -> Stages:
        choosing = self.loop.choosing.model_copy(update={"skew": arm.skew, "clean": arm.clean})
        sampling = (
            self.loop.sampling
            if arm.checks
            else self.loop.sampling.model_copy(update={"prompts": no_checks(self.folder)})
        )
        loop = self.loop.model_copy(update={"choosing": choosing, "sampling": sampling})
        return Stages(loop, Settings.load(), lambda _: None, 1, self.ladder.heldout_sources())

    def _tops(self) -> dict[str, int]:
        easy = self.ladder.easy()
        return {family: max(rung.place for rung in easy if rung.family == family) for family in self.ladder.rungs}

    def _timed(self, folder: Path, seconds: float) -> float:
        """The time of the run that trained; later ones only read."""
        file = folder / "seconds.json"
        if not file.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(seconds))
        return float(json.loads(file.read_text()))


def no_checks(folder: Path) -> Path:
    """A prompts folder whose schedule never asks "are you sure?"."""
    import yaml

    from openstrawberry.prompts import load_prompts

    entries = load_prompts("strawberry", "brief", None).entries
    schedule = [rule for rule in entries["schedule"] if rule["pool"] != "sure"]
    out = folder / "prompts-without-checks"
    out.mkdir(parents=True, exist_ok=True)
    (out / "strawberry.yaml").write_text(yaml.safe_dump({"brief": {**entries, "schedule": schedule}}))
    return out


def table(found: dict[str, list[Found]], arms: Sequence[str], rungs: list[Rung], easy: list[Rung]) -> str:
    """Markdown: a row per arm."""
    first = arms[0]
    header = [
        "arm",
        *map(str, rungs),
        "band",
        f"band against {first}",
        "clean",
        "easy pooled",
        "steps",
        "seconds",
        "what",
    ]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    common = _solved_by_all(found, arms, [*rungs, *easy])
    for name in arms:
        runs = found[name]
        cells = [f"{_share(runs, [rung]):.1%}" for rung in rungs]
        difference = _interval(_differences(found[first], runs, rungs))
        against = "" if name == first else f"{difference.mean:+.1%} ({difference.low:+.1%} to {difference.high:+.1%})"
        seconds = sum(run.seconds for run in runs) / len(runs)
        steps = _steps(found[first], runs, common) if name != first else ""
        cells += [f"{_share(runs, rungs):.1%}", against, f"{_share(runs, rungs, clean=True):.1%}"]
        cells += [f"{_share(runs, easy):.1%}", steps, f"{seconds:.0f}", ARMS[name].told]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _share(runs: list[Found], rungs: list[Rung], clean: bool = False) -> float:
    right = sum(run.scores[rung].count(clean) for run in runs for rung in rungs)
    return right / sum(len(run.scores[rung].results) for run in runs for rung in rungs)


def _differences(first: list[Found], other: list[Found], rungs: list[Rung]) -> list[tuple[str, float]]:
    pairs = zip(first, other, strict=True)
    return [
        (key, float(new.scores[rung].results[key].right) - float(old.scores[rung].results[key].right))
        for old, new in pairs
        for rung in rungs
        for key in old.scores[rung].results
        if key in new.scores[rung].results
    ]


def _interval(found: list[tuple[str, float]], bounds: tuple[float, float] | None = (-1.0, 1.0)) -> Interval:
    """Problems are the unit, over all seeds; how much trainings differ among themselves is not in it."""
    return paired_bootstrap([value for _, value in found], [key for key, _ in found], bounds=bounds)


def _solved_by_all(found: dict[str, list[Found]], arms: Sequence[str], rungs: list[Rung]) -> set[tuple[int, Rung, str]]:
    """Problems that every arm solved cleanly, so that their steps can be compared at equal size."""
    sets = [
        {
            (seed, rung, key)
            for seed, run in enumerate(found[name])
            for rung in rungs
            for key, result in run.scores[rung].results.items()
            if result.good
        }
        for name in arms
    ]
    return set.intersection(*sets)


def _steps(first: list[Found], other: list[Found], common: set[tuple[int, Rung, str]]) -> str:
    if not common:
        return ""
    differences = [
        (key, float(other[seed].scores[rung].results[key].steps - first[seed].scores[rung].results[key].steps))
        for seed, rung, key in sorted(common, key=str)
    ]
    found = _interval(differences, bounds=None)
    return f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--out", type=Path, default=Path("build/learning"))
    arguments = parser.parse_args()
    arms = arguments.arms.split(",")
    found: dict[str, list[Found]] = {name: [] for name in arms}
    study = None
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        study = Study(seed, arguments.out)
        for name in arms:
            began = time.monotonic()
            found[name].append(study.run(name))
            print(f"seed {seed} {name}: {time.monotonic() - began:.0f} s, {found[name][-1].rows}", flush=True)
        print(table(found, arms, study.band, study.ladder.easy()), flush=True)


if __name__ == "__main__":
    main()
