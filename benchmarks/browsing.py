"""How fast a large run opens and pages, and in how much memory.

    python benchmarks/browsing.py [--traces 100000] [--kilobytes 7]

A run directory of that many traces is written and indexed, as `generate` leaves it. Then a process of its own opens it,
turns pages from beginning to end, filters, searches and reads whole traces. The index made from nothing (when
`index.sqlite` is missing) is timed too.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STATUSES = ("correct", "incorrect", "no_answer")


def write_run(path: Path, traces: int, kilobytes: int) -> None:
    """Traces of 20 turns, with words that a search may look for."""
    sys.path.insert(0, str(ROOT))
    from tests.making import make_trace

    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"digest": "", "identity": {}, "config": {}, "created": ""}))
    pattern = json.loads(make_trace().to_line())
    asked, said = pattern["messages"]
    said = {**said, "content": "One small step of a longer thought. " * (kilobytes * 1024 // 20 // 36)}
    pattern["messages"] = [dict(turn, parent=place - 1) for place, turn in enumerate([asked, said] * 20)]
    pattern["path"] = list(range(40))
    draw = random.Random(0)
    with (path / "traces-00000.jsonl").open("w") as out:
        for number in range(traces):
            question = f"How many {draw.choice('aeiou')}'s are in {draw.randbytes(5).hex()}?"
            problem = {**pattern["problem"], "question": question, "difficulty": float(number % 7)}
            status = draw.choice(STATUSES)
            pattern.update(id=f"{number:016x}", problem=problem, sample=number % 4, answer=str(number % 5))
            pattern["verdict"] = {**pattern["verdict"], "status": status}
            out.write(json.dumps(pattern) + "\n")


def look(path: Path) -> None:
    """What a reader does; prints one line of JSON."""
    from openstrawberry.store.browsing import Browser, Wanted

    def timed(work: Callable[[], Any]) -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    began = time.perf_counter()
    browser = Browser(path)
    total = browser.count()
    browser.page()
    opened = time.perf_counter() - began
    wrong = Wanted(statuses=("incorrect",), text="7f")
    pages = [timed(lambda start=start: browser.page(start=start)) for start in range(0, total, max(50, total // 40))]
    found = [timed(lambda: (browser.count(wrong), browser.page(wrong, order="turns"))) for _ in range(5)]
    rows = browser.page(start=total // 2, size=50)
    read = [timed(lambda row=row: browser.read(row)) for row in rows]
    tallied = timed(lambda: (browser.tally("model", "strategy"), browser.tally("difficulty"), browser.counts("status")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"opened": opened, "page": max(pages), "filtered": max(found), "read": max(read),
                      "tallied": tallied, "peak": peak}))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--kilobytes", type=int, default=7, help="of text in a trace")
    parser.add_argument("--look", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.look:
        look(arguments.look)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        write_run(path, arguments.traces, arguments.kilobytes)
        size = (path / "traces-00000.jsonl").stat().st_size
        from openstrawberry.store.browsing import Browser

        began = time.perf_counter()
        Browser(path).close()
        indexed = time.perf_counter() - began
        done = subprocess.run(
            [sys.executable, __file__, "--look", str(path)], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout)
    print(f"{arguments.traces:,} traces, {size / 1e9:.2f} GB; the index made from nothing in {indexed:.0f} s\n")
    print("| opened | a page, at worst | filtered and searched | a whole trace | groups counted | peak MB |")
    print("|---|---|---|---|---|---|")
    seconds = " | ".join(f"{found[name]:.3f} s" for name in ("opened", "page", "filtered", "read", "tallied"))
    print(f"| {seconds} | {found['peak']:.0f} |")


if __name__ == "__main__":
    main()
