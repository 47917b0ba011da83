"""A whole evolution with scripted models: what is kept, with which answer, and what it costs to go on."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from openstrawberry.errors import OutputError, SetupError
from openstrawberry.evolve.book import Candidate
from openstrawberry.evolve.config import Evolving
from openstrawberry.evolve.elimination import REASONS
from openstrawberry.evolve.evolution import Done, Evolution, EvolveEvent, evolve
from openstrawberry.evolve.operators import OPERATORS
from openstrawberry.problems.families import generate, recognise
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_traces
from openstrawberry.store.summary import Summary
from tests.strategies.playing import JUNK

PARENT = Problem(
    question="A shelf holds 4 boxes with 6 pens each. How many pens?",
    answer="24",
    verifier="numeric",
    metadata='{"accepted_answers": ["24", "two dozen"], "tolerance": 0.5}',
)
NEW = "A shelf holds 5 boxes with 7 pens each, and every third pen is blue. How many are not?"
YES = '{"asks_something_new": true, "answerable": true}'
WRITES: list[dict[str, Any]] = [
    {"when": "Problem B:", "say": YES},
    {"when": "new_problem", "say": f"<new_problem>{NEW}</new_problem>"},
]
HELD_OUT = next(generate("add", 2, split="held-out")).question()


def answers(*said: str) -> dict[str, Any]:
    """A line that draws one of these answers by the seed."""
    return {"turns": [[f"<final_answer>{each}</final_answer>" for each in said]]}


class World:
    """Three scripted models, and a place for what they make."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cast(writer={"rules": WRITES[1:]}, solver={"rules": WRITES[:1], **answers("24")})
        self.cast(target=answers("24", "11"))

    def cast(self, **scripts: Any) -> None:
        for part, script in scripts.items():
            (self.folder / f"{part}.yaml").write_text(yaml.safe_dump(script))

    def model(self, part: str) -> str:
        return f"scripted:{self.folder / part}.yaml"

    def evolve(self, problems: Sequence[Problem] = (PARENT,), **more: Any) -> tuple[list[Candidate], Summary]:
        done: list[Candidate] = []

        def hear(event: EvolveEvent) -> None:
            assert isinstance(event, Done)
            done.append(event.candidate)

        settings = {"model": self.model("writer"), "solver_model": self.model("solver")}
        settings |= {"target_model": self.model("target"), "rounds": 1, "out": self.out, "attempts": 1}
        config = Evolving(**{**settings, "operators": ["deepen"], **more})

        async def session() -> Summary:
            evolution = Evolution(config, Settings({}), hear, problems=problems)
            try:
                return await evolution.run()
            finally:
                await evolution.close()

        return done, asyncio.run(session())

    @property
    def out(self) -> Path:
        return self.folder / "new.jsonl"

    @property
    def kept(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines()] if self.out.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_problem_is_written_solved_tried_and_kept_with_its_lineage(world: World) -> None:
    world.evolve()
    (row,) = world.kept
    assert (row["question"], row["answer"], row["verifier"]) == (NEW, "24", "numeric")
    told = json.loads(row["metadata"])["evolved"]
    evidence = told.pop("evidence")
    assert evidence["right"] > 0
    assert evidence["wrong"] > 0
    assert {key: evidence[key] for key in ("answered", "solvers", "votes", "judge", "solver_strategy")} == {
        "answered": "agreement", "solvers": 5, "votes": 5, "judge": "judged", "solver_strategy": "cot"
    }  # fmt: skip
    assert told == {
        "line": PARENT.id,
        "round": 1,
        "operator": "deepen",
        "parent": PARENT.id,
        "root": PARENT.id,
        "examples": [],
        "writer": world.model("writer"),
    }


def test_the_answer_is_never_the_parents_own(world: World) -> None:
    """The original's mutated questions kept the answer of the question that they were made from."""
    world.cast(solver={"rules": WRITES[:1], **answers("24", "25", "26", "27", "28")})
    (lost,), _ = world.evolve()
    assert lost.reason == "no agreement"
    assert lost.problem is not None
    assert (lost.problem.answer, lost.problem.meta()) == ("", {})
    assert not world.kept


def test_nothing_of_the_parents_truth_reaches_the_child(world: World) -> None:
    world.cast(solver={"rules": WRITES[:1], **answers("23")}, target=answers("23", "24"))
    world.evolve()
    (row,) = world.kept
    assert row["answer"] == "23"
    assert set(json.loads(row["metadata"])) == {"evolved"}  # no accepted answers, no tolerance
    for trace in read_traces(world.folder / "new.work"):
        if trace.problem.question == NEW:
            asked = [turn.content for turn in trace.messages if turn.role != "assistant"]
            assert not any("4 boxes" in text or "24" in text for text in asked)


def test_agreement_is_counted_over_all_solvers(world: World) -> None:
    world.cast(solver={"rules": WRITES[:1], **answers("24", "24", "24", "25")})
    votes = {}
    for share in (0.55, 1.0):
        world.out.unlink(missing_ok=True)
        (found,), _ = world.evolve(agree=share, solvers=15, out=world.folder / f"{share}.jsonl")
        votes[share] = found.evidence.votes, found.reason
    assert 0.55 * 15 <= votes[0.55][0] < 15
    assert votes[0.55][1] == ""
    assert votes[1.0] == (votes[0.55][0], "no agreement")


@pytest.mark.parametrize(
    ("target", "reason", "tries"),
    [(answers("24"), "always right", 8), (answers("11"), "never right", 8), (answers("24", "11"), "", None)],
)
def test_only_what_the_target_solves_sometimes_is_kept(
    world: World, target: dict[str, Any], reason: str, tries: int | None
) -> None:
    world.cast(target=target)
    (found,), _ = world.evolve()
    assert found.reason == reason
    assert tries is None or found.evidence.right + found.evidence.wrong == tries
    assert len(world.kept) == (not reason)


def test_without_samples_any_difficulty_is_kept_and_nobody_tries(world: World) -> None:
    world.cast(target={"replies": [{"error": "auth"}]})
    (found,), _ = world.evolve(samples=0)
    assert found.kept
    assert found.evidence.target == ""


def test_what_was_too_easy_is_where_the_next_round_begins(world: World) -> None:
    second = "A shelf holds 5 boxes with 7 pens each, 2 of them are lost. How many pens of each box are left?"
    follow = {"when": f"(?s)new_problem.*{NEW[:40]}", "say": f"<new_problem>{second}</new_problem>"}
    world.cast(writer={"rules": [follow, *WRITES[1:]]}, target=answers("24"))
    first, later = world.evolve(rounds=2)[0]
    assert (first.reason, later.reason) == ("always right", "always right")
    assert first.problem is not None
    assert (later.parent, later.root, later.line) == (first.problem.id, PARENT.id, PARENT.id)


def test_after_an_eliminated_problem_the_line_stays_where_it_was(world: World) -> None:
    world.cast(target=answers("11"))
    first, later = world.evolve(rounds=2)[0]
    assert (first.reason, later.reason) == ("never right", "copy")
    assert later.parent == PARENT.id


@pytest.mark.parametrize(
    ("writes", "reason"),
    [
        ("I'm sorry, I cannot.", "refused"),
        (f"<new_problem>{PARENT.question}</new_problem>", "copy"),
        ("<new_problem>Rewritten: how many pens are on 4 shelves?</new_problem>", "prompt leaked"),
        (f"<new_problem>{HELD_OUT}</new_problem>", "held out"),
    ],
)
def test_reasons_are_counted_and_solvers_are_not_asked(world: World, writes: str, reason: str) -> None:
    world.cast(writer={"rules": [{"say": writes}]}, solver={"rules": WRITES[:1]})
    (found,), summary = world.evolve()
    assert found.reason == reason
    assert not world.kept
    assert summary.replies_asked <= 2


def test_two_lines_that_come_to_the_same_problem_keep_it_once(world: World) -> None:
    others = [PARENT.model_copy(update={"question": f"{number} shelves hold pens?"}) for number in range(4)]
    done, _ = world.evolve([PARENT, *others])
    assert sorted(each.reason for each in done) == ["", "copy", "copy", "copy", "copy"]


def test_a_question_of_a_family_is_computed_and_not_put_to_a_vote(world: World) -> None:
    assert (item := recognise("What is 31 + 41?")) is not None
    assert item.split == "train"
    writes = {"say": "<new_problem>What is 31 + 41?</new_problem>"}
    world.cast(writer={"rules": [writes]}, solver={"rules": WRITES[:1]}, target=answers("72", "7"))
    (found,), _ = world.evolve()
    assert found.problem is not None
    assert (found.problem.answer, found.evidence.answered, found.evidence.solvers) == ("72", "computed", 0)
    assert found.kept


def test_a_fresh_start_sees_other_problems_and_is_its_own_root(world: World) -> None:
    others = [PARENT.model_copy(update={"question": f"Which letter is number {number}?"}) for number in range(6)]
    writes = {"when": "would be at home", "say": f"<new_problem>{NEW}</new_problem>"}
    world.cast(writer={"rules": [writes]})
    done, _ = world.evolve([PARENT, *others], operators=["fresh"])
    (kept,) = [each for each in done if each.kept]
    assert kept.problem is not None
    assert (kept.parent, kept.root, len(kept.examples)) == ("", kept.problem.id, 3)
    assert kept.line not in kept.examples


def test_families_are_evolved_without_any_model_that_writes(world: World) -> None:
    world.cast(writer={"replies": [{"error": "auth"}]}, solver={"replies": [{"error": "auth"}]})
    given = list(load_problems("builtin:add?size=2&n=5&split=train"))
    done, summary = world.evolve(given, samples=0, rounds=2, operators=["deepen", "reason"])
    assert summary.replies_asked == 0
    assert [each.reason for each in done] == [""] * 10
    for each in done:
        assert each.problem is not None
        assert (item := recognise(each.problem.question)) is not None
        assert item.answer == each.problem.answer
        assert each.evidence.answered == "computed"
    again, _ = world.evolve(given, samples=0, rounds=3, operators=["deepen", "reason"])
    assert {each.round for each in again} == {3}


def test_a_next_stage_takes_up_what_was_kept(world: World) -> None:
    given = list(load_problems("builtin:add?size=2&n=3&split=train"))
    config = Evolving(samples=0, rounds=1, operators=["deepen"], out=world.out)
    rung = asyncio.run(evolve(config, Settings({}), problems=given))
    assert [problem.difficulty for problem in rung] == [3.0] * 3
    higher = asyncio.run(
        evolve(config.model_copy(update={"out": world.folder / "next.jsonl"}), Settings({}), problems=rung)
    )
    assert [problem.difficulty for problem in higher] == [4.0] * 3
    assert [problem.meta()["evolved"]["parent"] for problem in higher] == [problem.id for problem in rung]


def test_a_next_stage_is_told_when_something_is_left(world: World) -> None:
    world.cast(target={"replies": [{"error": "bad_request", "status": 400}]})
    config = Evolving(model=world.model("writer"), solver_model=world.model("solver"), rounds=1, operators=["deepen"],
                      target_model=world.model("target"), out=world.out, attempts=1)  # fmt: skip
    with pytest.raises(SetupError, match="scripted failed"):
        asyncio.run(evolve(config, Settings({}), problems=[PARENT]))


def test_a_closed_pipe_ends_the_command_and_loses_nothing(world: World) -> None:
    def broken(event: EvolveEvent) -> None:
        raise BrokenPipeError("nobody listens")

    given = list(load_problems("builtin:add?size=2&n=1&split=train"))
    config = Evolving(samples=0, rounds=1, operators=["deepen"], out=world.out)
    with pytest.raises(OutputError, match="run the same command"):
        asyncio.run(evolve(config, Settings({}), broken, given))
    assert len(world.kept) == 1


def test_the_output_is_what_problems_reads(world: World) -> None:
    done, _ = world.evolve()
    (read,) = load_problems(str(world.out))
    assert done[0].problem is not None
    assert (read.id, read.answer, read.verifier) == (done[0].problem.id, "24", "numeric")


def test_a_repeated_command_pays_for_nothing_and_more_rounds_go_on(world: World) -> None:
    world.evolve()
    before = world.out.read_bytes()
    done, summary = world.evolve()
    assert (done, summary.replies_asked, summary.replies_replayed) == ([], 0, 0)
    done, summary = world.evolve(rounds=2)
    assert [each.round for each in done] == [2]
    assert world.out.read_bytes().startswith(before)


def test_what_was_paid_for_is_replayed_where_the_outcome_was_lost(world: World) -> None:
    done, first = world.evolve(rounds=2)
    assert [each.reason for each in done] == ["", "copy"]
    before = world.out.read_bytes()
    world.out.write_bytes(before[: len(before) // 2])
    _, second = world.evolve(rounds=2)
    assert (second.replies_asked, second.replies_replayed) == (0, first.replies_asked - 1)  # the second round is there
    assert world.out.read_bytes() == before


def test_a_provider_that_fails_on_the_way_leaves_the_line_owed(world: World) -> None:
    fails = {"rules": [{"say": {"error": "server", "status": 500}}]}
    whole = (world.folder / "target.yaml").read_text()
    world.cast(target=fails)
    done, summary = world.evolve()
    assert (done, summary.failed) == ([], 4)
    assert "scripted failed" in summary.first_error
    (world.folder / "target.yaml").write_text(whole)
    done, again = world.evolve()
    assert [each.reason for each in done] == [""]
    assert again.failed == 0
    assert again.replies_replayed == 7  # the problem, the judgement and five solutions


def test_a_budget_that_is_used_up_stops_softly_and_more_goes_on(world: World) -> None:
    given = [PARENT.model_copy(update={"question": f"Shelf {number} holds pens?"}) for number in range(8)]
    small = {"max_tokens": 50, "concurrency": 1, "samples": 0}
    # A scripted model reports no tokens, so every reply counts at its worst.
    done, summary = world.evolve(given, budget_tokens=12_000, **small)
    assert len(done) < 8
    assert "budget" in summary.stopped
    more, again = world.evolve(given, budget_tokens=10_000_000, **small)
    assert len(done) + len(more) == 8
    assert again.stopped == ""


def test_a_command_that_changes_what_counts_is_refused(world: World) -> None:
    world.evolve()
    with pytest.raises(SetupError, match=r"--agree 0\.8 -> 0\.9"):
        world.evolve(agree=0.9)
    with pytest.raises(SetupError, match="--out"):
        world.evolve(target_model=world.model("solver"))


def test_a_file_that_no_evolution_has_made_is_left_alone(world: World) -> None:
    world.out.write_text('{"question": "mine", "answer": 1}\n')
    with pytest.raises(SetupError, match="choose another file with --out"):
        world.evolve()
    assert world.out.read_text() == '{"question": "mine", "answer": 1}\n'
    assert not (world.folder / "new.work").exists()


def test_an_output_that_would_be_its_own_work_folder_is_refused(world: World) -> None:
    with pytest.raises(SetupError, match=r"end --out in \.jsonl"):
        world.evolve(out=world.folder / "new.work")
    assert not (world.folder / "new.work").exists()


def test_a_writer_that_never_works_ends_the_command_and_leaves_nothing(world: World) -> None:
    world.cast(writer={"replies": [{"error": "bad_request", "status": 400}]})
    with pytest.raises(SetupError, match="scripted failed"):
        world.evolve()
    assert not (world.folder / "new.work").exists()
    assert not world.out.exists()


def test_whatever_the_models_write_every_line_comes_to_its_end(world: World) -> None:
    junk = [text for text in JUNK if text.strip()]
    told = [*junk, *(f"<final_answer>{text}</final_answer>" for text in junk), *["<final_answer>7</final_answer>"] * 40]
    problems = [f"<new_problem>{text}</new_problem>" for text in (*junk, *(f"{each} How many?" for each in junk))]
    huge = f"<new_problem>What is {'9' * 5000} + {'8' * 5000}?</new_problem>"
    judge = {"when": "Problem B:", "say": [*junk, *[YES] * 20]}
    scripts = {"writer": {"rules": [{"say": [*problems, huge]}]}, "solver": {"rules": [judge], "turns": [told]}}
    for part, script in {**scripts, "target": {"turns": [told]}}.items():
        (world.folder / f"{part}.json").write_text(json.dumps(script))
    models = {f"{name}model": f"scripted:{world.folder / part}.json" for name, part in
              (("", "writer"), ("solver_", "solver"), ("target_", "target"))}  # fmt: skip
    given = [PARENT.model_copy(update={"question": f"Shelf {number} holds pens?"}) for number in range(30)]
    done, summary = world.evolve(given, rounds=3, operators=list(OPERATORS), agree=0.55, **models)
    assert len(done) == 90
    assert summary.failed == 0
    assert {each.reason for each in done} <= {"", *REASONS}
    assert len({each.reason for each in done}) > 5
    assert [each["id"] for each in world.kept] == [problem.id for problem in load_problems(str(world.out))]


def test_berry_is_not_asked_to_write(world: World) -> None:
    with pytest.raises(SetupError, match="berry can neither write problems nor solve them"):
        world.evolve(model="berry", solver_model=None)
    given = list(load_problems("builtin:add?size=2&n=2&split=train"))
    with pytest.raises(SetupError, match="deepen, reason, broaden, fresh"):
        world.evolve(given, model="berry", solver_model=None, operators=["constrain"])
