"""The report of a loop."""

from openstrawberry.bootstrap.config import Loop
from openstrawberry.bootstrap.ladder import Ladder, Rung
from openstrawberry.bootstrap.lineage import Lineage
from openstrawberry.bootstrap.report import report
from openstrawberry.bootstrap.scores import Result, Score
from openstrawberry.evaluation.page import Figure, to_html

LADDER = Ladder(Loop())


def score(right: int, steps: int) -> Score:
    return Score({f"p{number}": Result(number < right, number < right, steps) for number in range(10)})


def rung(size: int) -> Rung:
    return next(each for each in LADDER.rungs["add"] if each.size == str(size))


def test_the_steps_of_a_trace_are_drawn_where_any_was_right() -> None:
    first = {rung(4): score(10, 5), rung(5): score(7, 6), rung(6): score(0, 9)}
    document = report(Lineage(Loop(), "berry", first), LADDER)
    figures = [block for section in document.sections for block in section.blocks if isinstance(block, Figure)]
    (lengths,) = [each for each in figures if each.caption == "add: mean steps of traces that were right in every step"]
    drawn = [line for line in lengths.svg.split("<use ") if "clip" not in line]
    assert "nan" not in lengths.svg.lower()
    assert ">add, steps</text>" in lengths.svg
    assert "9</text>" not in "".join(drawn)  # nothing is known of size 6
    assert lengths.svg.replace("<svg", "", 1)[:50] in to_html(document)
