"""Copies among texts."""

from random import Random

import pytest

from openstrawberry.selection.clean import KEPT, NEWEST, Duplicates, jaccard, shingles

WORDS = [f"word{number}" for number in range(4000)]


def text(seed: int, length: int = 400) -> list[str]:
    return Random(seed).choices(WORDS, k=length)


def test_the_same_text_again_is_an_exact_copy() -> None:
    seen = Duplicates(0.95)
    assert [seen.add("one two"), seen.add("one two"), seen.add("one three")] == ["new", "exact", "new"]


@pytest.mark.parametrize("length", [40, 400, 4000])
def test_one_changed_word_in_many_makes_a_near_copy_and_a_changed_half_none(length: int) -> None:
    words = text(1, length)
    seen = Duplicates(0.7)
    assert seen.add(" ".join(words)) == "new"
    assert seen.add(" ".join([*words[: length // 2], "changed", *words[length // 2 + 1 :]])) == "near"
    assert seen.add(" ".join([*words[: length // 2], *text(2, length // 2)])) == "new"


def test_case_and_spacing_make_near_copies_that_near_1_lets_pass() -> None:
    assert [Duplicates(near).add("a") for near in (0.95, 1.0)] == ["new", "new"]
    for near, expected in ((0.95, "near"), (1.0, "new")):
        seen = Duplicates(near)
        seen.add("One two  three four five six")
        assert seen.add("one TWO three four five six") == expected


@pytest.mark.parametrize("odd", ["", " ", "\n", "\ud800", "é" * 10])
def test_odd_texts_are_texts_like_others(odd: str) -> None:
    seen = Duplicates(0.95)
    assert [seen.add(odd), seen.add(odd)] == ["new", "exact"]


def test_near_copies_are_found_among_a_thousand_others() -> None:
    seen = Duplicates(0.9)
    assert all(seen.add(" ".join(text(seed))) == "new" for seed in range(1000))
    for seed in range(0, 1000, 97):
        words = text(seed)
        words[200] = "changed"
        assert seen.add(" ".join(words)) == "near"


def test_the_estimate_of_long_texts_is_close_to_the_truth() -> None:
    for share in (50, 90, 98):
        words, other = text(3, 4000), text(4, 4000)
        mixed = [*words[: 40 * share], *other[40 * share :]]
        one, two = shingles(" ".join(words)), shingles(" ".join(mixed))
        truth = len(one & two) / len(one | two)
        sketches = [tuple(sorted(each)[:KEPT]) for each in (one, two)]
        assert jaccard(*sketches) == pytest.approx(truth, abs=0.12)


def test_boiler_plate_that_all_texts_share_is_searched_in_bounded_time() -> None:
    seen = Duplicates(0.95)
    plate = " ".join(text(5, 200))
    for number in range(300):
        assert seen.add(f"{plate} {' '.join(text(number + 10, 30))}") == "new"
    assert max(len(bucket) for bucket in seen._buckets.values()) <= NEWEST
