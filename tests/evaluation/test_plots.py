import xml.etree.ElementTree as xml

import pytest

from openstrawberry.evaluation.plots import Point, bars, dots, lines, palette

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
        "dots": dots({"base": CURVE[:1], "none": [], "trained": CURVE}, "tokens", "right"),
        "no dots": dots({}, "x", "y"),
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
    for drawn in (
        dots({"<b>$x_1$\x00\x1b & --": CURVE}, "x", "y"),
        bars({"<b>$x_1$\x00\x1b & --": (0.5, 0.4, 0.6)}),
        lines({"<b>$x_1$\x00\x1b & --": CURVE}, "x", "y"),
    ):
        words = [element.text for element in xml.fromstring(drawn).iter() if element.tag.endswith("text")]
        assert "<b>$x_1$   & --" in words


def test_of_many_lines_only_some_are_named_the_first_and_the_last_among_them() -> None:
    drawn = drawings()["many"]
    assert ">round 0</text>" in drawn
    assert ">round 29</text>" in drawn
    assert drawn.count(">round ") == 8


def test_points_that_nothing_joins_have_a_bar_each_and_a_name_where_there_are_any() -> None:
    drawn = drawings()["dots"]
    assert ">base</text>" in drawn
    assert ">none</text>" not in drawn
    assert drawn.count(">trained</text>") == 1


def test_every_series_has_a_colour_of_its_own() -> None:
    assert all(len(set(palette(many))) == many for many in (0, 1, 8, 30))
