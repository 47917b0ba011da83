"""Problems that need no file and no network."""

import itertools
from collections import Counter

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.problems.builtin import ABOVE, EASY
from openstrawberry.problems.families import recognise
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.puzzles import LOCK, PUZZLES
from openstrawberry.verifiers.catalogue import VERIFIERS


def load(source: str, **options: int) -> list[Problem]:
    return list(load_problems(source, **options))  # type: ignore[arg-type]


def size_and_split(problem: Problem) -> tuple[str, int, str]:
    item = recognise(problem.question)
    assert item is not None
    assert item.answer == problem.answer
    assert problem.meta() == {"family": item.family, "size": item.size}
    assert problem.difficulty == item.size
    return item.family, item.size, item.split


def test_the_demo_starts_with_strawberry_and_mixes_easy_sizes_with_the_band_above() -> None:
    problems = load("builtin:demo")
    assert problems[0].question == "How many r's are in strawberry?"
    assert (problems[0].answer, problems[0].verifier) == ("3", "numeric")
    kinds = [size_and_split(problem) for problem in problems]
    above = [kind for kind in kinds if kind[1] in ABOVE[kind[0]]]
    assert 16 <= len(problems) <= 24
    assert 5 <= len(above) <= len(problems) // 2
    assert {split for _, _, split in kinds[1:]} == {"train"}  # its traces may be learnt from
    assert kinds[0][2] == "held-out"  # but strawberry stays a test
    assert len({problem.id for problem in problems}) == len(problems)


def test_the_demo_is_the_same_in_every_run() -> None:
    assert load("builtin:demo", seed=1) == load("builtin:demo", seed=2)


def test_heldout_has_the_same_number_of_every_size_and_none_from_training() -> None:
    kinds = Counter(size_and_split(problem) for problem in load("builtin:heldout?n=5"))
    sizes = [(family, size, "held-out") for family in EASY for size in (*EASY[family], *ABOVE[family])]
    assert kinds == dict.fromkeys(sizes, 5)


def test_count_and_add_take_sizes_numbers_seeds_and_splits() -> None:
    kinds = [size_and_split(problem) for problem in load("builtin:count?size=4-6&n=9&split=train")]
    assert Counter(size for _, size, _ in kinds) == {4: 3, 5: 3, 6: 3}
    assert {(family, split) for family, _, split in kinds} == {("count", "train")}
    assert load("builtin:add?size=9", limit=3) == load("builtin:add?size=9&n=3")
    assert load("builtin:add?seed=1", limit=3) != load("builtin:add?seed=2", limit=3)
    assert load("builtin:add", limit=3, seed=4) == load("builtin:add?seed=4&n=3")


def test_a_size_that_is_used_up_ends_instead_of_repeating() -> None:
    problems = load("builtin:add?size=1&n=1000")
    assert 5 < len(problems) < 80
    assert len({problem.id for problem in problems}) == len(problems)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("builtin:dmeo", "did you mean 'demo'"),
        ("builtin:", "choose one of demo"),
        ("demo", "did you mean 'builtin:demo'"),
        ("builtin:demo?n=3", "has no keys: drop n="),
        ("builtin:add?sise=3", "did you mean 'size'"),
        ("builtin:add?size=big", "size=big does not fit"),
        ("builtin:count?size=2", "3 to 24 letters"),
        ("builtin:add?size=5-3", "an empty range"),
        ("builtin:add?n=-1", "a whole number from 1 on"),
        ("builtin:add?split=tain", "did you mean 'train'"),
        ("builtin:add?size", "not key=value"),
        ("builtin:add?n=1&n=2", "stands twice"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(source: str, sentence: str) -> None:
    with pytest.raises(SetupError) as caught:
        load(source)
    assert sentence in str(caught.value)


def test_the_puzzles_use_every_verifier_that_needs_nothing_more() -> None:
    problems = load("builtin:puzzles")
    assert problems[0].question == "Which is larger, 0.9 or 0.11?"
    assert {problem.verifier for problem in problems} == set(VERIFIERS.table) - {"gym", "code", "judge"}
    assert sum(1 for _ in load_problems("builtin:puzzles")) == len(PUZZLES)


def test_the_lock_has_one_code_and_needs_every_clue() -> None:
    clues = [("087", 1, 0), ("941", 0, 1), ("732", 0, 2), ("594", 0, 0), ("036", 0, 1)]
    for tried, _, _ in clues:
        assert " ".join(tried) + ":" in LOCK
    codes = ["".join(digits) for digits in itertools.permutations("0123456789", 3)]

    def fits(code: str, tried: str, placed: int, misplaced: int) -> bool:
        here = sum(a == b for a, b in zip(code, tried, strict=True))
        return (here, len(set(code) & set(tried)) - here) == (placed, misplaced)

    assert [code for code in codes if all(fits(code, *clue) for clue in clues)] == ["317"]
    assert (LOCK, "317", "numeric") in PUZZLES
    for missing in clues:
        assert sum(all(fits(code, *clue) for clue in clues if clue != missing) for code in codes) > 1
