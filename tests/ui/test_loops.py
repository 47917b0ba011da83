"""The rounds of a loop, as the page compares them."""

import json
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.evaluation.plots import Point
from openstrawberry.ui.loops import loops, read_loop


def score(size: str, share: float, steps: float | None = 4.5, family: str = "add") -> dict[str, Any]:
    return {"family": family, "size": size, "share": share, "low": share - 0.1, "high": share + 0.1, "steps": steps}


def attempt(accepted: bool, *scores: dict[str, Any], **recipe: Any) -> dict[str, Any]:
    trained = [{"method": "sft"}, {"method": "dpo", "beta": 0.2, **recipe}]
    return {"accepted": accepted, "reason": "why", "trained": trained, "scores": [*scores], "model": "m"}


def lineage() -> dict[str, Any]:
    parts = {"pairs": {"rows": 31}, "conversations": {"rows": 1}, "sizes": ["add 3", "add 4"]}
    first = {**parts, "round": 1, "from": "berry", "teacher": "big",
             "attempts": [attempt(False), attempt(True, score("3", 0.75), score("4", 0.25, None))]}  # fmt: skip
    second = {**parts, "round": 2, "from": "hf:one", "attempts": [attempt(False, score("3", 0.1), later="x")]}
    return {"student": {"model": "berry", "scores": [score("3", 0.5), score("4", 0.0, 9)]}, "rounds": [first, second]}


def written(folder: Path, document: object) -> Path:
    (folder / "lineage.json").write_text(json.dumps(document))
    return folder


def test_figures_have_a_line_for_the_student_and_for_every_accepted_round(tmp_path: Path) -> None:
    loop = read_loop(written(tmp_path, lineage()))
    assert loop.families == ["add"]
    assert loop.series("add", lambda each: each.right) == {
        "before": [Point(3, 0.5, 0.4, 0.6), Point(4, 0.0, -0.1, 0.1)],
        "round 1": [Point(3, 0.75, 0.65, 0.85), Point(4, 0.25, 0.15, 0.35)],
    }
    lengths = loop.series("add", lambda each: each.length)
    assert {name: [(point.x, point.y) for point in points] for name, points in lengths.items()} == {
        "before": [(3, 4.5), (4, 9)],
        "round 1": [(3, 4.5)],  # nobody knows how long a right trace of size 4 is
    }
    assert loop.sizes == [("add 3", "50%, 4.5 steps", "75%, 4.5 steps"), ("add 4", "0%, 9 steps", "25%")]


def test_every_attempt_tells_what_was_trained_on_what(tmp_path: Path) -> None:
    table = read_loop(written(tmp_path, lineage())).table
    recipe = "supervised then DPO + 1 x likelihood, beta 0.2"
    shared = ("add 3, add 4", "31 pairs, 1 trace")
    assert table == [
        ("1", "berry", "big", *shared, recipe, "rejected", "why"),
        ("1", "berry", "big", *shared, recipe, "accepted", "why"),
        ("2", "hf:one", "hf:one", *shared, "supervised then dpo", "rejected", "why"),  # a recipe of another version
    ]


def test_sizes_that_are_no_numbers_stand_in_their_order(tmp_path: Path) -> None:
    document = {"student": {"scores": [score("3-5", 0.5), score("6-9", 0.4), score("²", 0.1)]}, "rounds": []}
    series = read_loop(written(tmp_path, document)).series("add", lambda each: each.right)
    assert [point.x for point in series["before"]] == [0, 1, 2]


def test_a_loop_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"rounds": 3}', '{"rounds": [{}], "student": {}}', "\x00"):
        (tmp_path / "lineage.json").write_text(text)
        assert loops(tmp_path) == [tmp_path]
        with pytest.raises(SetupError, match="is damaged"):
            read_loop(tmp_path)
    (tmp_path / "lineage.json").unlink()
    with pytest.raises(SetupError, match="no loop that can be read"):
        read_loop(tmp_path)
