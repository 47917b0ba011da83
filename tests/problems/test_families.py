"""The two families: what is asked, what is held out, and that no short cut leads to the answer."""

from itertools import islice
from random import Random

import pytest

from openstrawberry.problems import families
from openstrawberry.problems.families import Addition, LetterCount, generate, recognise


def test_the_same_seed_gives_the_same_items_and_another_seed_others():
    first, again, other = (list(islice(generate("count", 8, seed), 20)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("family", "size"), [("count", 3), ("count", 10), ("count", 24), ("add", 1), ("add", 20)])
def test_every_item_has_the_size_and_the_side_that_were_asked_for(family, size):
    for split in ("train", "held-out"):
        items = list(islice(generate(family, size, split=split), 30))
        assert {item.size for item in items} == {size}
        assert {item.split for item in items} == {split}


def test_a_word_is_on_one_side_whatever_letter_is_asked_for_and_a_sum_in_either_order():
    assert LetterCount("strawberry", "r").split == LetterCount("strawberry", "s").split == "held-out"
    assert Addition(123, 4567).split == Addition(4567, 123).split


def test_the_worked_examples_of_the_few_shot_prompt_are_not_held_out():
    assert LetterCount("elephant", "e").split == LetterCount("cotton", "t").split == Addition(48, 67).split == "train"


def test_about_a_quarter_is_held_out():
    rng = Random(0)
    held_out = sum(LetterCount(families.invent_word(rng, 9), "a").split == "held-out" for _ in range(4000))
    assert 0.22 < held_out / 4000 < 0.28


def test_late_letters_are_asked_for_as_often_as_early_ones():
    size, n = 10, 3000
    totals = [0] * size
    for item in islice(generate("count", size), n):
        for position, letter in enumerate(item.word):
            totals[position] += letter == item.letter
    early, late = sum(totals[: size // 2]), sum(totals[size // 2 :])
    assert abs(early - late) / (early + late) < 0.04


def test_counts_run_from_none_to_four_and_none_of_them_is_a_safe_guess():
    answers = [item.answer for item in islice(generate("count", 10), 1000)]
    shares = {answer: answers.count(answer) / 1000 for answer in "01234"}
    assert min(shares.values()) > 0.05
    assert max(shares.values()) < 0.45


def test_sums_of_numbers_of_different_length_occur():
    items = list(islice(generate("add", 5), 200))
    assert any(len(str(item.a)) != len(str(item.b)) for item in items)
    assert any(len(str(item.a)) == len(str(item.b)) for item in items)


@pytest.mark.parametrize("item", [LetterCount("strawberry", "r"), Addition(48, 670)])
def test_every_wording_of_a_question_is_recognised(item):
    for phrasing in range(5):
        assert recognise(item.question(phrasing)) == item
        assert recognise(" " + item.question(phrasing).upper() + "\n") == item


@pytest.mark.parametrize("question", ["", "What is 3 - 2?", "What is the capital of France?", "How many is in to?"])
def test_other_questions_are_not_recognised(question):
    assert recognise(question) is None


def test_a_sum_of_more_digits_than_python_reads_is_not_recognised():
    assert recognise(f"What is {'9' * 4000} + 1?").answer == f"1{'0' * 4000}"
    assert recognise(f"What is {'9' * 5000} + 1?") is None


@pytest.mark.parametrize(("family", "size"), [("count", 2), ("count", 25), ("add", 0), ("divide", 3)])
def test_what_cannot_be_drawn_is_refused(family, size):
    with pytest.raises(ValueError, match=r"size|family"):
        next(generate(family, size))
