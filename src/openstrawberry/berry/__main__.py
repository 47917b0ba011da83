"""Makes, exports and measures berry.

    python -m openstrawberry.berry make       train both stages, export, and put the files into `berry/model/`
    python -m openstrawberry.berry export DIR write the ONNX step graph beside a checkpoint
    python -m openstrawberry.berry evaluate   print the tables of the card

`make` needs the packages of the extra `berry`; `evaluate` needs none but those of the package itself.
"""

import argparse
import ctypes
import shutil
import sys
from pathlib import Path

MODEL = Path(__file__).parent / "model"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m openstrawberry.berry")
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("make", help="train berry from nothing and put its files into place")
    make.add_argument("--work", type=Path, default=Path("build/berry"), help="checkpoints and log go here")
    make.add_argument("--out", type=Path, default=MODEL, help="the finished model goes here")
    make.add_argument("--seed", type=int, default=1)
    export = verbs.add_parser("export", help="write the ONNX step graph beside a checkpoint")
    export.add_argument("folder", type=Path)
    evaluate = verbs.add_parser("evaluate", help="print the tables of the model card")
    evaluate.add_argument("--model", type=Path, default=MODEL)
    evaluate.add_argument("--problems", type=int, default=200, help="held-out problems a size")
    arguments = parser.parse_args()
    if arguments.verb == "make":
        run_make(arguments.work, arguments.out, arguments.seed)
    elif arguments.verb == "export":
        from openstrawberry.berry.export import export_onnx

        print(export_onnx(arguments.folder))
    else:
        from openstrawberry.berry.evaluate import evaluate as measure

        measure(arguments.model, arguments.problems)


def run_make(work: Path, out: Path, seed: int) -> None:
    """The whole recipe. Nothing in `out` changes before training has ended well."""
    _keep_freed_memory()
    from openstrawberry.berry.export import export_onnx
    from openstrawberry.berry.train import Recipe, train

    work.mkdir(parents=True, exist_ok=True)
    finished = train(Recipe(seed=seed), work, work / "log.jsonl")
    export_onnx(finished)
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(finished.iterdir()):
        shutil.copyfile(file, out / file.name)
    print(f"berry is in {out}; measure it with `python -m openstrawberry.berry evaluate --model {out}`")


def _keep_freed_memory() -> None:
    """Tell glibc to reuse large blocks: giving them back after every tensor halves the speed on CPU."""
    if sys.platform == "linux":
        trim, mmap = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(trim, 2**31 - 1)
            mallopt(mmap, 2**30)


if __name__ == "__main__":
    main()
