"""The same number, exactly."""

import asyncio
import random
import time

import pytest

from openstrawberry.problems.guess import guess_verifier
from openstrawberry.problems.numbers import is_plain_number, read_number
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.numeric import Numeric


def status(known: str, answer: str, question: str = "How many?", metadata: str = "{}") -> str:
    problem = Problem(question=question, answer=known, verifier="numeric", metadata=metadata)
    return asyncio.run(Numeric().verify(problem, answer)).status


def test_thirteen_never_matches_three() -> None:
    for known, answer in [
        ("3", "13"),
        ("13", "3"),
        ("3", "30"),
        ("3", "3.1"),
        ("3", "0.3"),
        ("3", "-3"),
        ("3", "13.3"),
    ]:
        assert status(known, answer) == "incorrect"


@pytest.mark.parametrize(
    ("known", "answer"),
    [
        ("3", "3"),
        ("3", "3."),
        ("3", "3.00"),
        ("3", "+3"),
        ("3", "003"),
        ("3", "three"),
        ("3", "x = 3"),
        ("3", "1 + 2 = 3"),
        ("3", "There are 3 r's in strawberry"),
        ("3", "3 (three)"),
        ("3", "$3$"),
        ("3", r"\(3\)"),
        ("3", r"3\text{ cm}"),
        ("3", "3 m^2"),
        ("3", "3 km/h"),
        ("1234.5", "1,234.50"),
        ("1234.5", "$1,234.50"),
        ("1234", r"1{,}234"),
        ("1234", "1\u202f234"),
        ("-3", "−3"),
        ("-12", "-$12"),
        ("0.75", "3/4"),
        ("0.75", r"\frac{3}{4}"),
        ("3/4", ".75"),
        ("1.75", "1 3/4"),
        ("0.5", "½"),
        ("1500000", "1.5e6"),
        ("1500000", "1.5 x 10^6"),
        ("1500000", r"1.5 \times 10^{6}"),
        ("1500000", "1.5×10⁶"),
        ("1500000", "1.5 million"),
        ("12", "１２"),
        ("0.5", "50%"),
        ("50%", "50"),
        ("50%", "0.5"),
        ("50%", "50 percent"),
        ("2 million", "2"),
        ("-0.75", r"- \frac{3}{4}"),
        ("-3", "minus 3"),
        ("-3", "Negative three"),
        ("-7", r"- \boxed{7}"),
        ("16/3", "5⅓"),
        ("300", "3 hundred"),
        ("36", "3 dozen"),
        ("3", "3 m2"),
        ("3", "3 months"),
        ("3", "I am not sure, but 3"),
    ],
)
def test_a_number_is_the_same_however_it_is_written(known: str, answer: str) -> None:
    assert status(known, answer) == "correct"


@pytest.mark.parametrize(
    "answer",
    [
        *("5 or 6", "5-6", "5 to 6", "5, 6", "6 = 2 * 3 or 5", "x = 4, y = 5", "x=4 or x=5", "(4, 5)", "5 5", "5:00"),
        *("5!", "5^2", "√5", r"\sqrt{5}", "2 * 5", "5x", "5π", "5i", "5 + x", "1/5x", "log 5", "> 5", "±5", "5 - x"),
        *("1,23", "1,2,3", "5,00,0", "1.2.3", "3/4/5", "5/0", "0x5", "5_000", "2020-01-05", "v5", "nan", "inf", "∞"),
        *(
            "minus 5",
            "-(5)",
            "- (5)",
            "-|5|",
            r"-\left(5\right)",
            "-**5**",
            r"- \boxed{5}",
            "5²",
            "5 ³",
            "5₂",
            "5⅓",
            "5C2",
        ),
        *("5 hundred", "5 dozen", "5 squared", "5 cubed", "5 hundred thousand", "not 5", "isn't 5", "not **5**"),
        *("x != 5", "x <= 5", "more than 5", "half of 5", "5 and a half", "5 choose 5", "5 times 5", "plus or minus 5"),
        *("five and six", "no idea", "?", "1e999999999", "<final_answer>", "--5"),
    ],
)
def test_what_does_not_name_one_number_is_incorrect(answer: str) -> None:
    assert status("5", answer) == "incorrect"


def test_a_percent_sign_is_a_unit_where_the_question_asks_in_percent() -> None:
    assert status("50", "50%", question="What percentage passed?") == "correct"
    assert status("50", "50%", question="What is the result?") == "incorrect"
    assert status("0.5", "0.5%") == "incorrect"
    assert status("50%", "0.5%", question="What percentage passed?") == "incorrect"
    assert status("5", "5 million", question="How many million live there?") == "correct"


def test_a_tolerance_is_used_only_where_the_problem_asks_for_one() -> None:
    assert status("3.14159", "3.14") == "incorrect"
    assert status("3.14159", "3.14", metadata='{"tolerance": 0.01}') == "correct"
    assert status("3.14159", "3.2", metadata='{"tolerance": 0.01}') == "incorrect"
    for broken in ('{"tolerance": "much"}', '{"tolerance": null}', '{"tolerance": 5}', '{"tolerance": NaN}'):
        assert status("3.14159", "3.14", metadata=broken) == "incorrect"


def test_further_accepted_answers_count() -> None:
    assert status("3", "4", metadata='{"accepted_answers": ["4", "5"]}') == "correct"
    assert status("3", "6", metadata='{"accepted_answers": ["4", "5"]}') == "incorrect"


def test_an_empty_answer_is_no_answer_and_a_known_answer_that_is_no_number_is_unknown() -> None:
    assert status("3", "  ") == "no_answer"
    assert status("three or so", "3") == "unknown"
    assert status("NaN", "NaN") == "unknown"


def test_sums_of_hundreds_of_digits_are_exact() -> None:
    known = "1" * 3999
    assert status(known, known) == "correct"
    assert status(known, known[:-1] + "2") == "incorrect"


@pytest.mark.parametrize("piece", ["1", "9,", "1 ", "-", "=", "1/", "1e", "{", r"\frac{", r"\text{", "$", " ", "x^"])
def test_a_megabyte_or_an_awkward_text_is_judged_quickly(piece: str) -> None:
    started = time.process_time()
    for size in (9_999, 1_000_000):
        assert status("3", piece * (size // len(piece))) in ("incorrect", "no_answer")
    assert time.process_time() - started < 2


@pytest.mark.parametrize("piece", [" ", "\n", "1", "$", "{", "<", "*", "a", "}", "-", "minus ", "\u00a01", "½"])
@pytest.mark.parametrize(("before", "after"), [("$a$", "b 5"), ("^", "5"), ("1", "x")])
def test_one_piece_repeated_is_read_in_linear_time(piece: str, before: str, after: str) -> None:
    def cost(length: int) -> float:
        text = before + piece * (length // len(piece)) + after
        costs = []
        for _ in range(3):
            started = time.process_time()
            read_number(text)
            is_plain_number(text)
            costs.append(time.process_time() - started)
        return min(costs)

    long = cost(9_900)
    assert long < 0.02 or long < 10 * cost(9_900 // 4)  # four times the text: linear is 4, quadratic 16


def test_nothing_a_model_writes_makes_it_raise() -> None:
    rng = random.Random(3)
    pieces = [
        *"0123456789.,-+/%$=^*eEx×()[]{}\\ \n",
        "million",
        r"\frac",
        "\u2212",
        "½",
        "\x00",
        "\ud800",
        "٣",
        "²",
        "nan",
    ]
    for _ in range(4000):
        text = "".join(rng.choices(pieces, k=rng.randrange(14)))
        assert status("3", text) in ("correct", "incorrect", "no_answer")


def test_what_is_guessed_to_be_a_number_can_be_read_as_one() -> None:
    rng = random.Random(4)
    for _ in range(4000):
        text = "".join(rng.choices("0123456789.,-+/%$e= ", k=rng.randrange(1, 8)))
        if guess_verifier("How many?", text) == "numeric":
            assert read_number(text) is not None
            assert status(text, text) == "correct"
