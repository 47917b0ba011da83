"""A trace as a person reads it, and the tree of a search."""

import re

from openstrawberry.chat import Reply, Usage
from openstrawberry.trace import Trace, Tree, turn_of
from openstrawberry.ui.reading import read
from openstrawberry.ui.tree import dots, draw, is_tree
from tests.making import make_trace


def reply(text: str, **fields: object) -> Reply:
    usage = Usage(input=100, cached_input=80, output=7)
    return Reply(content=text, finish_reason="stop", model="m", usage=usage, latency_s=1.25, **fields)


def trace_of(tree: Tree, path: list[int], **fields: object) -> Trace:
    turns = tuple(turn_of(node) for node in tree.nodes)
    return make_trace().model_copy(update={"messages": turns, "path": tuple(path), **fields})


def chat() -> Tree:
    tree = Tree()
    node = tree.add("system", "Play.", None)
    for number in range(3):
        node = tree.add("user", f"ask {number}", node)
        node = tree.add(
            "assistant", f"Step {number} is <turn_title>title {number}</turn_title>", node, reply=reply("s")
        )
    return tree


def test_a_chat_is_its_steps_with_what_was_asked_and_what_stood_before() -> None:
    reading = read(trace_of(chat(), list(range(7))))
    assert [turn.content for turn in reading.given] == ["Play."]
    assert [(step.number, step.title, step.asked) for step in reading.steps] == [
        (1, "title 0", "ask 0"),
        (2, "title 1", "ask 1"),
        (3, "title 2", "ask 2"),
    ]
    assert reading.steps[0].facts == "1.2 s · 7 tokens · 80 of 100 from cache"
    assert (reading.sign, reading.outcome, reading.branches) == ("✓", "right", 0)


def test_worked_examples_are_given_not_steps() -> None:
    tree = Tree()
    example = tree.add("assistant", "3", tree.add("user", "an example", None))
    end = tree.add("assistant", "4", tree.add("user", "the question", example), reply=reply("4"))
    reading = read(trace_of(tree, [node.index for node in end.path()]))
    assert [turn.content for turn in reading.given] == ["an example", "3"]
    assert [(step.asked, step.turn.content) for step in reading.steps] == [("the question", "4")]


def test_a_critic_stands_beside_the_step_it_came_after() -> None:
    tree = Tree()
    question = tree.add("user", "q", None)
    first = tree.add("assistant", "one", question, reply=reply("one"))
    for text in ("weak", "weaker"):
        view = tree.add("user", "criticise", tree.add("system", "Critic.", None, "critic"), "critic")
        tree.add("assistant", text, view, "critic", reply=reply(text))
    second = tree.add("assistant", "two", tree.add("user", "weak", first), reply=reply("two"))
    reading = read(trace_of(tree, [node.index for node in second.path()]))
    assert [len(step.sides) for step in reading.steps] == [2, 0]
    assert [turn.content for turn in reading.steps[0].sides[1].turns] == ["Critic.", "criticise", "weaker"]
    assert reading.branches == 0


def test_how_a_trace_ended_is_said_in_words() -> None:
    def outcome(stop: str, status: str) -> str:
        return read(make_trace(stop=stop, status=status)).outcome

    assert outcome("final_answer", "incorrect") == "wrong"
    assert outcome("max_turns", "no_answer") == "no answer, out of turns"
    assert outcome("refused", "no_answer") == "no answer, refused"
    assert read(make_trace(stop="error", error="The server went away.")).outcome == "The server went away."


def test_a_trace_that_broke_off_before_anything_was_said_can_be_read() -> None:
    tree = Tree()
    tree.add("user", "", None)
    assert read(trace_of(tree, [0], stop="error")).steps == ()


def search() -> tuple[Trace, Tree]:
    tree = Tree()
    root = tree.add("user", "q", None)
    first, other = (tree.add("assistant", text, root, reply=reply(text)) for text in ("a", "b"))
    tree.add("assistant", "b1", tree.add("user", "next", other), reply=reply("b1"))
    after = tree.add("user", "next", first)
    leaves = [tree.add("assistant", text, after, reply=reply(text)) for text in ("a1", "a2")]
    first.value, first.visits = 0.75, 3
    return trace_of(tree, [node.index for node in leaves[1].path()]), tree


def test_a_tree_is_laid_out_parents_in_the_middle_and_the_way_marked() -> None:
    trace, tree = search()
    placed = {tree.nodes[dot.index].content: dot for dot in dots(trace)}
    assert is_tree(trace)
    assert not is_tree(trace_of(chat(), list(range(7))))
    assert {text: dot.y for text, dot in placed.items()} == {"a": 0, "b": 0, "b1": 1, "a1": 1, "a2": 1}
    assert placed["a"].x == (placed["a1"].x + placed["a2"].x) / 2
    assert len({dot.x for dot in placed.values() if dot.y == 1}) == 3
    assert {text for text, dot in placed.items() if dot.on_path} == {"a", "a2"}


def test_the_drawing_links_each_dot_and_shows_no_markup_of_a_model() -> None:
    tree = Tree()
    root = tree.add("user", "q", None)
    bad = '<script>alert(1)</script><img src=x onerror="alert(1)">'
    nodes = [tree.add("assistant", bad, root, reply=reply(bad)) for _ in range(2)]
    svg = draw(trace_of(tree, [0, nodes[0].index]), "t1-")
    assert 'href="#t1-1"' in svg
    assert "<script" not in svg
    assert not re.search(r"<img|onerror=\"", svg)


def test_of_a_deep_and_wide_tree_the_most_visited_are_drawn_with_all_that_lead_to_them() -> None:
    tree = Tree()
    node = root = tree.add("user", "q", None)
    for _ in range(3000):
        node = tree.add("assistant", "d", node, reply=reply("d"))
    for _ in range(3000):
        tree.add("assistant", "w", root, reply=reply("w"))
    placed = dots(trace_of(tree, [0, 1]))
    assert len(placed) <= 1500
    shown = {dot.index for dot in placed}
    assert all(dot.parent in shown or dot.parent == -1 for dot in placed)
