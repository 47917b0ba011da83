"""The tree search, answered by hand."""

from math import log, sqrt

import pytest

from openstrawberry.engine.stepper import Stepper
from openstrawberry.errors import SetupError
from openstrawberry.prompts import load_prompts
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.strategies.mcts import Mcts, back_up
from openstrawberry.strategies.search import Step, StepTree
from openstrawberry.strategies.strategy import Ask, Task
from openstrawberry.strategies.values import Values
from openstrawberry.trace import Node, Tree
from tests.making import PROBLEM
from tests.strategies.growing import World, steps
from tests.strategies.growing import score as knowing
from tests.strategies.playing import play, scripted
from tests.strategies.test_search import searched, task

WORTH = {"a": 0.2, "b": 0.6, "c": 0.1, "d": 0.5, "e": 0.9, "f": 0.3}


def score(node: Node) -> float:
    return WORTH[node.content[0]]


def test_the_golden_trace() -> None:
    strategy = Mcts(branches=2, iterations=3, exploration=0.1, value="prm")
    mine = task(strategy)
    answer = play(strategy, mine, scripted(["a", "b", "c", "d", "e <final_answer>3</final_answer>", "f"]), score=score)
    texts = [node.content for node in mine.tree.nodes if node.role != "assistant"]
    assert [
        (
            node.role,
            node.content,
            node.parent.index if node.parent else -1,
            round(node.value, 6),
            node.visits,
            node.prior,
        )
        for node in mine.tree.nodes
    ] == [
        ("system", texts[0], -1, 0.0, 0, 0.0),
        ("user", texts[1], 0, 0.433333, 6, 0.0),  # the root: the mean of all six
        ("assistant", "a", 1, 0.2, 1, 0.5),
        ("assistant", "b", 1, 0.48, 5, 0.5),
        ("user", texts[2], 3, 0.0, 0, 0.0),
        ("assistant", "c", 4, 0.1, 1, 0.5),
        ("assistant", "d", 4, 0.566667, 3, 0.5),
        ("user", texts[3], 6, 0.0, 0, 0.0),
        ("assistant", "e <final_answer>3</final_answer>", 7, 0.9, 1, 0.5),
        ("assistant", "f", 7, 0.3, 1, 0.5),
    ]
    assert (answer.text, answer.node.index, answer.stop) == ("3", 8, "final_answer")
    assert texts[1] == mine.prompts.others["strawberry"].text("first").replace("{question}", PROBLEM.question)


def family(select: str, **values: tuple[float, int, float]) -> dict[str, float]:
    """How urgent the children of a root of 10 visits and mean 0.4 are; each as (value, visits, prior)."""
    tree = Tree()
    root = Step([tree.add("user", "q", None)])
    root.node.value, root.node.visits = 0.4, 10
    urgency = {}
    for name, (value, visits, prior) in values.items():
        node = tree.add("assistant", name, root.node)
        node.value, node.visits, node.prior = value, visits, prior
        urgency[name] = Mcts(select=select, exploration=0.5).urgency(Step([node], 0, root))
    return urgency


def test_urgency_is_uct_or_puct_and_what_is_not_known_counts_as_its_parent() -> None:
    children = {"known": (0.6, 4, 0.75), "unknown": (0.0, 0, 0.25)}
    assert family("uct", **children) == pytest.approx(
        {"known": 0.6 + 0.5 * sqrt(log(10) / 4), "unknown": 0.4 + 0.5 * sqrt(log(10))}
    )
    assert family("puct", **children) == pytest.approx(
        {"known": 0.6 + 0.5 * 0.75 * sqrt(10) / 5, "unknown": 0.4 + 0.5 * 0.25 * sqrt(10)}
    )


def test_a_value_is_a_visit_of_every_step_above() -> None:
    tree = Tree()
    root = Step([tree.add("user", "q", None)])
    child = Step([tree.add("assistant", "a", root.node)], 0, root)
    leaf = Step([tree.add("assistant", "b", child.node)], 1, child)
    for value, visits in ((1.0, 1), (9.0, 0), (0.0, 1), (0.5, 1)):
        leaf.node.value, leaf.node.visits = value, visits
        back_up(leaf)
    assert [(step.node.value, step.node.visits) for step in (root, child)] == [(0.5, 3), (0.5, 3)]


@pytest.mark.parametrize("rollouts", [1, 3])
def test_a_step_that_was_drawn_twice_counts_twice_above_and_so_does_each_of_its_games(rollouts: int) -> None:
    """What stands above is then the share of right ones among all draws, as the values of step labels have to be."""
    strategy = Mcts(branches=3, iterations=1, value="check", rollouts=rollouts, max_turns=2, final_every=0, enough=2)
    mine = task(strategy)

    def says(ask: Ask) -> str:
        draws = sum(node.role == "assistant" for node in mine.tree.nodes)
        before = [node.content for node in ask.node.path() if node.role == "assistant"]
        return (
            f"<final_answer>{3 if before == ['good'] else 4}</final_answer>"
            if before
            else ("good", "good", "bad")[draws]
        )

    play(strategy, mine, says)
    root = mine.tree.nodes[1]
    assert [(node.content, node.value, node.visits) for node in mine.tree.nodes if node.parent is root] == [
        ("good", 1.0, 2 * rollouts),
        ("good", 1.0, 2 * rollouts),
        ("bad", 0.0, rollouts),
    ]
    assert (root.value, root.visits) == (pytest.approx(2 / 3), 3 * rollouts)


def test_a_tree_may_be_deeper_than_python_follows_calls() -> None:
    depth = 1500
    strategy = Mcts(branches=1, depth=depth, max_turns=depth)
    mine = task(strategy)
    tree = StepTree(strategy, mine)
    step = tree.root
    for turn in range(depth):
        step.children.append(Step([mine.tree.add("assistant", "one more", step.node)], turn, step))
        step = step.children[0]
    assert strategy.urgent(tree, 1) == []
    assert step.worth == 0.0
    assert Stepper(Values("rollouts", tree, 1, "last").of([])).done


def test_iterations_are_the_steps_that_are_expanded_at_most() -> None:
    for leaves in (1, 4):
        _, mine = searched("mcts", value="prm", iterations=6, leaves=leaves, enough=2, branches=3)
        expanded = {node.parent.index for node in mine.tree.nodes if node.role == "assistant" and node.prior}
        assert len(expanded) == 6


def test_several_leaves_are_different_steps_and_go_out_together() -> None:
    strategy = Mcts(value="prm", leaves=2, iterations=3, branches=3, enough=2)
    mine = task(strategy)
    play(strategy, mine, World(), score=knowing)
    second = [node for node in mine.tree.nodes if len(steps(node)) == 2 and node.role == "assistant"]
    assert len({node.parent.index for node in second}) == 2


def test_a_tree_of_which_nothing_is_left_to_expand_ends() -> None:
    asked: list[Ask] = []
    answer, _ = searched("mcts", scripted(["<final_answer>4</final_answer>"]), asked, value="check", iterations=50)
    assert (answer.text, len(asked)) == ("4", 3)


def test_without_an_answer_in_the_tree_the_best_step_is_played_on() -> None:
    answer, _ = searched("mcts", value="prm", iterations=2, branches=3)
    assert (answer.text, len(steps(answer.node))) == ("3", 5)


def test_the_model_is_asked_to_doubt_each_step_and_its_second_thought_is_the_step() -> None:
    def says(ask: Ask) -> str:
        doubted = ask.node.content == "Are you sure?"
        return "second thought <final_answer>3</final_answer>" if doubted else "first thought"

    strategy = Mcts(reflect=True, value="prm", branches=2)
    mine = task(strategy)
    answer = play(strategy, mine, says)
    assert answer.text == "3"
    assert [node.content for node in answer.node.path()][2:] == [
        "first thought", "Are you sure?", "second thought <final_answer>3</final_answer>",
    ]  # fmt: skip
    assert [node.visits for node in answer.node.path()] == [0, 2, 0, 0, 2]  # two draws, which are equal


@pytest.mark.parametrize("prompt_set", ["full", "brief"])
def test_actions_are_data_and_each_branch_takes_another_one(prompt_set: str) -> None:
    strategy = Mcts(actions="all", value="prm", branches=6, iterations=2, depth=3)
    mine = Task(PROBLEM, load_prompts("mcts", prompt_set, uses=strategy.uses))
    play(strategy, mine, scripted(["one", "two", "three", "four", "five", "six", "hm"]), score=lambda node: 0.5)
    first = next(node for node in mine.tree.nodes if node.content == "one")
    said = [node.content for node in mine.tree.nodes if node.parent is first]
    actions = mine.prompts.entries["actions"]
    known = [text for texts in actions.values() for text in texts]
    assert len(said) == len(actions) + 1
    assert len([text for text in said if text in known]) == len(actions)


def test_an_action_that_is_not_there_or_cannot_be_read_is_one_sentence() -> None:
    strategy = open_strategy("mcts", {"actions": "next,shure"})
    with pytest.raises(SetupError, match="did you mean 'sure'"):
        play(strategy, task(strategy), World())
    broken = Task(PROBLEM, load_prompts("mcts", "brief", uses=strategy.uses))
    broken.prompts.entries["actions"]["sure"] = {"Are you": "sure?"}
    strategy = open_strategy("mcts", {"actions": "sure"})
    with pytest.raises(SetupError, match="mcts/brief, actions has no texts under 'sure'"):
        play(strategy, broken, World())
