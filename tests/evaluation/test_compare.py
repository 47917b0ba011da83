import pytest

from openstrawberry.errors import SetupError
from openstrawberry.evaluation.compare import Comparison, against, all_pairs, compare, p_text, paired
from openstrawberry.evaluation.methods import find
from openstrawberry.stats import Interval, mcnemar
from tests.evaluation.rows import row


def test_a_clear_gain_is_said_in_points() -> None:
    found = compare(row("+" * 10 + "-" * 30, "old"), row("+" * 30 + "-" * 10, "new"))
    assert found.verdict == "better"
    assert found.p == mcnemar([False] * 20, [True] * 20)
    assert found.sentence.startswith("better: +50.0 points, 95% interval 3")
    assert found.sentence.endswith("(p < 0.0001, 40 problems)")


def test_the_other_way_round_is_worse_by_the_same() -> None:
    old, new = row("+" * 10 + "-" * 30), row("+" * 30 + "-" * 10)
    assert compare(new, old).sentence.startswith("worse: -50.0 points")
    assert compare(new, old).p == compare(old, new).p


def test_too_little_to_tell_is_no_difference_seen() -> None:
    assert compare(row("++--"), row("+++-")).sentence.startswith("no difference seen: +25.0 points")
    same = compare(row("+"), row("+"))
    assert same.verdict == "no difference seen"
    assert same.sentence.endswith("(p = 1.00, 1 problem)")


def test_problems_that_one_row_could_not_be_judged_on_are_left_out_and_counted() -> None:
    found = compare(row("++--!?"), row("+t--++  "))
    assert (found.problems, found.left_out) == (3, 3)
    missing = compare(row("++++"), row("++  "))
    assert (missing.problems, missing.left_out) == (2, 2)


def test_rows_without_a_problem_in_common_are_not_compared() -> None:
    found = compare(row("++"), row("!!"))
    assert found.verdict == "nothing to compare"
    assert found.difference is None
    assert found.left_out == 2


def test_several_samples_are_averaged_per_problem() -> None:
    pairs = paired(row("++--" * 3, samples=4), row("+++-" * 3, samples=4))
    assert [pair.difference for pair in pairs] == [0.25] * 3
    many = compare(row("++--" * 30, samples=4), row("+++-" * 30, samples=4))
    assert many.verdict == "better"
    assert many.difference is not None
    assert many.difference.mean == 0.25


def test_samples_that_could_not_be_judged_do_not_count_against_their_problem() -> None:
    (pair,) = paired(row("+-", samples=2), row("+!", samples=2))
    assert (pair.first, pair.second) == (0.5, 1.0)


def test_one_size_can_be_compared_alone() -> None:
    sizes = [1.0] * 20 + [2.0] * 20
    old, new = row("+" * 20 + "-" * 20, sizes=sizes), row("+" * 40, sizes=sizes)
    assert compare(old, new, keep=lambda outcome: outcome.size == 1).verdict == "no difference seen"
    assert compare(old, new, keep=lambda outcome: outcome.size == 2).verdict == "better"


def test_more_comparisons_ask_for_more_evidence() -> None:
    base = row("-" * 6 + "+" * 20, "base")
    better = [row("+" * 26, f"row {number}") for number in range(2)]
    assert against([base, better[0]])[0].verdict == "better"  # p = 2/64
    corrected = against([base, *better])
    assert [one.verdict for one in corrected] == ["no difference seen"] * 2
    assert "after Holm's correction for 2" in corrected[0].sentence


def test_any_row_can_be_the_one_the_others_are_compared_with() -> None:
    rows = [row("+-", "a"), row("++", "b"), row("--", "c")]
    assert [(one.first, one.second) for one in against(rows, 1)] == [("b", "a"), ("b", "c")]
    assert [(one.first, one.second) for one in all_pairs(rows)] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_clean_rates_are_compared_only_where_they_are_known() -> None:
    assert compare(row("++--"), row("++++"), what="clean").verdict == "nothing to compare"


@pytest.mark.parametrize(
    ("p", "text"), [(0.00001, "p < 0.0001"), (0.00044, "p = 0.0004"), (0.0312, "p = 0.031"), (0.456, "p = 0.46")]
)
def test_p_values_are_short(p: float, text: str) -> None:
    assert p_text(p) == text


def test_the_sentence_of_the_specification() -> None:
    found = Comparison(first="a", second="b", problems=200, left_out=0, difference=Interval(0.125, 0.06, 0.19),
                       p=0.0004, adjusted=0.0004)  # fmt: skip
    assert found.sentence == "better: +12.5 points, 95% interval 6.0 to 19.0 (p = 0.0004, 200 problems)"


def test_a_row_is_found_by_what_only_its_name_has() -> None:
    rows = ["berry zero-shot", "berry cot", "round-1 cot"]
    assert (find("zero", rows), find("berry cot", rows), find("round", rows)) == (0, 1, 2)
    with pytest.raises(SetupError, match="may be any of"):
        find("cot", rows)
    with pytest.raises(SetupError, match="There is no row"):
        find("gpt", rows)
