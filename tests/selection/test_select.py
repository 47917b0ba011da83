"""From runs to rows: what gets in, what stays out, and what is said about it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.selection.options import Selecting
from openstrawberry.selection.select import Selection, report_path, select
from openstrawberry.trace import Stop, Trace
from tests.selection.making import (
    HELD_OUT,
    SUMS,
    problem,
    solved,
    sum_problem,
    trace,
    turn,
    whole,
    write_run,
)

ASKED = problem()


def chosen(folder: Path, traces: list[Trace], **options: Any) -> Selection:
    return select([write_run(folder / "run", traces)], Selecting(**options))


def two(asked: Any = ASKED) -> list[Trace]:
    """A right and a wrong trace."""
    return [trace(asked, ["up", "blue"]), trace(asked, ["down", "red"], "incorrect", sample=1)]


def test_every_pair_has_a_right_and_clean_and_a_wrong_side(tmp_path: Path) -> None:
    traces = [each for item in SUMS[:20] for each in solved(item, 3, 2)]
    lucky = trace(sum_problem(SUMS[0]), [f"<final_answer>{SUMS[0].answer}</final_answer>"], sample=9)
    found = chosen(tmp_path, [*traces, lucky])
    status = {each.id: each.verdict.status for each in traces}
    rows = list(found)
    assert len(rows) == len(found) == found.report.rows == 80
    assert Counter(status[row["chosen_trace"]] for row in rows) == {"correct": 80}
    assert Counter(status[row["rejected_trace"]] for row in rows) == {"incorrect": 80}
    assert found.report.dropped_traces == {"right, but not clean": 1}
    assert found.report.clean_guard.startswith("on")


def test_without_the_guard_a_lucky_short_cut_is_the_first_to_be_chosen(tmp_path: Path) -> None:
    item = SUMS[0]
    lucky = trace(sum_problem(item), [f"<final_answer>{item.answer}</final_answer>"], sample=9)
    first = next(iter(chosen(tmp_path / "a", [*solved(item, 1, 2), lucky], clean=False)))
    assert first["chosen_trace"] == lucky.id
    assert first["offset"] > 1
    assert lucky.id not in str(list(chosen(tmp_path / "b", [*solved(item, 1, 2), lucky])))


def test_a_strict_guard_leaves_out_what_nobody_can_verify(tmp_path: Path) -> None:
    traces = [*two(), *solved(SUMS[0], 1, 1)]
    assert chosen(tmp_path / "a", traces).report.problems_used == 2
    assert chosen(tmp_path / "b", traces, clean=True).report.problems_used == 1


@pytest.mark.parametrize("unit", ["trace", "step", "correction"])
@pytest.mark.parametrize(
    ("status", "stop"),
    [("unknown", "final_answer"), ("timeout", "final_answer"), ("incorrect", "truncated"), ("incorrect", "budget"),
     ("no_answer", "max_turns"), ("no_answer", "refused"), ("unknown", "error"), ("no_answer", "final_answer")],
)  # fmt: skip
def test_an_unfinished_or_unknown_trace_is_never_rejected(tmp_path: Path, unit: str, status: str, stop: Stop) -> None:
    traces = [trace(ASKED, ["up", "blue"]), trace(ASKED, ["down", "red"], status, stop, sample=1)]
    with pytest.raises(SetupError, match="No pairs can be made of 2 traces of 1 problem"):
        chosen(tmp_path / "a", traces, unit=unit)
    if unit == "trace":
        assert [row["label"] for row in chosen(tmp_path / "b", traces, format="kto")] == [True]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("form", ["trl", "sft", "kto"])
def test_no_evaluation_or_held_out_problem_gets_in_whatever_the_seed(tmp_path: Path, seed: int, form: str) -> None:
    traces = [each for item in [*SUMS[:6], HELD_OUT] for each in solved(item, 2, 2)] + two()
    evaluation = tmp_path / "evaluation.jsonl"
    asked = [SUMS[seed % 6].question(), SUMS[(seed + 1) % 6].question().upper(), ASKED.question]
    evaluation.write_text("".join(json.dumps({"question": text, "answer": "5"}) + "\n" for text in asked))
    options = {"evaluation": (str(evaluation),), "seed": seed, "format": form}
    with pytest.raises(SetupError, match=r"3 of the 8 problems are in an evaluation set.*--drop-evaluated"):
        chosen(tmp_path / "a", traces, **options)
    found = chosen(tmp_path / "b", traces, drop_evaluated=True, **options)
    seen = {row["question"].casefold() for row in found}
    assert seen
    assert not seen & {text.casefold() for text in [*asked, HELD_OUT.question()]}
    assert found.report.dropped_problems == {"in an evaluation set": 3, "held out": 1}


def test_a_held_out_problem_stays_out_without_any_evaluation_set(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"1 held out.*split=train"):
        chosen(tmp_path, solved(HELD_OUT, 2, 2), clean=False, band_only=False)


NOTHING = {
    "all right": ([trace(ASKED, ["up"]), trace(ASKED, ["up too"], sample=1)], {}, "1 always right.*harder problems"),
    "all wrong": ([trace(ASKED, ["red"], "incorrect")], {}, "1 never right.*easier problems"),
    "nothing judged": ([trace(ASKED, ["?"], "timeout")], {}, "1 without a sample that could be judged"),
    "outside": (two(), {"high": 0.4}, "1 outside the band.*--no-band-only"),
    "unclean": ([trace(sum_problem(SUMS[1]), ["so", f"<final_answer>{SUMS[1].answer}</final_answer>"]),
                 *solved(SUMS[1], 0, 1, 1), *solved(SUMS[0], 1, 0)], {}, "without a clean right trace"),
    "other beginnings": ([two()[0], trace(ASKED, ["red"], "incorrect", sample=1, system="-")], {}, "--rendering flat"),
    "no branches": (two(), {"unit": "correction"}, "--unit trace"),
    "no traces": ([], {}, "There are no traces"),
}  # fmt: skip


@pytest.mark.parametrize(("traces", "options", "said"), NOTHING.values(), ids=NOTHING)
def test_an_empty_selection_says_why_and_what_to_do(
    tmp_path: Path, traces: list[Trace], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SetupError, match=f"(?s){said}") as caught:
        chosen(tmp_path, traces, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_problem_gives_no_more_rows_than_asked_for(tmp_path: Path) -> None:
    for form, expected in (("trl", 2), ("sft", 2), ("kto", 4)):
        found = chosen(tmp_path / form, solved(SUMS[0], 4, 4), per_problem=2, format=form)
        assert len(found) == expected


def test_no_size_has_more_than_twice_the_rows_of_the_median_size(tmp_path: Path) -> None:
    traces = []
    for size, count in ((1, 1), (2, 2), (3, 9)):
        for number in range(count):
            traces += two(problem(f"Number {number} of size {size}?", difficulty=float(size)))
    rows = list(chosen(tmp_path / "a", traces))
    assert Counter(row["difficulty"] for row in rows) == {1.0: 1, 2.0: 2, 3.0: 4}
    assert len({row["problem"] for row in rows}) == 7
    assert len(chosen(tmp_path / "b", traces, balance=0)) == 12
    kept = [{row["problem"] for row in chosen(tmp_path / f"{seed}", traces, seed=seed)} for seed in range(8)]
    assert len({frozenset(each) for each in kept}) > 1


def test_copies_are_counted_and_replaced_by_what_comes_next(tmp_path: Path) -> None:
    same = [trace(ASKED, ["up", "blue"], sample=number) for number in range(3)]
    wrong = [
        trace(ASKED, ["down", "red"], "incorrect", sample=3),
        trace(ASKED, ["left", "green"], "incorrect", sample=4),
    ]
    found = chosen(tmp_path, [*same, *wrong])
    assert len(found) == 2
    assert found.report.dropped_rows == {"exact copies of another row": 4}


def test_runs_are_merged_by_problem_and_a_trace_counts_once(tmp_path: Path) -> None:
    right, wrong = two()
    one, other = write_run(tmp_path / "one", [right]), write_run(tmp_path / "other", [right, wrong])
    found = select([one, other], Selecting())
    assert len(found) == 1
    assert (found.report.traces, found.report.problems) == (2, 1)
    assert found.report.dropped_traces == {"in another run already": 1}


def test_a_later_verdict_counts(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [trace(ASKED, ["up"]), trace(ASKED, ["down"], sample=1)])
    (run / "verdicts-exact.jsonl").write_text(json.dumps({"id": f"{ASKED.id}-1", "status": "incorrect"}) + "\n")
    (row,) = select([run], Selecting())
    assert row["rejected_trace"] == f"{ASKED.id}-1"


def test_the_same_runs_and_options_give_the_same_rows_in_any_order_of_lines(tmp_path: Path) -> None:
    traces = [each for item in SUMS[:9] for each in solved(item, 3, 3)]
    first, second = chosen(tmp_path / "a", traces), chosen(tmp_path / "b", traces[::-1])
    assert list(first) == list(first) == list(second)


def test_odd_traces_cost_themselves_only(tmp_path: Path) -> None:
    empty = whole(ASKED, [], (), sample=7)
    silent = whole(ASKED, [turn("user", ASKED.question, -1)], (0,), "incorrect", sample=8)
    run = write_run(tmp_path / "run", [*two(), empty, silent])
    with (run / "traces-00000.jsonl").open("a") as out:
        lost = {**json.loads(whole(ASKED, [], (), sample=9).to_line()), "path": [3, 4]}
        out.write(json.dumps(lost) + "\n{broken\n")
    found = select([run], Selecting())
    assert len(found) == 1
    assert found.report.dropped_traces == {"without a last reply": 2}


def test_step_and_correction_pairs_come_from_runs_too(tmp_path: Path) -> None:
    nudges = ["Are you sure?"]
    traces = [trace(ASKED, ["a", "yes", "blue"], nudges=nudges),
              trace(ASKED, ["a", "no", "red"], "incorrect", sample=1, nudges=nudges)]  # fmt: skip
    for unit in ("step", "correction"):
        (row,) = chosen(tmp_path / unit, traces, unit=unit)
        assert (row["prompt"][-1]["content"], row["unit"]) == ("Are you sure?", unit)
        assert (row["chosen"], row["rejected"]) == ([{"role": "assistant", "content": "yes"}],
                                                    [{"role": "assistant", "content": "no"}])  # fmt: skip


def test_a_report_stands_beside_the_file_and_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    found = chosen(tmp_path, two())
    found.write(tmp_path / "out" / "pairs.jsonl")
    assert [json.loads(line) for line in (tmp_path / "out" / "pairs.jsonl").read_text().splitlines()] == list(found)
    report = json.loads(report_path(tmp_path / "out" / "pairs.jsonl").read_text())
    assert (report["rows"], report["sizes"][0]["in_band"]) == (1, 1)
    for place in (tmp_path / "run", tmp_path / "run" / "run.json" / "x", Path()):
        with pytest.raises(SetupError, match="--out"):
            found.write(place)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["pairs.jsonl", "pairs.jsonl.report.json"]
    assert not list(tmp_path.rglob("*.tmp"))


def test_sft_takes_what_is_always_solved_and_kto_what_never_is(tmp_path: Path) -> None:
    traces = [trace(ASKED, ["blue"]), trace(problem("Else?", "x"), ["y"], "incorrect")]
    assert [row["answer"] for row in chosen(tmp_path / "a", traces, format="sft")] == ["blue"]
    assert {row["label"] for row in chosen(tmp_path / "b", traces, format="kto")} == {True, False}
    with pytest.raises(SetupError, match="No rows"):
        chosen(tmp_path / "c", traces, format="sft", band_only=True)
