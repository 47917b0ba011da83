"""The contract of strategies, proved by hand: no driver, no model."""

import random

import pytest

from openstrawberry.engine.stepper import Stepper
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet
from openstrawberry.strategies.strategy import Answer, Ask, Steps, Task, gather, together
from openstrawberry.trace import Node


def make_task() -> Task:
    return Task(Problem(question="q", answer="a"), PromptSet("test", {}))


def rollout(task: Task, root: Node, length: int) -> Steps[str]:
    """A side branch of `length` turns."""
    node = root
    for turn in range(length):
        node = yield Ask(task.user(f"turn {turn}", after=node))
    return node.content


def branching(task: Task, lengths: list[int], enough: int | None = None) -> Steps[Answer]:
    """A small tree search: rollouts of unequal length from one root, taken in order of arrival."""
    root = task.user(task.problem.question)
    group = together(*(rollout(task, root, length) for length in lengths))
    arrived: list[int] = []
    while group:
        number, _ = yield group
        arrived.append(number)
        if enough is not None and len(arrived) == enough:
            break
    return Answer(",".join(map(str, arrived)), root)


def reply(task: Task, action: Ask) -> Node:
    return task.tree.add("assistant", f"after {action.node.content}", action.node)


def play(task: Task, stepper: Stepper[Answer], order: random.Random) -> Answer:
    while not stepper.done:
        ticket = order.choice(sorted(stepper.open))
        action = stepper.open[ticket]
        assert isinstance(action, Ask)
        stepper.send(ticket, reply(task, action))
    return stepper.result


@pytest.mark.parametrize("seed", range(20))
def test_rollouts_of_unequal_length_finish_in_any_order(seed: int) -> None:
    task = make_task()
    answer = play(task, Stepper(branching(task, [3, 1, 5, 2])), random.Random(seed))
    assert sorted(answer.text.split(",")) == ["0", "1", "2", "3"]
    assert sum(node.role == "assistant" for node in task.tree.nodes) == 3 + 1 + 5 + 2


def test_results_arrive_in_the_order_in_which_they_finish() -> None:
    task = make_task()
    stepper = Stepper(branching(task, [2, 1]))
    first, second = sorted(stepper.open)
    stepper.send(second, reply(task, stepper.open[second]))
    stepper.send(first, reply(task, stepper.open[first]))
    (last,) = stepper.open
    stepper.send(last, reply(task, stepper.open[last]))
    assert stepper.result.text == "1,0"


def test_members_of_a_group_are_open_at_the_same_time() -> None:
    stepper = Stepper(branching(make_task(), [1] * 7))
    assert len(stepper.open) == 7


def test_what_nobody_waits_for_any_more_is_cancelled() -> None:
    task = make_task()
    stepper = Stepper(branching(task, [9, 1, 9], enough=1))
    ticket = sorted(stepper.open)[1]
    stepper.send(ticket, reply(task, stepper.open[ticket]))
    assert stepper.done
    assert stepper.result.text == "1"
    assert not stepper.open


def test_an_error_in_a_member_is_raised_where_the_group_is_awaited() -> None:
    def careful(task: Task) -> Steps[str]:
        root = task.user("q")
        try:
            yield from gather(rollout(task, root, 1), rollout(task, root, 1))
        except ValueError as error:
            return f"caught {error}"
        return "not raised"

    stepper = Stepper(careful(make_task()))
    stepper.throw(min(stepper.open), ValueError("boom"))
    assert stepper.result == "caught boom"
    assert not stepper.open


def test_groups_nest_and_members_may_be_added_while_it_runs() -> None:
    def inner(task: Task, root: Node) -> Steps[int]:
        return len((yield from gather(rollout(task, root, 1), rollout(task, root, 2))))

    def outer(task: Task) -> Steps[list[int]]:
        root = task.user("q")
        group = together(inner(task, root))
        found: list[int] = []
        while group:
            _, count = yield group
            found.append(count)
            if len(found) < 3:
                group.add(inner(task, root))
        return found

    task = make_task()
    stepper = Stepper(outer(task))
    while not stepper.done:
        ticket = max(stepper.open)
        stepper.send(ticket, reply(task, stepper.open[ticket]))
    assert stepper.result == [2, 2, 2]


def test_gather_keeps_the_members_order_whatever_arrives_first() -> None:
    def both(task: Task) -> Steps[list[str]]:
        return (yield from gather(rollout(task, task.user("a"), 1), rollout(task, task.user("b"), 1)))

    task = make_task()
    stepper = Stepper(both(task))
    for ticket in sorted(stepper.open, reverse=True):
        node = stepper.open[ticket].node
        stepper.send(ticket, task.tree.add("assistant", node.parent.content, node))
    assert stepper.result == ["a", "b"]


def test_yielding_an_empty_group_is_a_fault_of_the_strategy_not_a_hang() -> None:
    def faulty() -> Steps[None]:
        yield together()

    with pytest.raises(RuntimeError, match="empty group"):
        Stepper(faulty())


def test_the_same_sample_draws_the_same_and_another_draws_anew() -> None:
    first, again = make_task(), make_task()
    other = Task(first.problem, first.prompts, sample=1)
    assert first.random("turn", 3).random() == again.random("turn", 3).random()
    assert first.random("turn", 3).random() != other.random("turn", 3).random()
    assert first.random("turn", 3).random() != first.random("turn", 4).random()


def test_after_an_error_in_gather_nobody_asks_on() -> None:
    def careful(task: Task) -> Steps[str]:
        root = task.user("q")
        try:
            yield from gather(rollout(task, root, 5), rollout(task, root, 5), rollout(task, root, 5))
        except ValueError:
            node = yield Ask(root)
            return str(node.content)
        return "not raised"

    task = make_task()
    stepper = Stepper(careful(task))
    stepper.throw(min(stepper.open), ValueError("boom"))
    assert len(stepper.open) == 1
    ((ticket, action),) = stepper.open.items()
    stepper.send(ticket, reply(task, action))
    assert stepper.result == "after q"


def test_whoever_waits_has_a_place_that_does_not_depend_on_who_was_served_first() -> None:
    def pair(task: Task, root: Node) -> Steps[None]:
        for _ in range(2):
            yield from gather(rollout(task, root, 1), rollout(task, root, 2))

    def two_pairs(task: Task) -> Steps[Answer]:
        root = task.user("q")
        node = yield Ask(root)
        yield from gather(pair(task, root), pair(task, root))
        return Answer("", node)

    def seen(order: random.Random) -> list[tuple[int, ...]]:
        task, places = make_task(), []
        stepper = Stepper(two_pairs(task))
        while not stepper.done:
            ticket = order.choice(sorted(stepper.open))
            places.append(stepper.place(ticket))
            action = stepper.open[ticket]
            assert isinstance(action, Ask)
            stepper.send(ticket, reply(task, action))
        return sorted(places)

    expected = sorted([(), *[(0, 0), (0, 1), (0, 1), (1, 0), (1, 1), (1, 1)] * 2])
    assert all(seen(random.Random(seed)) == expected for seed in range(5))
