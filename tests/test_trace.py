"""The tree that grows, and what is derived from a finished trace."""

import time

from openstrawberry.trace import Tokens, Trace, Tree, title_of, turn_of
from tests.making import make_reply, make_trace


def test_a_trace_survives_its_line() -> None:
    trace = make_trace(7)
    assert Trace.model_validate_json(trace.to_line()) == trace
    assert "\n" not in trace.to_line()
    assert trace.to_line().startswith('{"schema":1,')


def test_the_conversation_of_a_node_shares_its_parents_messages() -> None:
    tree = Tree()
    root = tree.add("system", "s", None)
    left, right = tree.add("user", "l", root), tree.add("user", "r", root)
    assert left.messages[:1] == right.messages[:1] == root.messages
    assert left.chain != right.chain
    assert [node.index for node in left.path()] == [0, 1]


def test_the_hash_of_a_conversation_depends_on_all_of_it() -> None:
    def chain(*turns: str) -> str:
        tree, node = Tree(), None
        for turn in turns:
            node = tree.add("user", turn, node)
        assert node is not None
        return node.chain

    assert chain("a", "b") == chain("a", "b")
    assert len({chain("a", "b"), chain("b", "a"), chain("ab"), chain("", "ab"), chain("a", "b", "")}) == 5


def test_sums_of_tokens_keep_unknown_apart_from_zero() -> None:
    total = Tokens.total([Tokens(input=3, output=0), Tokens(input=4), Tokens()])
    assert (total.input, total.output, total.cached_input) == (7, 0, -1)


def test_a_title_is_the_models_own_or_the_first_sentence() -> None:
    assert title_of("Some work.\n<turn_title>Counting the letters</turn_title>") == "Counting the letters"
    assert title_of("<thinking>Hm.</thinking> So it is.") == "Hm."
    assert title_of("x" * 100) == "x" * 59 + "…"
    assert title_of("") == ""
    assert title_of("<turn_title>Cut in the mid") == "Cut in the mid"


def test_a_title_is_found_at_once_in_text_without_end() -> None:
    before = time.process_time()
    for junk in ("\n", " ", "<turn_title>", "<", "a. "):
        title_of("<turn_title>Counting" + junk * 100_000 + "x")
    assert time.process_time() - before < 2  # seconds; it was minutes when it looked back at every character


def test_turns_count_replies_on_the_way_to_the_answer_only() -> None:
    assert make_trace().turns == 1
    assert [message.role for message in make_trace().chat] == ["user", "assistant"]
    assert make_reply().finish_reason == "stop"


def test_a_copy_stands_elsewhere_and_is_paid_for_where_it_was_said() -> None:
    tree = Tree()
    shown = tree.add("user", "hint", None, "hint")
    said = tree.add("assistant", "x", shown, "hint", make_reply("x", reasoning="r", cost_usd=0.5), key="k")
    asked = tree.add("user", "bare", None)
    copy = tree.copy(said, asked)
    assert (copy.content, copy.channel, copy.key, copy.copy_of) == ("x", "main", "k", said)
    assert [message.content for message in copy.messages] == ["bare", "x"]
    turns = [turn_of(node) for node in tree.nodes]
    assert turns[3].copy_of == 1
    assert [turn.copy_of for turn in turns[:3]] == [-1, -1, -1]
    assert (turns[3].reasoning, turns[3].model) == ("r", "scripted:test")
    assert Tokens.total(turn.usage for turn in turns if turn.model) == turns[1].usage
    assert copy.reply is not None
    assert copy.reply.cost_usd == 0.0
    apart = tree.copy(said, asked, content="y", reasoning="z")
    assert (apart.content, apart.messages[-1].content, apart.messages[-1].reasoning) == ("y", "y", "z")
    assert said.content == "x"
    assert tree.copy(asked, None).reply is None
