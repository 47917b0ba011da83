"""Several loops beside each other: the share right per size, before and after the last accepted round.

    python benchmarks/learning/seeds.py loops/berry loops/seed-1 loops/seed-2

Prints Markdown from each loop's `lineage.json`: right, and right in every step, in percent; and how far each loop's
frontier rose.
"""

import json
import sys
from pathlib import Path
from typing import Any

PASSING = 0.80


def main(folders: list[Path]) -> None:
    loops = [json.loads((folder / "lineage.json").read_text()) for folder in folders]
    for family in dict.fromkeys(score["family"] for score in loops[0]["student"]["scores"]):
        firsts = [_of(loop["student"]["scores"], family) for loop in loops]
        lasts = [_of(_last(loop), family) for loop in loops]
        sizes = sorted({size for scores in (*firsts, *lasts) for size in scores}, key=float)
        print(f"\n| {family} | {' | '.join(sizes)} | frontier |\n|{'---|' * (len(sizes) + 2)}")
        for loop, first, last in zip(loops, firsts, lasts, strict=True):
            for when, scores in (("before", first), ("after", last)):
                cells = [_cell(scores.get(size)) for size in sizes]
                tops = f"{_frontier(scores, 'right')} · {_frontier(scores, 'clean')}"
                print(f"| seed {loop['loop']['seed']}, {when} | {' | '.join(cells)} | {tops} |")


def _last(loop: dict[str, Any]) -> list[dict[str, Any]]:
    accepted = [attempt for record in loop["rounds"] for attempt in record["attempts"] if attempt["accepted"]]
    scores: list[dict[str, Any]] = (accepted[-1] if accepted else loop["student"])["scores"]
    return scores


def _of(scores: list[dict[str, Any]], family: str) -> dict[str, dict[str, Any]]:
    return {score["size"]: score for score in scores if score["family"] == family}


def _cell(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    return f"{100 * score['right'] / score['problems']:.1f} · {100 * score['clean'] / score['problems']:.1f}"


def _frontier(scores: dict[str, dict[str, Any]], what: str) -> str:
    top = "none"
    for size in sorted(scores, key=float):
        if scores[size][what] < PASSING * scores[size]["problems"]:
            break
        top = size
    return top


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
