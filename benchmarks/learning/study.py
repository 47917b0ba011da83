"""Which training turns the same traces into the better model: one round, many arms, several seeds.

    python benchmarks/learning/study.py [--seeds 1,2,3] [--arms base,sft,dpo,...] [--out build/learning]

Every seed samples training problems of its own once (the sizes just above the embedded model's easy ones, as the loop
does). Every arm of that seed learns from those same traces and answers the same held-out problems: arms are paired by
problem, and differ in nothing but what their name says. The last two arms are a second round, one size higher: it
samples with the `dpo+sft` model, and goes on from that model, or starts from the first one with the traces of both
rounds. The same command again continues.

Printed at the end: per arm the share right at each size, pooled, and in every step, the easy sizes pooled, seconds of
training; and for pairs of arms the differences over all seeds' problems with 95% intervals: right, right in every step,
and in steps, on the problems that both solved with every step right.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tables import Found, compared, table

from openstrawberry.bootstrap.config import Exam, Loop, Sampling, usual_recipes
from openstrawberry.bootstrap.ladder import Ladder, Rung
from openstrawberry.bootstrap.stages import Asked, Stages
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.files import write_whole
from openstrawberry.training.recipe import Recipe

DPO, SFT = usual_recipes()[0]  # what the loop does


@dataclass(frozen=True)
class Arm:
    """One way to learn.

    `easy`: share of easy traces mixed in; `checks`: whether traces hold "are you sure?" turns; `second`: a second round
    that starts from "last" or from the "first" model.
    """

    recipes: Sequence[Recipe]
    skew: float = 0.5
    clean: bool = True
    easy: float = 0.15
    checks: bool = True
    second: str = ""
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
    "second-last": Arm(
        [DPO, SFT], second="last", told="second round: on from dpo+sft, 20% of the first round mixed in"
    ),
    "second-first": Arm([DPO, SFT], second="first", told="second round: from the first model, traces of both rounds"),
}

COMPARED = [
    ("base", "dpo+sft"),
    ("base", "sft"),
    ("base", "dpo"),
    ("base", "dpo-only"),
    ("base", "kto"),
    ("sft", "dpo+sft"),
    ("dpo-no-replay", "dpo"),
    ("dpo-no-replay", "dpo-only"),
    ("no-skew", "dpo+sft"),
    ("no-skew", "skew-2"),
    ("dpo-no-skew", "dpo"),
    ("dpo-no-skew", "dpo-skew-2"),
    ("no-replay", "dpo+sft"),
    ("lucky", "dpo+sft"),
    ("no-checks", "dpo+sft"),
    ("second-first", "second-last"),
]
"""Pairs of arms that differ in one thing: what the second has over the first."""


class Study:
    """All arms of one seed, below a folder of its own."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.folder = folder / f"seed-{seed}"
        self.seed = seed
        self.loop = Loop(seed=seed, sampling=Sampling(problems=100), exam=Exam(problems=100, easy_problems=15))
        self.ladder = Ladder(self.loop)

    def bands(self) -> dict[bool, list[Rung]]:
        """The sizes of the first round (False) and of the second (True)."""
        easy = self.ladder.easy()
        tops = {family: max(rung.place for rung in easy if rung.family == family) for family in self.ladder.rungs}
        higher = {family: place + 1 for family, place in tops.items()}
        return {False: self.ladder.above(tops), True: self.ladder.above(higher)}

    def run(self, name: str) -> Found:
        """Trains and measures one arm, or reads what is there."""
        arm, folder = ARMS[name], self.folder / name
        model, seconds = self.loop.student, 0.0
        if arm.recipes:
            model, seconds = self._train(arm, folder)
        scores = self._stages(ARMS["base"]).measure(model, self._exam(bool(arm.second)), folder / "heldout")
        return Found(scores, seconds)

    def _train(self, arm: Arm, folder: Path) -> tuple[str, float]:
        """Trains an arm: (its model, seconds of training)."""
        stages, model = self._stages(arm), self.loop.student
        runs = [self._samples(arm)]
        mix = [f"{self._easy()}:{arm.easy}"] if arm.easy else []
        if arm.second:
            first = runs[0]
            runs.append(self._second_samples())
            if arm.second == "last":
                model, runs = self._default(), runs[1:]
                earlier = self.folder / "earlier.jsonl"
                if not earlier.is_file():
                    stages.conversations([first], earlier)
                mix.append(f"{earlier}:{self.loop.choosing.earlier}")
        pairs, conversations = folder / "pairs.jsonl", folder / "conversations.jsonl"
        if not conversations.is_file():
            stages.pairs(runs, pairs)
            stages.conversations(runs, conversations)
        spent = []
        for step, recipe in enumerate(arm.recipes, start=1):
            seeded = recipe.model_copy(update={"mix": tuple(mix), "seed": self.seed})
            file, out = pairs if recipe.method == "dpo" else conversations, folder / f"{step}-{recipe.method}"
            timed = folder / f"{step}-seconds.json"
            began = time.monotonic()
            fresh = not out.is_dir()
            model = stages.train(seeded, model, file, out)
            if fresh:
                write_whole(timed, json.dumps(time.monotonic() - began))
            spent.append(float(json.loads(timed.read_text())))
        return model, sum(spent)

    def _default(self) -> str:
        """The model of the loop's own recipe after the first round."""
        return self._train(ARMS["dpo+sft"], self.folder / "dpo+sft")[0]

    def _samples(self, arm: Arm) -> Path:
        out = self.folder / ("samples" if arm.checks else "samples-without-checks")
        return self._sampled(self._stages(arm), self.loop.student, self._drawn(False, set()), 1000, out)

    def _second_samples(self) -> Path:
        used = {problem.id for _, problem in self._drawn(False, set())}
        drawn = self._drawn(True, used)
        return self._sampled(self._stages(ARMS["base"]), self._default(), drawn, 2000, self.folder / "samples-second")

    def _sampled(self, stages: Stages, model: str, asked: Asked, offset: int, out: Path) -> Path:
        return stages.play("sample", model, asked, self.loop.sampling.samples, self.seed + offset, out)

    def _drawn(self, second: bool, without: set[str]) -> list[tuple[Rung, Problem]]:
        count, seed = self.loop.sampling.problems, self.seed + (2000 if second else 1000)
        return [(rung, p) for rung in self.bands()[second] for p in self.ladder.train(rung, count, seed, without)]

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

    def _exam(self, second: bool) -> Asked:
        counts = [(rung, self.loop.exam.problems) for rung in self.bands()[second]]
        counts += [(rung, self.loop.exam.easy_problems) for rung in self.ladder.easy()]
        return [(rung, problem) for rung, count in counts for problem in self.ladder.heldout(rung)[:count]]

    def _stages(self, arm: Arm) -> Stages:
        choosing = self.loop.choosing.model_copy(update={"skew": arm.skew, "clean": arm.clean})
        sampling = self.loop.sampling
        if not arm.checks:
            sampling = sampling.model_copy(update={"prompts": no_checks(self.folder)})
        loop = self.loop.model_copy(update={"choosing": choosing, "sampling": sampling})
        return Stages(loop, Settings.load(), lambda _: None, 1, self.ladder.heldout_sources())


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


def report(studies: Sequence[Study], found: dict[str, list[Found]]) -> str:
    """All tables over the seeds that have every arm asked for."""
    bands, easy = studies[0].bands(), studies[0].ladder.easy()
    told = {name: ARMS[name].told for name in found}
    parts = []
    for second in (False, True):
        arms = {name: runs for name, runs in found.items() if bool(ARMS[name].second) == second}
        if arms:
            parts.append(table(arms, bands[second], easy, told))
    pairs = [(one, other) for one, other in COMPARED if one in found and other in found]
    if pairs:
        rows = [(one, other, found[one], found[other], bands[bool(ARMS[one].second)]) for one, other in pairs]
        parts.append(compared(rows, easy))
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--out", type=Path, default=Path("build/learning"))
    arguments = parser.parse_args()
    arms = arguments.arms.split(",")
    studies = [Study(int(seed), arguments.out) for seed in arguments.seeds.split(",")]
    found: dict[str, list[Found]] = {name: [] for name in arms}
    for study in studies:
        for name in arms:
            began = time.monotonic()
            found[name].append(study.run(name))
            print(f"seed {study.seed} {name}: {time.monotonic() - began:.0f} s", flush=True)
    print(report(studies, found), flush=True)


if __name__ == "__main__":
    main()
