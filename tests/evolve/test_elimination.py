"""What can be told of a new problem from its text."""

import pytest

from openstrawberry.chat import Reply
from openstrawberry.evolve.elimination import Known, copied, spoilt, written
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import load_prompts
from openstrawberry.trace import Node, Tree

PROMPTS = load_prompts("evolve", "full")
PARENT = Problem(question="A shelf holds 4 boxes with 6 pens each. How many pens are on it?", answer="24")


def reply(content: str, finish: str = "stop") -> Node:
    said = Reply.model_validate({"content": content, "finish_reason": finish})
    return Tree().add("assistant", content, None, reply=said)


def reason(content: str, finish: str = "stop", parent: str = PARENT.question) -> str | None:
    node = reply(content, finish)
    return spoilt(node, written(node), parent, PROMPTS.pool("refusals"), PROMPTS.pool("leaks"))


def tagged(text: str) -> str:
    return f"<new_problem>{text}</new_problem>"


@pytest.mark.parametrize(
    ("content", "question"),
    [
        ("<new_problem>What is 2 + 2?</new_problem>", "What is 2 + 2?"),
        ("Here it is:\n<new_problem>\nWhat is 2 + 2?\n</new_problem> Good luck!", "What is 2 + 2?"),
        ("<new_problem>A draft.</new_problem><new_problem>What is 2 + 2?", "What is 2 + 2?"),
        ("<think>Perhaps <new_problem>no</new_problem></think><New_Problem>What is 2 + 2?", "What is 2 + 2?"),
        ("What is 2 + 2?", ""),
        ("</new_problem>", ""),
        ("", ""),
    ],
)
def test_the_last_tagged_text_is_the_problem(content: str, question: str) -> None:
    assert written(reply(content)) == question


@pytest.mark.parametrize(
    ("content", "finish", "told"),
    [
        ("I'm sorry, but I cannot do that.", "stop", "refused"),
        (tagged("Sorry, I can't write such a problem."), "stop", "refused"),
        ("Anything at all", "filter", "refused"),
        ("<new_problem>A shelf holds", "length", "cut off"),
        ("A problem without a tag", "stop", "no problem"),
        (tagged(""), "stop", "no problem"),
        (tagged("?! ... ?"), "stop", "no problem"),
        (tagged("x " * 20_000), "stop", "no problem"),
        (tagged("In the given problem a shelf holds 4 boxes. How many pens?"), "stop", "prompt leaked"),
        (tagged("Rewritten: a shelf holds 5 boxes of 7 pens. How many pens?"), "stop", "prompt leaked"),
        (tagged("How many pens? <final_answer>24</final_answer>"), "stop", "answer given"),
        (tagged("How many pens are left?\n#### 24"), "stop", "answer given"),
        (tagged("How many pens are left?\n\n**Answer:** 24"), "stop", "answer given"),
        (tagged("How many pens are left?\nThe correct answer = 24 pens."), "stop", "answer given"),
        (tagged(r"How many pens are left? \boxed{24}"), "stop", "answer given"),
        (tagged("Is every pen blue?\nAnswer: yes or no"), "stop", None),
        (tagged("How many pens are left?\nAnswer:\n\nGive it as a number in \\boxed{}."), "stop", None),
        (tagged("The answer is a prime: which pens are left?"), "stop", None),
        (tagged("A shelf holds 5 boxes with 7 pens each; 3 are empty. How many pens are on it?"), "stop", None),
        (tagged("A shelf holds 5 boxes with 7 pens each; 3 are empty. How many?") + " and", "length", None),
    ],
)
def test_what_the_text_tells(content: str, finish: str, told: str | None) -> None:
    assert reason(content, finish) == told


def test_a_word_that_the_parent_has_too_is_no_leak() -> None:
    parent = "Ada was given problems to solve, 12 a day. How many in a week?"
    child = tagged("Ada was given problems to solve, 12 a day but 3 on Sundays. How many in two weeks?")
    assert reason(child) == "prompt leaked"
    assert reason(child, parent=parent) is None


def test_a_copy_is_told_by_what_it_says_not_by_how_it_is_set() -> None:
    assert copied("  a SHELF holds 4 boxes with 6 pens each.\nHow many pens are on it?", PARENT, 0.9) == "copy"
    long = PARENT.question + " " + " ".join(f"Box {number} stands to the left of the next." for number in range(20))
    parent = PARENT.model_copy(update={"question": long})
    assert copied(long.replace("19 stands", "nineteen stands"), parent, 0.9) == "near copy"
    assert copied("A shelf holds 5 boxes with 7 pens each. How many pens are on it?", PARENT, 0.9) is None


def test_what_was_eliminated_once_is_known_as_well() -> None:
    known = Known(0.9)
    assert [known.add("What is it?"), known.add("What is  it?"), known.add("What was it?")] == [None, "copy", None]
