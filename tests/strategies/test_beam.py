"""The beam search, answered by hand."""

from openstrawberry.chat import Reply
from openstrawberry.strategies.beam import Beam
from openstrawberry.strategies.strategy import Ask
from openstrawberry.trace import Node
from tests.making import PROBLEM
from tests.strategies.growing import steps
from tests.strategies.playing import play, scripted
from tests.strategies.test_search import searched, task

WORTH = {"a": 0.2, "b": 0.7, "c": 0.9, "d": 0.1, "e": 0.3, "f": 0.8}


def score(node: Node) -> float:
    return WORTH[node.content[0]]


def test_the_golden_trace() -> None:
    strategy = Beam(width=1, branches=2, depth=2, value="prm")
    mine = task(strategy)
    says = scripted(["a", "b", "c <final_answer>3</final_answer>", "d <final_answer>4</final_answer>"])
    answer = play(strategy, mine, says, score=score)
    system, first, second = (mine.tree.nodes[number].content for number in (0, 1, 4))
    game = mine.prompts.others["strawberry"]
    assert system in game.pool("system")
    assert first == game.text("first").replace("{question}", PROBLEM.question)
    assert second in game.pool("next") + game.pool("sure")
    assert [
        (node.role, node.content, node.parent.index if node.parent else -1, node.value, node.visits, node.prior)
        for node in mine.tree.nodes
    ] == [
        ("system", system, -1, 0.0, 0, 0.0),
        ("user", first, 0, 0.0, 0, 0.0),
        ("assistant", "a", 1, 0.2, 1, 0.5),
        ("assistant", "b", 1, 0.7, 1, 0.5),
        ("user", second, 3, 0.0, 0, 0.0),
        ("assistant", "c <final_answer>3</final_answer>", 4, 0.9, 1, 0.5),
        ("assistant", "d <final_answer>4</final_answer>", 4, 0.1, 1, 0.5),
    ]
    assert (answer.text, answer.node.index, answer.stop) == ("3", 5, "final_answer")


def test_each_level_goes_on_from_the_best_few_only() -> None:
    _, mine = searched("beam", value="prm", width=1, branches=3, depth=5, enough=2)
    grown = [node for node in mine.tree.nodes if any(each.parent is node for each in mine.tree.nodes)]
    walked = {steps(node) for node in grown if node.role == "assistant"}
    assert walked == {"3", "31", "314", "3141"}


def test_what_is_left_at_the_last_level_is_played_on_to_its_end() -> None:
    asked: list[Ask] = []
    answer, _ = searched("beam", asked=asked, value="prm", width=2, branches=3, depth=2)
    assert (answer.text, len(steps(answer.node))) == ("3", 5)
    assert len(asked) == 3 + 6 + 2 * 3


def test_an_answer_leaves_the_beam_with_its_place() -> None:
    strategy = Beam(width=2, branches=2, depth=3, max_turns=3, value="prm", enough=2)
    mine = task(strategy)
    says = scripted(["f <final_answer>4</final_answer>", "b", "a", "c <final_answer>3</final_answer>", "e", "d"])
    answer = play(strategy, mine, says, score=score)
    replies = [node.content[0] for node in mine.tree.nodes if node.role == "assistant"]
    assert replies == ["f", "b", "a", "c", "e", "d"]
    assert answer.text == "3"


def test_steps_whose_value_is_not_known_are_neither_best_nor_worst() -> None:
    strategy = Beam(width=2, branches=3, depth=1, value="prm", max_turns=2)
    mine = task(strategy)
    says = scripted(["a", "b", "c", "x"])
    play(strategy, mine, says, score=lambda node: {"a": 0.1, "b": float("nan"), "c": 0.9}.get(node.content[0], 0.5))
    gone_on = [node.parent.content for node in mine.tree.nodes if node.role == "user" and node.index > 1]
    assert gone_on == ["c", "b"]


def test_a_refused_draw_takes_nobodys_place() -> None:
    strategy = Beam(width=1, branches=3, depth=2, value="prm", enough=2)
    mine = task(strategy)
    refused = Reply(content="f", finish_reason="filter")
    says = scripted([refused, "b", "a", "c <final_answer>3</final_answer>", "d", "d"])
    answer = play(strategy, mine, says, score=score)
    assert (answer.text, answer.stop) == ("3", "final_answer")
    nobody = play(strategy, task(strategy), lambda ask: refused, score=score)
    assert (nobody.text, nobody.stop) == ("", "refused")
