"""One mutation: what is said to whom, and what comes of it."""

from random import Random

import pytest

from openstrawberry.chat import Reply
from openstrawberry.evolve.elimination import REASONS
from openstrawberry.evolve.mutation import ACCEPTED, Mutation
from openstrawberry.evolve.operators import OPERATORS, Operator
from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.strategy import Answer, Ask, Task
from tests.making import PROBLEM
from tests.strategies.playing import JUNK, hostile, play, scripted

NEW = "How many r's are in strawberry jam on raspberry bread?"
GOOD = f"<new_problem>{NEW}</new_problem>"
YES = '{"asks_something_new": true, "answerable": true, "why": "two more words"}'
PROMPTS = load_prompts("evolve", "full")


def mutate(*replies: Reply | str, operator: Operator = "deepen", **options: object) -> tuple[Answer, Task, list[Ask]]:
    task, asked = Task(PROBLEM, PROMPTS), []
    answer = play(Mutation(operator=operator, **options), task, scripted(replies), asked=asked)
    return answer, task, asked


def test_a_whole_mutation_message_by_message() -> None:
    answer, task, asked = mutate(GOOD, YES)
    said = [(node.channel, node.role, node.content) for node in task.tree.nodes]
    schema = said[4][2].partition("JSON schema, and with nothing else:\n")
    assert schema[1]
    assert said == [
        ("main", "system", PROMPTS.text("writer")),
        (
            "main",
            "user",
            "Take the problem below and make a more demanding one of it: stay with the same matter, but ask for "
            "something that takes deeper understanding of it to find out.\n\n"
            f"{PROMPTS.text('form')}\n\n{PROBLEM.question}",
        ),
        ("main", "assistant", GOOD),
        ("judge", "system", PROMPTS.text("judge")),
        (
            "judge",
            "user",
            f"Problem A:\n{PROBLEM.question}\n\nProblem B:\n{NEW}\n\n"
            "Does B ask for more than A, or for something else, so that its solution cannot be copied from A's? "
            "And is B answerable: nothing missing, nothing "
            "contradictory, exactly one answer that can be checked?\n\n"
            f"Answer with one JSON value that fits this JSON schema, and with nothing else:\n{schema[2]}",
        ),
        ("judge", "assistant", YES),
    ]
    assert [ask.role for ask in asked] == ["solver", "judge"]
    assert (answer.text, answer.method, answer.node.channel) == (NEW, "judged", "main")


@pytest.mark.parametrize(
    ("judge", "method"),
    [
        (YES, "judged"),
        ('{"asks_something_new": false, "answerable": true}', "nothing new"),
        ('{"asks_something_new": true, "answerable": false, "why": "no jam is described"}', "unanswerable"),
        ("I like it.", "unjudged"),
        ('{"asks_something_new": "maybe"}', "unjudged"),
    ],
)
def test_the_judge_eliminates_only_what_it_says_clearly(judge: str, method: str) -> None:
    assert mutate(GOOD, judge)[0].method == method


@pytest.mark.parametrize(
    "reply", ["I cannot do that.", f"<new_problem>{PROBLEM.question}</new_problem>", "no tag", "<new_problem>?"]
)
def test_what_the_text_tells_already_is_not_judged(reply: str) -> None:
    answer, _, asked = mutate(reply)
    assert answer.method in REASONS
    assert len(asked) == 1


def test_neither_writer_nor_judge_is_told_the_parents_answer() -> None:
    _, task, _ = mutate(GOOD, YES)
    assert PROBLEM.answer == "3"
    assert all("3" not in node.content for node in task.tree.nodes if node.role in ("system", "user"))


@pytest.mark.parametrize("set_name", ["full", "brief"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_has_a_text_and_fills_it(operator: Operator, set_name: str) -> None:
    task = Task(PROBLEM, load_prompts("evolve", set_name))
    examples = ("Which is larger, 0.9 or 0.11?", "What is 2 + 2?")
    play(Mutation(operator=operator, examples=examples, keywords=("larger",)), task, scripted([GOOD, YES]))
    asked = task.tree.nodes[1].content
    assert "{" not in asked
    assert task.prompts.text("form") in asked
    shown = [*examples, "larger"] if operator == "fresh" else [PROBLEM.question]
    assert all(text in asked for text in shown)


def test_what_stands_in_a_problem_is_not_taken_for_a_place_to_fill() -> None:
    odd = PROBLEM.model_copy(update={"question": "What do {form}, {question} and {parent} stand for in {keywords}?"})
    task = Task(odd, PROMPTS)
    play(Mutation(operator="reason"), task, scripted([GOOD, YES]))
    assert task.tree.nodes[1].content.endswith(odd.question)
    assert f"Problem A:\n{odd.question}\n\nProblem B:\n{NEW}\n" in task.tree.nodes[4].content


@pytest.mark.parametrize("operator", OPERATORS)
def test_whatever_comes_back_it_ends_with_a_problem_or_a_reason(operator: Operator) -> None:
    for seed in range(40):
        random = Random(seed)
        says, tagged = hostile(random), random.random() < 0.5

        def reply(ask: Ask, says=says, tagged=tagged, random=random) -> Reply:  # type: ignore[no-untyped-def]
            said = says(ask)
            if tagged and ask.role == "solver":
                return said.model_copy(update={"content": f"<new_problem>{random.choice(JUNK)}</new_problem>"})
            return said

        task, asked = Task(PROBLEM, load_prompts("evolve", random.choice(("full", "brief")))), []
        answer = play(Mutation(operator=operator), task, reply, asked=asked)
        assert answer.method in (*ACCEPTED, *REASONS)
        assert answer.node.channel == "main"
        assert len(asked) <= 4  # one problem, one judgement, two repairs
