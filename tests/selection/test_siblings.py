"""Pairs of single turns: what branches off a shared beginning."""

from collections.abc import Sequence

import pytest

from openstrawberry.problems.problem import Problem
from openstrawberry.problems.procedures import check, final, lines
from openstrawberry.selection.candidates import Pick
from openstrawberry.selection.siblings import grow, leaf_outcome, leaves, step_pairs
from openstrawberry.trace import Trace
from tests.selection.making import SUMS, offered, problem, sum_problem, trace, turn, whole

ASKED = problem()
SURE = "Are you sure?"
ITEM = SUMS[0]
SUM = sum_problem(ITEM)


def pairs(
    traces: Sequence[Trace], unit: str = "step", by_steps: bool = False, asked: Problem = ASKED, skewed: bool = True
) -> list[tuple[Pick, str, str, str]]:
    """Each pair with the text of the user turn, the chosen and the rejected reply."""
    tree = grow([leaf for one in traces for leaf in leaves(offered(one), one)])
    found = step_pairs(asked.question, asked.id, ("", 0.0), tree, unit, {SURE}, by_steps, skewed)  # type: ignore[arg-type]
    return [(pick, user[1], chosen[1], rejected[1]) for pick, user, chosen, rejected in found]


def texts(*arguments: object, **fields: object) -> list[tuple[str, str, str]]:
    return [(user, chosen, rejected) for _, user, chosen, rejected in pairs(*arguments, **fields)]  # type: ignore[arg-type]


def test_two_replies_to_the_same_conversation_pair_up() -> None:
    made = pairs(
        [trace(ASKED, ["same", "left", "blue"]), trace(ASKED, ["same", "right", "red"], "incorrect", sample=1)]
    )
    ((pick, user, chosen, rejected),) = made
    assert (user, chosen, rejected, pick.prompt) == ("Next?", "left", "right", 4)
    assert (pick.chosen.entry.sample, pick.rejected.entry.sample) == (0, 1)


def test_nothing_pairs_up_once_the_user_said_something_else() -> None:
    right = trace(ASKED, ["same", "left"], nudges=["Next?"])
    assert texts([right, trace(ASKED, ["same", "right"], "incorrect", sample=1, nudges=["Go on."])]) == []
    assert texts([right, trace(ASKED, ["same", "right"], "incorrect", sample=1, system=None)]) == []


def test_a_reply_that_sometimes_came_out_right_is_never_rejected() -> None:
    mixed = [trace(ASKED, ["a", "x"]), trace(ASKED, ["a", "y"], "incorrect", sample=1), trace(ASKED, ["b"], sample=2)]
    assert texts(mixed) == [("Next?", "x", "y")]


def test_the_reply_with_most_evidence_is_taken() -> None:
    made = [trace(ASKED, ["good", str(n)], sample=n) for n in range(2)] + [trace(ASKED, ["fair"], sample=2)]
    made += [trace(ASKED, ["bad"], "incorrect", sample=3)]
    made += [trace(ASKED, ["worst", str(n)], "incorrect", sample=n) for n in (4, 5)]
    assert texts(made) == [(ASKED.question, "good", "worst")]


def test_the_skew_names_the_shortest_right_and_the_longest_wrong_trace() -> None:
    made = [trace(ASKED, ["good", *"ab"]), trace(ASKED, ["good"], sample=1)]
    made += [trace(ASKED, ["bad"], "incorrect", sample=2), trace(ASKED, ["bad", *"ab"], "incorrect", sample=3)]
    for skewed, expected in ((True, (1, 3)), (False, (0, 2))):
        ((pick, *_),) = pairs(made, skewed=skewed)
        assert (pick.chosen.entry.sample, pick.rejected.entry.sample) == expected


@pytest.mark.parametrize(
    ("status", "stop"),
    [("unknown", "final_answer"), ("timeout", "final_answer"), ("incorrect", "truncated"), ("no_answer", "max_turns"),
     ("unknown", "error"), ("no_answer", "budget")],
)  # fmt: skip
def test_what_did_not_end_in_a_judged_answer_is_never_rejected(status: str, stop: str) -> None:
    assert texts([trace(ASKED, ["a"]), trace(ASKED, ["b"], status, stop, sample=1)]) == []  # type: ignore[arg-type]


def tree(answers: dict[str, str], asked: Problem = ASKED) -> Trace:
    """A search: the first reply is shared, then one branch per answer; the first answer is the trace's own."""
    turns = [turn("user", asked.question, -1), turn("assistant", "think", 0, "m"), turn("user", "Next?", 1)]
    turns += [turn("assistant", f"{words} <final_answer>{answer}</final_answer>", 2, "m")
              for words, answer in answers.items()]  # fmt: skip
    return whole(asked, turns, (0, 1, 2, 3), answer=next(iter(answers.values())))


def test_the_branches_of_a_search_pair_up() -> None:
    ((pick, user, chosen, rejected),) = pairs([tree({"so": "blue", "or": "red"})])
    assert (user, chosen) == ("Next?", "so <final_answer>blue</final_answer>")
    assert rejected == "or <final_answer>red</final_answer>"
    assert (pick.chosen.leaf, pick.rejected.leaf, pick.rejected.steps) == (-1, 4, 2)
    assert pick.chosen.entry.id == pick.rejected.entry.id


def test_side_conversations_are_no_branches() -> None:
    one = tree({"so": "blue"})
    critic = turn("assistant", "<final_answer>red</final_answer>", 2, "m", channel="critic")
    assert texts([one.model_copy(update={"messages": (*one.messages, critic)})]) == []


@pytest.mark.parametrize(
    ("verifier", "known", "said", "expected"),
    [
        ("exact", "blue", "<final_answer>Blue.</final_answer>", "right"),
        ("exact", "blue", "<final_answer>red</final_answer>", "wrong"),
        ("exact", "blue", "still thinking", "other"),
        ("numeric", "0.5", "<final_answer>1/2</final_answer>", "right"),
        ("numeric", "0.5", "<final_answer>0.51</final_answer>", "wrong"),
        ("numeric", "0.5", "<final_answer>half</final_answer>", "void"),
        ("math", "x+1", "<final_answer>1+x</final_answer>", "void"),
        ("choice", "B", "<final_answer>C</final_answer>", "void"),
    ],
)
def test_a_leaf_without_a_verdict_is_judged_only_where_that_can_be_decided(
    verifier: str, known: str, said: str, expected: str
) -> None:
    asked = problem(answer=known, verifier=verifier)
    assert leaf_outcome(whole(asked, [turn("user", "?", -1)], (0,), answer="own"), said) == expected


def test_a_leaf_that_says_what_the_trace_says_has_its_verdict() -> None:
    asked = problem(answer="x+1", verifier="math")
    for status, expected in (("correct", "right"), ("incorrect", "wrong"), ("timeout", "void")):
        one = whole(asked, [turn("user", "?", -1)], (0,), status, answer="1+x")
        assert leaf_outcome(one, "<final_answer>1+x</final_answer>") == expected


STEPS = lines(ITEM)
WRONG = STEPS[1].replace("got ", "got 9")


def test_where_the_task_knows_its_steps_only_a_wrong_step_is_rejected() -> None:
    right = trace(SUM, [*STEPS[:-1], final(ITEM)])
    slip = trace(SUM, [STEPS[0], WRONG, "<final_answer>1</final_answer>"], "incorrect", sample=1)
    harmless = trace(
        SUM, [STEPS[0], STEPS[1], check(STEPS[1]), "<final_answer>1</final_answer>"], "incorrect", sample=2
    )
    assert texts([right, slip], asked=SUM, by_steps=True) == [("Next?", STEPS[1], WRONG)]
    assert check(STEPS[1]) in {rejected for _, _, rejected in texts([right, harmless], asked=SUM)}
    assert texts([right, harmless], asked=SUM, by_steps=True) == []


def doubted(replies: list[str], sample: int, status: str = "correct") -> Trace:
    """A trace in which the user doubts the second reply."""
    return trace(SUM, replies, status, sample=sample, nudges=["Next?", SURE])


def test_a_doubt_that_spoilt_a_right_step_is_rejected() -> None:
    kept = doubted([*STEPS[:2], check(STEPS[1]), *STEPS[2:-1], final(ITEM)], 0)
    spoilt = doubted([*STEPS[:2], check(WRONG), "<final_answer>1</final_answer>"], 1, "incorrect")
    assert texts([kept, spoilt], "correction", True, SUM) == [(SURE, check(STEPS[1]), check(WRONG))]


def test_a_doubt_that_repaired_a_wrong_step_is_chosen() -> None:
    repaired = doubted([STEPS[0], WRONG, check(STEPS[1]), *STEPS[2:-1], final(ITEM)], 0)
    kept = doubted([STEPS[0], WRONG, check(WRONG), "<final_answer>1</final_answer>"], 1, "incorrect")
    assert texts([repaired, kept], "correction", True, SUM) == [(SURE, check(STEPS[1]), check(WRONG))]


def test_elsewhere_the_outcomes_of_siblings_decide_about_a_doubt() -> None:
    right = trace(ASKED, ["a", "yes", "blue"], nudges=[SURE])
    wrong = trace(ASKED, ["a", "no", "red"], "incorrect", sample=1, nudges=[SURE])
    assert texts([right, wrong], "correction") == [(SURE, "yes", "no")]
    assert texts([trace(ASKED, ["a", "yes"]), trace(ASKED, ["a", "no"], "incorrect", sample=1)], "correction") == []


def test_a_very_long_trace_needs_no_recursion() -> None:
    words = [f"step {number}" for number in range(2000)]
    made = [trace(ASKED, [*words, "blue"]), trace(ASKED, [*words, "red"], "incorrect", sample=1)]
    assert texts(made) == [("Next?", "blue", "red")]


def test_a_turn_that_stands_elsewhere_as_a_copy_is_no_branch_of_its_own() -> None:
    came = [
        turn("user", ASKED.question, -1),
        turn("assistant", "<think>t</think><final_answer>blue</final_answer>", 0, model="m"),
        turn("assistant", "<final_answer>blue</final_answer>", 0, model="m", copy_of=1, reasoning="t"),
    ]
    one = whole(ASKED, came, (0, 2))
    assert [leaf.source.leaf for leaf in leaves(offered(one), one)] == [-1]


def test_what_was_said_with_a_hint_is_no_branch() -> None:
    said = [
        turn("user", ASKED.question, -1),
        turn("assistant", "<final_answer>red</final_answer>", 0, model="m"),
        turn("user", "It is blue. " + ASKED.question, -1, channel="hint"),
        turn("assistant", "<final_answer>blue</final_answer>", 2, model="m", channel="hint"),
    ]
    one = whole(ASKED, said, (0, 1), "incorrect")
    assert [leaf.turns[0][1] for leaf in leaves(offered(one), one)] == [ASKED.question]
