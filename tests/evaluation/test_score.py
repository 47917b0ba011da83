import asyncio
import json
from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.evaluation.rows import Row
from openstrawberry.evaluation.score import score
from openstrawberry.problems.families import Addition
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.procedures import final, lines
from openstrawberry.stats import wilson
from openstrawberry.trace import Tokens, Trace
from tests.evaluation.rows import problem, trace, write_run


def scored(folder: Path, traces: list[Trace], **asked: object) -> Row:
    return score([asyncio.run(write_run(folder / "run", traces))], **asked)  # type: ignore[arg-type]


def test_shares_have_wilson_intervals_when_each_problem_was_asked_once(tmp_path: Path) -> None:
    row = scored(tmp_path, [trace(problem(n), mark) for n, mark in enumerate("+++-0")])
    found = row.overall
    assert found.accuracy is not None
    assert (found.accuracy.mean, found.accuracy.low, found.accuracy.high) == (0.6, *wilson(3, 5))
    assert (found.problems, found.traces, found.no_answer, found.excluded) == (5, 5, 0.2, {})
    assert (row.name, row.model, row.method) == ("scripted:m strawberry", "scripted:m", "strawberry")


def test_what_says_nothing_about_the_model_is_not_counted_as_wrong(tmp_path: Path) -> None:
    found = scored(tmp_path, [trace(problem(n), mark) for n, mark in enumerate("+-!?t")]).overall
    assert found.accuracy is not None
    assert found.accuracy.mean == 0.5
    assert (found.problems, found.excluded) == (2, {"error": 1, "timeout": 1, "unknown": 1})


def test_a_row_of_errors_alone_has_no_accuracy(tmp_path: Path) -> None:
    found = scored(tmp_path, [trace(problem(0), "!"), trace(problem(1))], only={problem(0).id}).overall
    assert (found.accuracy, found.no_answer, found.steps) == (None, None, None)


def test_pass_and_majority_of_several_samples(tmp_path: Path) -> None:
    traces = [trace(problem(0), mark, n) for n, mark in enumerate("+---")]
    traces += [trace(problem(1), mark, n) for n, mark in enumerate("+++-")]
    found = scored(tmp_path, traces, ks=(1, 2, 4, 9)).overall
    assert found.accuracy is not None
    assert found.accuracy.mean == 0.5
    assert {k: round(value.mean, 4) for k, value in found.pass_at.items()} == {1: 0.5, 2: 0.75, 4: 1.0}
    assert {k: round(value.mean, 4) for k, value in found.majority_at.items()} == {1: 0.5, 2: 0.5, 4: 0.5}


def test_only_the_samples_and_problems_asked_for_count(tmp_path: Path) -> None:
    traces = [trace(problem(n), "+-"[sample], sample) for n in range(3) for sample in range(2)]
    found = scored(tmp_path, traces, samples=1, only={problem(0).id, problem(2).id}).overall
    assert found.accuracy is not None
    assert (found.accuracy.mean, found.problems, found.traces) == (1.0, 2, 2)


def test_unknown_tokens_and_dollars_stay_unknown(tmp_path: Path) -> None:
    found = scored(tmp_path, [trace(problem(0))]).overall
    assert (found.tokens_in, found.tokens_out, found.dollars) == (None, None, None)


def test_tokens_are_per_trace_and_dollars_a_sum_that_includes_what_failed(tmp_path: Path) -> None:
    usage = Tokens(input=10, output=4)
    traces = [trace(problem(0), usage=usage, cost=0.5), trace(problem(1), usage=Tokens(input=20, output=8), cost=0.25)]
    row = scored(tmp_path / "a", [*traces, trace(problem(2), "!", cost=1.0)])
    assert (row.overall.tokens_in, row.overall.tokens_out, row.overall.dollars) == (15, 6, 1.75)
    assert row.overall.seconds == 2
    partly = scored(tmp_path / "b", [*traces, trace(problem(2))])
    assert partly.overall.dollars is None


def stepwise(said: list[str], mark: str = "+") -> Trace:
    item = Addition(5, 4)
    return trace(Problem(question=item.question(), answer="9", verifier="numeric"), mark, said=said)


def test_a_right_answer_after_a_wrong_step_is_not_clean(tmp_path: Path) -> None:
    item = Addition(5, 4)
    right = [*lines(item), final(item)]
    assert scored(tmp_path / "a", [stepwise(right)]).overall.clean is not None
    clean = scored(tmp_path / "a", [stepwise(right)])
    lucky = scored(tmp_path / "b", [stepwise([right[0], "5+4+0=8. Left 0+0, carry 0, got 8", *right[2:]])])
    assert clean.overall.clean is not None
    assert lucky.overall.clean is not None
    assert (clean.overall.clean.mean, lucky.overall.clean.mean) == (1.0, 0.0)
    assert (clean.overall.clean_steps, lucky.overall.clean_steps) == (len(right), None)
    assert (clean.outcomes[0].clean, clean.outcomes[0].clean_steps) == (1, len(right))


def test_cleanliness_is_unknown_where_no_steps_are_told(tmp_path: Path) -> None:
    row = scored(tmp_path / "a", [stepwise(["<final_answer>9</final_answer>"])])
    assert (row.overall.clean, row.outcomes[0].clean) == (None, -1)
    assert scored(tmp_path / "b", [trace(problem(0))]).overall.clean is None


def test_sizes_are_told_apart_by_family_and_difficulty(tmp_path: Path) -> None:
    traces = [trace(problem(n, "add", 1 + n % 2), "+-"[n % 2]) for n in range(8)]
    row = scored(tmp_path, traces)
    assert [(group.label, group.measures.problems) for group in row.groups] == [("add 1", 4), ("add 2", 4)]
    assert [group.measures.accuracy.mean for group in row.groups if group.measures.accuracy] == [1.0, 0.0]


def test_a_difficulty_that_every_problem_has_alone_is_no_size(tmp_path: Path) -> None:
    assert scored(tmp_path / "a", [trace(problem(n, size=n)) for n in range(1, 9)]).groups == []
    assert scored(tmp_path / "b", [trace(problem(n, size=3)) for n in range(1, 9)]).groups == []


def test_examples_shown_before_the_question_are_nobodys_steps(tmp_path: Path) -> None:
    shown = trace(problem(0), said=["example", "<final_answer>7</final_answer>"])
    first = shown.messages[1].model_copy(update={"model": ""})
    few_shot = shown.model_copy(update={"messages": (shown.messages[0], first, *shown.messages[2:])})
    assert scored(tmp_path, [few_shot]).overall.steps == 1


def test_a_row_survives_json(tmp_path: Path) -> None:
    row = scored(tmp_path, [trace(problem(n, "add", 1 + n % 2), "+-!"[n % 3], n) for n in range(8)], ks=(1,))
    text = row.model_dump_json()
    assert Row.model_validate_json(text) == row
    assert all(isinstance(outcome, list) for outcome in json.loads(text)["outcomes"])


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no run directory"):
        score([tmp_path])
