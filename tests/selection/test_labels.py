"""Step labels: what a searched tree says of every reply, and what it does not."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import load_prompts
from openstrawberry.selection.export import Row
from openstrawberry.selection.labels import fill, paths
from openstrawberry.selection.options import Selecting
from openstrawberry.selection.picking import sure_texts
from openstrawberry.selection.select import Selection, select
from openstrawberry.store.reading import Shelf
from openstrawberry.strategies.omega import Omega
from openstrawberry.strategies.strategy import Task
from openstrawberry.trace import Trace, Turn, turn_of
from tests.selection.making import HELD_OUT, SUMS, SYSTEM, problem, sum_problem, trace, turn, whole, write_run
from tests.strategies.playing import play
from tests.strategies.test_omega import Slipping

ASKED = problem(difficulty=6.0)


def searching(folder: Path, traces: Iterable[Trace]) -> Path:
    """A run of omega with these traces."""
    return write_run(folder, traces, "omega/brief")


def rows(folder: Path, *traces: Trace, **options: Any) -> list[Row]:
    return list(select([searching(folder / "run", traces)], Selecting(format="prm", **options)))


def reply(content: str, parent: int, visits: int = 0, value: float = 0.0) -> Turn:
    return turn("assistant", content, parent, "m", visits=visits, value=value)


def tree(*branches: tuple[Turn, ...]) -> Trace:
    """A question of value 0.5, and branches below it; a reply's parent counts from the branch's first turn."""
    turns = [turn("system", SYSTEM, -1), turn("user", ASKED.question, 0, visits=4, value=0.5)]
    for branch in branches:
        start = len(turns)
        turns += [each.model_copy(update={"parent": 1 if each.parent < 0 else start + each.parent}) for each in branch]
    return whole(ASKED, turns, (0, 1, 2), status="incorrect")


def searched(item: Any = None, length: int = 7, bad: int = 4, **options: Any) -> Trace:
    """A trace made by the search itself, whose solver slips at a known step."""
    asked = sum_problem(item) if item else ASKED
    answer = {"3": asked.answer, "4": "wrong"}
    slipping = Slipping(length, bad)

    def says(ask: Any) -> str:
        said = slipping(ask)
        for mark, text in answer.items():
            said = said.replace(f"<final_answer>{mark}<", f"<final_answer>{text}<")
        return said

    task = Task(asked, load_prompts("omega", "brief", uses=["strawberry"]))
    given = play(Omega(**options), task, says)
    turns = [turn_of(node).model_copy(update={"model": "m" if node.reply else ""}) for node in task.tree.nodes]
    path = tuple(node.index for node in given.node.path())
    return whole(asked, turns, path, "incorrect", answer=given.text)


def test_a_row_is_the_question_its_replies_and_what_each_was_worth(tmp_path: Path) -> None:
    made = tree(
        (
            reply("up", -1, visits=4, value=0.75),
            turn("user", "Next?", 0),
            reply("down", 1, visits=4, value=0.0),
            turn("user", "And?", 2),
            reply("<final_answer>red</final_answer>", 3, visits=1),
        )
    )
    assert rows(tmp_path, made) == [
        {
            "prompt": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ASKED.question}],
            "completions": ["up", "down", "<final_answer>red</final_answer>"],
            "asked": ["", "Next?", "And?"],
            "labels": [True, False, False],
            "values": [0.75, 0.0, 0.0],
            "visits": [4, 4, 1],
            "problem": ASKED.id,
            "question": ASKED.question,
            "answer": "blue",
            "source": "test",
            "difficulty": 6.0,
            "family": "",
            "size": 0,
            "trace": made.id,
            "steps": 3,
        }
    ]


@pytest.mark.parametrize(
    ("question", "known", "found"),
    [
        (0.5, [0.25, 0.0], [0.25, 0.0]),
        (0.5, [None, 1.0], [0.75, 1.0]),
        (0.5, [None, None, 0.0], []),
        (0.5, [1.0, None, None, 0.0, 0.0], [1.0]),
        (0.5, [0.5, 0.0, None, None, 0.0], [0.5, 0.0, 0.0, 0.0, 0.0]),
        (0.5, [0.5, None], [0.5]),
        (None, [None, 0.5], [0.5, 0.5]),
        (None, [None, 0.0], []),
        (0.0, [None, 0.0], [0.0, 0.0]),
        (0.5, [], []),
    ],
)
def test_what_nobody_measured_is_concluded_or_left_off(
    question: float | None, known: list[float | None], found: list[float]
) -> None:
    assert fill(question, known) == pytest.approx(found)


@pytest.mark.parametrize("mode", ["binary", "all"])
@pytest.mark.parametrize("bad", [0, 1, 4, 6])
def test_a_search_labels_the_known_slip_as_the_first_bad_step(tmp_path: Path, mode: str, bad: int) -> None:
    found = rows(tmp_path, searched(bad=bad, mode=mode, max_branches=200), per_problem=100)
    wrong = [row for row in found if row["completions"][-1] == "<final_answer>wrong</final_answer>"]
    assert wrong
    for row in wrong:
        first = next(number for number, text in enumerate(row["completions"]) if text.startswith("slip"))
        assert (first, row["labels"]) == (bad, [True] * bad + [False] * (8 - bad))
    right = [row for row in found if row["labels"][-1]]
    assert right
    assert all(all(row["labels"]) and row["values"][-1] == 1.0 for row in right)


@pytest.mark.parametrize("mode", ["binary", "all"])
def test_no_row_begins_in_the_middle_of_a_solution_and_none_is_the_beginning_of_another(
    tmp_path: Path, mode: str
) -> None:
    made = searched(mode=mode, max_branches=200)
    found = rows(tmp_path, made, per_problem=1000, near=1)
    assert len(found) > 8
    conversations = set()
    for index, each in enumerate(made.messages):
        turns, at = [each], index
        while (at := made.messages[at].parent) >= 0:
            turns.append(made.messages[at])
        conversations.add(tuple((one.role, one.content) for one in reversed(turns)))
    told = []
    for row in found:
        turns = [(each["role"], each["content"]) for each in row["prompt"]]
        for asked, said in zip(row["asked"], row["completions"], strict=True):
            turns += [("user", asked)] * bool(asked) + [("assistant", said)]
        assert tuple(turns) in conversations
        assert (turns[0][0], turns[1][1].startswith(ASKED.question)) == ("system", True)
        assert len({len(row[key]) for key in ("completions", "asked", "labels", "values", "visits")}) == 1
        told.append(turns)
    assert not any(one is not other and other[: len(one)] == one for one in told for other in told)


def test_a_wrong_rollout_that_was_not_searched_gives_no_row(tmp_path: Path) -> None:
    made = searched(searches=0)
    assert {row["labels"][-1] for row in rows(tmp_path, made)} == {True}
    assert len(paths(made)) == 3


def test_a_zero_does_not_stand_where_a_right_rollout_came_through_after_all() -> None:
    unlucky = tree(
        (
            reply("up", -1, visits=4, value=0.0),
            turn("user", "Next?", 0),
            reply("<final_answer>blue</final_answer>", 1, visits=1, value=1.0),
        )
    )
    (path,) = paths(unlucky)
    assert (path.values, path.visits) == ((0.75, 1.0), (0, 1))


def test_the_same_words_after_the_same_words_have_one_value() -> None:
    twice = tree(
        (reply("up", -1, visits=2, value=0.5), turn("user", "Next?", 0), reply("so", 1, visits=1, value=1.0)),
        (reply("up", -1, visits=8, value=0.25), turn("user", "Next?", 0), reply("no", 1, visits=1, value=0.0)),
        (reply("up", -1), turn("user", "Next?", 0), reply("no", 1, visits=1, value=0.0)),
    )
    assert [(path.values, path.visits) for path in paths(twice)] == [((0.25, 0.0), (8, 1)), ((0.25, 1.0), (8, 1))]


def test_a_problem_that_is_never_solved_says_nothing_about_its_steps(tmp_path: Path) -> None:
    hopeless = tree((reply("red", -1, visits=1),))
    turns = [each.model_copy(update={"value": 0.0}) for each in hopeless.messages]
    with pytest.raises(SetupError, match=r"without any step of worth\).*ask easier problems"):
        rows(tmp_path, hopeless.model_copy(update={"messages": tuple(turns)}))
    assert len(paths(hopeless)) == 1


# Ordinary samples.


def sampled(folder: Path, *traces: Trace, **options: Any) -> Selection:
    """What becomes of a run of ordinary samples."""
    return select([write_run(folder / "run", traces)], Selecting(format="prm", **options))


def three(asked: Problem = ASKED) -> list[Trace]:
    """A right sample, a wrong one that leaves it after the first reply, and one that leaves it after the second."""
    return [
        trace(asked, ["up", "so", "<final_answer>blue</final_answer>"]),
        trace(asked, ["up", "no", "<final_answer>red</final_answer>"], "incorrect", sample=1),
        trace(asked, ["up", "so", "<final_answer>grey</final_answer>"], "incorrect", sample=2),
    ]


def labelled(found: Iterable[Row]) -> dict[str, tuple[list[bool], list[float], list[int]]]:
    """Labels, values and visits, by the last word of each row."""
    return {row["completions"][-1]: (row["labels"], row["values"], row["visits"]) for row in found}


def test_samples_of_a_problem_are_rollouts_from_what_they_share(tmp_path: Path) -> None:
    found = sampled(tmp_path, *three())
    third = round(1 / 3, 6)
    assert labelled(found) == {
        "<final_answer>blue</final_answer>": ([True, True, True], [third, 0.5, 1.0], [3, 2, 1]),
        "<final_answer>red</final_answer>": ([True, False, False], [third, 0.0, 0.0], [3, 1, 1]),
        "<final_answer>grey</final_answer>": ([True, True, False], [third, 0.5, 0.0], [3, 2, 1]),
    }
    (first, *_) = found
    assert first["prompt"] == [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ASKED.question}]
    assert first["asked"] == ["", "Next?", "Next?"]
    assert set(first) == set(rows(tmp_path / "searched", searched())[0])


def test_what_was_asked_another_question_shares_nothing_more(tmp_path: Path) -> None:
    right, wrong, _ = three()
    other = trace(ASKED, ["up", "so", "<final_answer>red</final_answer>"], "incorrect", sample=1, nudges=["And?"])
    assert [row["values"] for row in sampled(tmp_path, right, other)] == [[0.5, 1.0, 1.0], [0.5, 0.0, 0.0]]
    assert wrong.id == other.id


def test_a_problem_with_one_outcome_only_tells_how_hard_it_is(tmp_path: Path) -> None:
    easy, hard = problem("Which colour has snow?", "white"), problem("Which colour has a dream?", "none")
    right = [trace(easy, [f"so {word}", "<final_answer>white</final_answer>"], name=word) for word in ("one", "two")]
    wrong = [trace(hard, [f"so {word}", "red"], "incorrect", name=word) for word in ("three", "four")]
    found = sampled(tmp_path / "a", *three(), *right, *wrong)
    assert {row["problem"] for row in found} == {ASKED.id}
    assert found.report.dropped_problems == {"always right": 1, "never right": 1}
    assert sampled(tmp_path / "b", *three(), *right, *wrong, band_only=False).report.problems_used == 2
    with pytest.raises(SetupError, match=r"1 always right.*--samples 20"):
        sampled(tmp_path / "c", *right)


def test_samples_that_prove_nothing_count_for_nothing(tmp_path: Path) -> None:
    void = [
        trace(ASKED, ["up", "so", "hm"], "no_answer", "max_turns", sample=3),
        trace(ASKED, ["up", "<final_answer>x</final_answer>"], "unknown", sample=4),
        trace(ASKED, ["up", "<final_answer>x</final_answer>"], "incorrect", "budget", sample=5),
    ]
    found = sampled(tmp_path, *three(), *void)
    assert labelled(found) == labelled(sampled(tmp_path / "without", *three()))
    assert found.report.dropped_traces == {"unfinished, unknown or failed: never learnt from": 3}


def test_examples_are_no_steps_and_what_a_critic_says_aside_is_no_value(tmp_path: Path) -> None:
    def shown(sample: int, answer: str, status: str) -> Trace:
        turns = [turn("user", "2+2?", -1), turn("assistant", "4", 0), turn("user", ASKED.question, 1),
                 turn("assistant", answer, 2, "m"), turn("user", "Judge.", -1, channel="critic"),
                 turn("assistant", "good", 4, "m", channel="critic", visits=1, value=0.9)]  # fmt: skip
        return whole(ASKED, turns, (0, 1, 2, 3), status, sample=sample)

    found = list(sampled(tmp_path, shown(0, "blue", "correct"), shown(1, "red", "incorrect")))
    assert [(len(row["prompt"]), row["completions"], row["values"]) for row in found] == [
        (3, ["blue"], [1.0]), (3, ["red"], [0.0]),
    ]  # fmt: skip


def test_every_member_of_a_vote_is_a_sample(tmp_path: Path) -> None:
    turns = [turn("user", ASKED.question, -1)]
    for word in ("blue", "red", "blue, surely", "green"):
        turns.append(turn("assistant", f"<final_answer>{word.partition(',')[0]}</final_answer>" + word[4:], 0, "m"))
    voted = whole(ASKED.model_copy(update={"verifier": "exact"}), turns, (0, 1), answer="blue")
    found = select([write_run(tmp_path / "run", [voted], "vote/brief")], Selecting(format="prm"))
    assert sorted(row["labels"][-1] for row in found) == [False, False, True, True]


@pytest.mark.parametrize(
    ("strategy", "options", "checked"),
    [
        ("omega", {}, True),
        ("journey", {}, True),
        ("mcts", {"value": "check"}, True),
        ("mcts", {}, False),
        ("mcts", {"value": "rollouts"}, False),
        ("beam", {"value": "judge"}, False),
        ("vote", {"base": "omega"}, True),
        ("vote", {"base": "omega", "weight": "prm"}, False),
        ("vote", {"weight": "judge"}, False),
        ("gone", {}, False),
    ],
)
def test_only_values_that_the_known_answer_decided_are_labels(
    tmp_path: Path, strategy: str, options: dict[str, Any], checked: bool
) -> None:
    made = searched()
    run = write_run(tmp_path / "run", [made], f"{strategy}/brief", **options)
    if checked:
        assert list(select([run], Selecting(format="prm"))) == rows(tmp_path / "omega", made)
        return
    with pytest.raises(SetupError, match=r"1 valued without the known answer\): .*--strategy omega"):
        select([run], Selecting(format="prm"))
    both = select([run, searching(tmp_path / "b", [searched(SUMS[0])])], Selecting(format="prm"))
    assert both.report.dropped_traces == {"valued without the known answer": 1}
    assert both.report.problems_used == 1


def test_side_conversations_and_examples_are_no_steps() -> None:
    given = [turn("user", "2+2?", -1), turn("assistant", "4", 0), turn("user", ASKED.question, 1, visits=4, value=0.5)]
    said = [*given, reply("blue", 2, visits=1, value=1.0), turn("user", "Judge.", -1, channel="critic"),
            turn("assistant", "good", 4, "m", channel="critic", visits=3, value=0.9)]  # fmt: skip
    (path,) = paths(whole(ASKED, said, (0, 1, 2, 3)))
    assert (path.given, path.values, path.leaf) == (3, (1.0,), 3)


def test_the_most_telling_paths_are_taken_first_and_so_many_of_each_kind(tmp_path: Path) -> None:
    made = searched(mode="all", max_branches=500)
    found = rows(tmp_path / "a", made, per_problem=2, near=1)
    assert [row["labels"][-1] for row in found] == [True, True, False, False]
    assert all(row["labels"][0] for row in found)
    assert len(rows(tmp_path / "b", made, per_problem=1)) == 2


def test_no_size_outweighs_the_others(tmp_path: Path) -> None:
    many = [searched(item, mode="all", max_branches=100) for item in SUMS[:4]]
    run = searching(tmp_path / "run", [*many, searched()])
    found = select([run], Selecting(format="prm", per_problem=8, balance=0.5))
    assert found.report.dropped_rows["beyond the balance of sizes"] > 0
    assert {row["size"] for row in found} == {0, 2}


def test_what_is_evaluated_or_held_out_stays_out(tmp_path: Path) -> None:
    traces = [searched(item) for item in (SUMS[0], SUMS[1], HELD_OUT)]
    evaluation = tmp_path / "evaluation.jsonl"
    evaluation.write_text(json.dumps({"question": SUMS[0].question(), "answer": "1"}))
    run = searching(tmp_path / "run", traces)
    options = Selecting(format="prm", evaluation=(str(evaluation),))
    with pytest.raises(SetupError, match="--drop-evaluated"):
        select([run], options)
    found = select([run], options.model_copy(update={"drop_evaluated": True}))
    assert {row["question"] for row in found} == {SUMS[1].question()}
    assert {(row["family"], row["size"]) for row in found} == {("add", 2)}


def test_a_trace_that_stands_in_two_runs_is_labelled_once(tmp_path: Path) -> None:
    made = searched()
    runs = [searching(tmp_path / name, [made]) for name in ("a", "b")]
    found = select(runs, Selecting(format="prm"))
    assert len(found) == len(select(runs[:1], Selecting(format="prm")))
    assert len({json.dumps(row) for row in found}) == len(found)


@pytest.mark.parametrize(
    ("options", "advice"),
    [({"rendering": "flat"}, "leave it out"), ({"clean": True}, "leave it out"), ({"unit": "step"}, "--unit out")],
)
def test_options_without_meaning_are_refused(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(SetupError, match=advice):
        Selecting(format="prm", **options)


@pytest.mark.parametrize(
    ("prompts", "found"), [("strawberry/brief", True), ("omega/brief", True), ("cot/brief", False)]
)
def test_doubts_are_known_also_where_another_strategy_raised_them(tmp_path: Path, prompts: str, found: bool) -> None:
    shelf = Shelf(write_run(tmp_path / "run", [searched()], prompts))
    assert sure_texts(shelf) == (load_prompts("strawberry", "brief").pool("sure") if found else [])
