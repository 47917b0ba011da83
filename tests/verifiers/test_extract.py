"""Finding the answer in what a model wrote."""

import random
import time

import pytest

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.extract import clean, extract, final_answer

TEXT = Problem(question="?", answer="x", verifier="exact")
NUMBER = Problem(question="?", answer="3", verifier="numeric")
CHOICE = Problem(question="?\nA. one\nB. two\nC. three", answer="B", verifier="choice")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<final_answer>3</final_answer>", "3"),
        ("so <FINAL_ANSWER> 3 </Final_Answer> done", "3"),
        ("<final_answer>1</final_answer> no, <final_answer>2</final_answer>", "2"),
        ("<final_answer>1</final_answer> and <final_answer></final_answer>", "1"),
        ("<final_answer>\nline one\nline two\n</final_answer>", "line one\nline two"),
        ("thinking... <final_answer>3", "3"),
        ("<final_answer>1</final_answer> later:\n<final_answer>2", "2"),
        ("<final_answer>1</final_answer> and then <final_answer>2", "1"),
        ("The answer: <final_answer>3\n", "3"),
        ("<final_answer>**3**</final_answer>", "3"),
        ("<final_answer>`3`</final_answer>", "3"),
        ('<final_answer>"three"</final_answer>', "three"),
        ("<final_answer>```\n3\n```</final_answer>", "3"),
        ("<final_answer>```python\nx = 1\ny = 2\n```</final_answer>", "x = 1\ny = 2"),
        (r"<final_answer>\boxed{\frac{1}{2}}</final_answer>", r"\frac{1}{2}"),
        (r"<final_answer>$\boxed{x}$</final_answer>", "x"),
        (r"<final_answer>**$\boxed{7}$**</final_answer>", "7"),
        ("<final_answer>$x+1$</final_answer>", "$x+1$"),
        ("<final_answer><final_answer>5</final_answer></final_answer>", "5"),
        ("<think><final_answer>1</final_answer></think><final_answer>2</final_answer>", "2"),
        ("<final_answer>2</final_answer><thinking><final_answer>1</final_answer></thinking>", "2"),
        ("hidden <final_answer>1</final_answer></think><final_answer>2</final_answer>", "2"),
    ],
)
def test_the_last_final_answer_counts_without_its_dressing(text: str, answer: str) -> None:
    assert final_answer(text) == answer
    assert extract(text, TEXT).method == "final_answer"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no tag at all",
        "<final_answer></final_answer>",
        "I shall write it inside <final_answer></final_answer> when done",
        "<final_answer>...</final_answer>",
        "<final_answer>your answer here</final_answer>",
        "<final_answer>[answer]</final_answer>",
        "<final_answer>not yet</final_answer>",
        "<final_answer>Not yet.</final_answer>",
        "<final_answer>to be determined</final_answer>",
        "I will not write <final_answer> until I have checked that 3 is right.",
        "I am not ready for the <final_answer> yet.",
        "Then comes `<final_answer>`, not before.",
        "<final_answer>3\n\nand then I went on to explain",
        "<final_answer>" + "3 and so on " * 20,
        "</final_answer>3",
        "open <final_answer>   ",
        "<think><final_answer>3</final_answer></think>",
        "<think>never closed <final_answer>3</final_answer>",
        "<thinking>a <thinking>b</thinking> <final_answer>3</final_answer></thinking>",
    ],
)
def test_echoes_of_the_prompt_and_thoughts_are_no_answers(text: str) -> None:
    assert final_answer(text) is None


@pytest.mark.parametrize(
    ("text", "problem", "answer", "method"),
    [
        (r"Thus \boxed{1}, no: \boxed{\frac{a}{b_{1}}}.", TEXT, r"\frac{a}{b_{1}}", "boxed"),
        (r"Thus \boxed{42} and \boxed{broken", TEXT, "42", "boxed"),
        (r"The set is \boxed{\{1, 2\}}", TEXT, r"\{1, 2\}", "boxed"),
        ("12 + 30 = 42\n#### 42", NUMBER, "42", "hash"),
        ("#### 42\n", NUMBER, "42", "hash"),
        ("#### A heading\nand #### 5 in a line of 7", NUMBER, "7", "last_number"),
        ("The answer is (B), as I said.", CHOICE, "B", "choice"),
        ("The answer is **C**.", CHOICE, "C", "choice"),
        ("I choose option A", CHOICE, "A", "choice"),
        ("The answer is (C). In contrast, option B is wrong because of it.", CHOICE, "C", "choice"),
        ("So the answer is C.\n\nNote: choice A would be right only if g=0.", CHOICE, "C", "choice"),
        ("The answer is A.\nNo, the answer is B.", CHOICE, "B", "choice"),
        ("Answer: C\nThis follows from it.", CHOICE, "C", "choice"),
        ("**Answer: B**\n\nbecause of it", CHOICE, "B", "choice"),
        ("**Answer:** (B)\n\nbecause of it", CHOICE, "B", "choice"),
        ("Either way.\nThe answer is A or B", CHOICE, "", "none"),
        ("It is minus 3.", NUMBER, "minus 3", "last_number"),
        ("It is 5².", NUMBER, "5²", "last_number"),
        ("Let me see.\n\n(b)\n", CHOICE, "B", "choice"),
        ("First 5, then 1,234.50 dollars.", NUMBER, "1,234.50", "last_number"),
        ("It is -7.", NUMBER, "-7", "last_number"),
        ("Paris", TEXT, "Paris", "whole"),
        ("one line\nanother line", TEXT, "", "none"),
        ("x" * 201, TEXT, "", "none"),
        ("", NUMBER, "", "none"),
        ("<think>3</think>", NUMBER, "", "none"),
    ],
)
def test_other_methods_follow_in_order_and_are_named(text: str, problem: Problem, answer: str, method: str) -> None:
    found = extract(text, problem)
    assert (found.answer, found.method) == (answer, method)
    assert found.found == (method != "none")


def test_a_sentence_about_answers_does_not_choose_an_article() -> None:
    assert extract("The answer is a matter of taste.\nI cannot say.", CHOICE).method == "none"


def test_cleaning_leaves_quotes_inside_alone() -> None:
    assert clean('"a" and "b"') == '"a" and "b"'
    assert clean("**a** and **b**") == "**a** and **b**"


def test_no_text_makes_extraction_raise() -> None:
    rng = random.Random(5)
    pieces = [
        "<final_answer>",
        "</final_answer>",
        "<think>",
        "</think>",
        r"\boxed{",
        "}",
        "####",
        "```",
        "**",
        '"',
        "$",
    ]
    pieces += ["7", "(B)", " ", "\n", "\x00", "\ud800", "é", "\\", "{", "answer is "]
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randrange(12)))
        for problem in (TEXT, NUMBER, CHOICE):
            assert isinstance(extract(text, problem).answer, str)


@pytest.mark.parametrize(
    "piece",
    [
        "<final_answer>",
        "</think>",
        r"\boxed{",
        "}",
        "####",
        "1",
        "1,",
        "(",
        "A ",
        "**",
        "answer is ",
        "minus ",
        "\n",
        " ",
    ],
)
def test_a_megabyte_of_anything_is_read_quickly(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    for problem in (TEXT, NUMBER, CHOICE):
        extract(text, problem)
    assert time.process_time() - started < 3
