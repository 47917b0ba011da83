import xml.etree.ElementTree as xml

import pytest

from openstrawberry.evaluation.plots import Point, bars, lines

CURVE = [Point(size, 1 - size / 10, 0.9 - size / 10, min(1, 1.1 - size / 10)) for size in range(1, 8)]


def drawings() -> dict[str, str]:
    return {
        "lines": lines({"base": CURVE, "trained": CURVE[:3]}, "digits", "right"),
        "bars": bars({"base": (0.5, 0.4, 0.6), "trained": (1.0, 0.9, 1.0)}),
        "many": lines({f"round {number}": CURVE for number in range(30)}, "digits", "right"),
        "nothing": lines({}, "x", "y"),
        "empty line": lines({"a": []}, "x", "y"),
        "no bars": bars({}),
        "one point": lines({"a": [CURVE[0]]}, "x", "y"),
        "counts": bars({"steps": (12.5, 11.0, 14.0)}, percent=False),
    }


@pytest.mark.parametrize("name", drawings())
def test_every_drawing_is_well_formed_and_can_grow(name: str) -> None:
    root = xml.fromstring(drawings()[name])
    assert root.tag.endswith("svg")
    assert root.get("width") is None
    assert root.get("viewBox")


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert drawings() == drawings()


def test_words_are_words_in_the_colours_of_the_page() -> None:
    drawn = drawings()["lines"]
    assert ">trained</text>" in drawn
    assert "currentColor" in drawn
    assert "#000" not in drawn
    assert "var(--line" in drawn


def test_names_are_never_read_as_markup_or_mathematics() -> None:
    for drawn in (bars({"<b>$x_1$\x00\x1b & --": (0.5, 0.4, 0.6)}), lines({"<b>$x_1$\x00\x1b & --": CURVE}, "x", "y")):
        words = [element.text for element in xml.fromstring(drawn).iter() if element.tag.endswith("text")]
        assert "<b>$x_1$   & --" in words


def test_of_many_lines_only_some_are_named_the_first_and_the_last_among_them() -> None:
    drawn = drawings()["many"]
    assert ">round 0</text>" in drawn
    assert ">round 29</text>" in drawn
    assert drawn.count(">round ") == 8
