"""The problem source `builtin:NAME`: problems that need no file and no network.

    builtin:demo      what `strawberry generate` asks by default: "How many r's are in strawberry?" first, then a mix of
                      sizes that the embedded model finds easy and of the sizes just above
    builtin:heldout   the same number of problems of every size of both families, for measuring; `?n=` of each
    builtin:count     letters to count: `?size=` in letters, or a range such as 3-10, `?n=`, `?seed=`,
                      `?split=train|held-out`
    builtin:add       sums: `?size=` in digits, and the same keys
    builtin:puzzles   a few puzzles of other kinds, for real models

What always holds: `heldout` is held out from every training and the same in every run (`heldout?seed=` draws others);
`demo` lies on the training side, so that its traces may be learnt from, but for "strawberry" itself. No problem stands
twice; `difficulty` is the size, and the metadata names family and size.
"""

import random
from collections.abc import Callable, Iterator, Mapping

from openstrawberry.errors import UsageError
from openstrawberry.problems.families import FAMILIES, Addition, Item, LetterCount, Split, draw, phrase
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.puzzles import puzzles
from openstrawberry.problems.source import Request, dump, refuse_other_keys, split_query, whole_number
from openstrawberry.registry import unknown

EASY: dict[str, range] = {"count": range(3, 11), "add": range(1, 6)}
"""Sizes that the embedded model was trained on."""

ABOVE: dict[str, range] = {"count": range(11, 13), "add": range(6, 8)}
"""Sizes just above, which it barely solves."""

_DEMO_SIZES = (
    ("add", 3), ("count", 5), ("add", 6), ("count", 11), ("add", 1), ("count", 7), ("add", 6), ("count", 9),
    ("add", 7), ("add", 5), ("count", 12), ("add", 6), ("count", 3), ("add", 6), ("count", 11), ("add", 2),
    ("add", 6), ("add", 4), ("count", 11),
)  # fmt: skip
_PATIENCE = 2_000
"""Draws in a row that bring nothing new before a size counts as used up; there are few sums of one digit."""


def builtin_problems(request: Request) -> Iterator[Problem]:
    """The problems of the built-in set that `request.place` names.

    Raises:
        UsageError: there is no such set or key, or a value does not fit.
    """
    name, values = split_query(request.place, "builtin")
    if name not in BUILTIN:
        raise UsageError(unknown("built-in set of problems", name, BUILTIN))
    return BUILTIN[name](values, request)


def _demo(values: Mapping[str, str], request: Request) -> Iterator[Problem]:
    refuse_other_keys(values, (), "builtin:demo")
    source = "builtin:demo"
    strawberry = LetterCount(word="strawberry", letter="r")
    yield _problem(strawberry, strawberry.question(), source)
    draws = {size: _draws(*size, "train", random.Random(f"demo/{size}")) for size in sorted(set(_DEMO_SIZES))}
    for size in _DEMO_SIZES:
        item, question = next(draws[size])
        yield _problem(item, question, source)


def _heldout(values: Mapping[str, str], request: Request) -> Iterator[Problem]:
    refuse_other_keys(values, ("n", "seed"), "builtin:heldout")
    count, seed = whole_number(values, "n", 10), whole_number(values, "seed", 0, least=0)
    for family in FAMILIES:
        for size in (*EASY[family], *ABOVE[family]):
            draws = _draws(family, size, "held-out", random.Random(f"heldout/{family}/{size}/{seed}"))
            for _, (item, question) in zip(range(count), draws, strict=False):
                yield _problem(item, question, "builtin:heldout")


def _count(values: Mapping[str, str], request: Request) -> Iterator[Problem]:
    return _family("count", values, request)


def _add(values: Mapping[str, str], request: Request) -> Iterator[Problem]:
    return _family("add", values, request)


def _family(family: str, values: Mapping[str, str], request: Request) -> Iterator[Problem]:
    source = f"builtin:{family}"
    refuse_other_keys(values, ("size", "n", "split", "seed"), source)
    sizes = _sizes(family, values.get("size", ""))
    split = values.get("split", "held-out")
    sides: dict[str, Split] = {"train": "train", "held-out": "held-out", "heldout": "held-out"}
    if split not in sides:
        raise UsageError(unknown(f"split of {source}", split, ("train", "held-out")))
    count = whole_number(values, "n", request.limit or 20)
    seed = whole_number(values, "seed", request.seed, least=0)
    draws = [_draws(family, size, sides[split], random.Random(f"{family}/{size}/{split}/{seed}")) for size in sizes]
    made = 0
    while draws and made < count:
        pair = next(draws[made % len(draws)], None)
        if pair is None:  # this size is used up
            draws.pop(made % len(draws))
            continue
        yield _problem(*pair, source)
        made += 1


def _sizes(family: str, text: str) -> list[int]:
    if not text:
        return [*EASY[family], *ABOVE[family]]
    low, dash, high = text.partition("-")
    last = high if dash else low
    try:
        if not (_whole(low) and _whole(last)):
            raise ValueError("no whole number")
        sizes = list(range(int(low), min(int(last), int(low) + 1000) + 1))
        if not 0 < len(sizes) <= 1000:
            raise ValueError("an empty range" if not sizes else "more than 1000 sizes")
        for size in {sizes[0], sizes[-1]}:
            draw(random.Random(0), family, size, "train")
    except ValueError as error:
        raise UsageError(
            f"size={text} does not fit builtin:{family} ({error}): write builtin:{family}?size=6 or ?size=3-10."
        ) from error
    return sizes


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _draws(family: str, size: int, split: Split, rng: random.Random) -> Iterator[tuple[Item, str]]:
    """Items and their wording, none twice, until the size is used up."""
    seen: set[Item] = set()
    since_new = 0
    while since_new < _PATIENCE:
        item = draw(rng, family, size, split)
        since_new += 1
        if item not in seen:
            seen.add(item)
            since_new = 0
            yield item, phrase(rng, item)


def _problem(item: Item, question: str, source: str) -> Problem:
    family = "add" if isinstance(item, Addition) else "count"
    return Problem(
        question=question,
        answer=item.answer,
        verifier="numeric",
        difficulty=float(item.size),
        source=source,
        metadata=dump({"family": family, "size": item.size}),
    )


def _puzzles(values: Mapping[str, str], request: Request) -> Iterator[Problem]:
    refuse_other_keys(values, (), "builtin:puzzles")
    yield from puzzles()


BUILTIN: dict[str, Callable[[Mapping[str, str], Request], Iterator[Problem]]] = {
    "demo": _demo,
    "heldout": _heldout,
    "count": _count,
    "add": _add,
    "puzzles": _puzzles,
}
