"""Where traces first go wrong: which line of the procedure, by family and size.

    python benchmarks/learning/slips.py loops/berry/round-07/recipe-1/heldout

Line 1 says the question again; the answer comes last. Prints the three commonest lines of each size, and what one trace
said at the commonest instead of what it should have.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from openstrawberry.problems.families import Addition, recognise
from openstrawberry.problems.procedures import final, judge, lines
from openstrawberry.selection.steps import path_of, steps
from openstrawberry.store.reading import read_traces

Slip = tuple[int, str, str]  # the line, what was said, what should have been


def slips(run: Path) -> Iterator[tuple[str, int, Slip | None]]:
    """Of each trace: family, size, and its first wrong line, or nothing where every step is right."""
    for trace in read_traces(run):
        item = recognise(trace.problem.question)
        if item is None:
            continue
        said, wanted, line = steps(path_of(trace)), [*lines(item), final(item)], 0
        family, slip = "add" if isinstance(item, Addition) else "count", None
        for turn, right in zip(said, judge(item, said).right, strict=True):
            if not right:
                slip = line + 1, turn.strip(), wanted[line]
                break
            line += line + 1 < len(wanted) and turn.strip() == wanted[line]
        yield family, item.size, slip


def main(runs: list[Path]) -> None:
    found: dict[tuple[str, int], list[Slip | None]] = defaultdict(list)
    for run in runs:
        for family, size, slip in slips(run):
            found[family, size].append(slip)
    print("| family | size | traces | right in every step | first wrong line | said | instead of |")
    print("|---|---|---|---|---|---|---|")
    for (family, size), each in sorted(found.items()):
        wrong = [slip for slip in each if slip is not None]
        places = Counter(line for line, _, _ in wrong).most_common(3)
        told = ", ".join(f"{line} ({times})" for line, times in places)
        said, wanted = next(((slip[1], slip[2]) for slip in wrong if slip[0] == places[0][0]), ("", ""))
        print(f"| {family} | {size} | {len(each)} | {len(each) - len(wrong)} | {told} | {said} | {wanted} |")


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
