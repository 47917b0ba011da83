"""The numbers behind the figures that page and report share."""

from openstrawberry.stats import wilson
from openstrawberry.store.browsing import Tally
from openstrawberry.ui.measures import by_difficulty, by_name, share, takes, together


def tally(
    *group: object, right: int = 1, judged: int = 2, traces: int = 4, output: int = 40, cost: float = 2.0
) -> Tally:
    return Tally(group, right, judged, traces, output, 10, cost)


def test_groups_of_several_runs_are_added_up_and_what_is_unknown_stays_so() -> None:
    (one,) = together([tally("m", "s"), tally("m", "s", right=2, judged=6), tally("n", "s", right=0, judged=0)])
    assert (one.right, one.judged, one.traces, one.output, one.input, one.cost) == (3, 8, 8, 80, 20, 4.0)
    (one,) = together([tally("m"), tally("m", output=-1, cost=-1)])
    assert (one.output, one.cost) == (-1, -1)


def test_a_share_is_of_those_with_a_verdict() -> None:
    assert share(tally("m")) == (0.5, *wilson(1, 2))


def test_the_share_stands_at_what_a_trace_takes_where_that_is_known() -> None:
    groups = by_name([tally("m", "s", cost=-1), tally("n", "s", right=2, cost=1.0), tally("o", "s", output=-1, cost=0)])
    assert list(groups) == ["n · s", "m · s", "o · s"]
    found = takes(groups)
    assert {name: [point.x for point in points] for name, points in found["tokens written per trace"].items()} == {
        "n · s": [10], "m · s": [10], "o · s": [],
    }  # fmt: skip
    assert [name for name, points in found["dollars per trace"].items() if points] == ["n · s"]
    assert takes(by_name([tally("m", output=-1, cost=-1)])) == {}


def test_difficulties_are_told_for_each_family_by_name() -> None:
    sizes = [tally("m", "s", "add", size) for size in (3, 1.0, 2)] + [
        tally("n", "s", "add", 2),
        tally("m", "s", "count", 4),
    ]
    found = by_difficulty([*sizes, tally("m", "s", "add", None)], ["n · s", "m · s"])
    assert {name: [point.x for point in points] for name, points in found["add"].items()} == {
        "n · s": [2],
        "m · s": [1, 2, 3],
    }
    assert list(found) == ["add"]  # one size of counting is no line
    assert list(by_difficulty([tally("n", "s", "", size) for size in (1, 2)], ["n · s"])) == ["problems"]
