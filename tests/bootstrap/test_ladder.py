"""The ladder: what is easy, where the frontier is, which problems a rung has."""

import pytest

from openstrawberry.bootstrap.config import Family, Loop
from openstrawberry.bootstrap.ladder import Ladder, Rung, told
from openstrawberry.bootstrap.scores import Result, Score
from openstrawberry.errors import SetupError
from openstrawberry.problems.families import recognise

LADDER = Ladder(Loop())


def score(right, clean=None, problems=10):
    clean = right if clean is None else clean
    return Score({f"p{i}": Result(i < right, i < clean, 5) for i in range(problems)})


def rung(family, size):
    return next(each for each in LADDER.rungs[family] if each.size == str(size))


def test_the_frontier_is_the_last_rung_up_to_which_all_measured_ones_pass():
    scores = {rung("add", size): score(right) for size, right in ((4, 10), (5, 9), (6, 7), (7, 9))}
    assert LADDER.frontier(scores, clean=False) == {"add": rung("add", 5).place, "count": -1}


def test_the_clean_frontier_counts_only_traces_with_every_step_right():
    scores = {rung("count", 11): score(9, clean=8), rung("count", 12): score(9, clean=2)}
    assert LADDER.frontier(scores, clean=False)["count"] == rung("count", 12).place
    assert LADDER.frontier(scores, clean=True)["count"] == rung("count", 11).place


def test_rungs_are_told_in_a_few_words():
    some = [rung("count", 12), *(rung("add", size) for size in (3, 2, 1))]
    assert told(some) == "add 1 to 3, count 12"
    assert told([rung("add", 6), rung("add", 8), rung("add", 7), rung("add", 9)]) == "add 6 to 9"
    assert told([rung("add", 6), rung("add", 8)]) == "add 6 and 8"


def test_what_is_tried_next_lies_just_above():
    frontier = {"add": rung("add", 5).place, "count": rung("count", 24).place}
    assert [str(each) for each in LADDER.above(frontier)] == ["add 6", "add 7"]  # and no word is longer than 24


def test_problems_of_a_rung_have_its_size_and_their_side_and_never_come_back():
    held = LADDER.heldout(rung("add", 7))
    assert held == LADDER.heldout(rung("add", 7))
    assert {(recognise(p.question).size, recognise(p.question).split) for p in held} == {(7, "held-out")}
    first = LADDER.train(rung("add", 7), 50, seed=1, without=set())
    used = {problem.id for problem in first}
    again = LADDER.train(rung("add", 7), 50, seed=1, without=used)
    assert len(first) == len(again) == 50
    assert not used & {problem.id for problem in again}
    assert {recognise(p.question).split for p in first + again} == {"train"}


def test_a_ladder_of_files_in_the_order_of_its_sizes(tmp_path):
    for level in ("easy", "hard", "test-easy", "test-hard"):
        rows = [f'{{"question": "{level} {n} + 1?", "answer": "{n + 1}"}}\n' for n in range(3)]
        (tmp_path / f"{level}.jsonl").write_text("".join(rows))
    train, heldout = f"{tmp_path}/{{size}}.jsonl", f"{tmp_path}/test-{{size}}.jsonl"
    family = Family(name="x", train=train, heldout=heldout, sizes=["easy", "hard"])
    ladder = Ladder(Loop(ladder=[family]))
    assert [str(each) for each in ladder.rungs["x"]] == ["x easy", "x hard"]
    assert ladder.rungs["x"][0] < ladder.rungs["x"][1]
    assert len(ladder.train(Rung("x", 1, "hard"), 2, 0, set())) == 2
    same = Ladder(Loop(ladder=[family.model_copy(update={"heldout": train})]))
    with pytest.raises(SetupError, match="All 3 training problems of x hard are among its held-out ones"):
        same.train(Rung("x", 1, "hard"), 2, 0, set())


def test_a_ladder_of_the_levels_of_a_reasoning_gym_curriculum():
    pytest.importorskip("reasoning_gym", reason="needs the extra `gym`")
    source = "gym:chain_sum?level={size}&size={n}&seed={seed}"
    ladder = Ladder(Loop(ladder=[Family(name="sums", train=source, heldout=source, sizes="0-3")]))
    low, high = ladder.rungs["sums"][0], ladder.rungs["sums"][3]
    held = {problem.id for problem in ladder.heldout(high)}
    first = ladder.train(high, 20, seed=1, without=set())
    later = ladder.train(high, 20, seed=2, without={problem.id for problem in first})
    assert len({problem.id for problem in first + later} - held) == 40
    assert {problem.difficulty for problem in first} == {3.0}
    longest = [max(len(problem.question) for problem in ladder.train(each, 20, 1, set())) for each in (low, high)]
    assert longest[0] < longest[1]


@pytest.mark.parametrize("source", ["builtin:add?size={size}", "gym:chain_sum?size={n}"])
def test_a_generator_without_a_seed_of_its_own_is_refused(source):
    with pytest.raises(ValueError, match="so that every round can draw problems"):
        Family(name="x", train=source, heldout=source, sizes="1-2")


def test_a_size_that_is_no_range_is_refused():
    with pytest.raises((SetupError, ValueError), match="such as 1-20"):
        Family(name="x", train="a", heldout="b", sizes="many")
