"""Events become lanes of blocks; several calls of one trace at a time are told apart; votes are counted."""

from openstrawberry.chat import Delta, Reply, Usage
from openstrawberry.engine.events import Streamed, TraceStarted, TurnEnded, TurnLost, TurnStarted
from openstrawberry.trace import Trace, Tree
from openstrawberry.ui.transcript import Transcript, Votes, spread, totals, winner
from tests.making import make_trace


def reply(text: str, **fields: object) -> Reply:
    return Reply(content=text, finish_reason="stop", model="m", **fields)


def test_pieces_of_several_calls_at_a_time_go_to_their_own_blocks() -> None:
    heard, tree = Transcript(), Tree()
    root = tree.add("user", "q", None)
    heard.hear(TraceStarted("t", "q", 0))
    for ask in (1, 2):
        heard.hear(TurnStarted("t", root, "solver", ask))
    for ask, text in ((1, "a"), (2, "b"), (1, "c"), (2, "d")):
        heard.hear(Streamed("t", Delta(text), ask))
    heard.hear(Streamed("t", Delta("hm", "reasoning"), 2))
    heard.hear(TurnEnded("t", tree.add("assistant", "bd", root, reply=reply("bd")), 2))
    (lane,) = heard.copy()
    assert [(block.text, block.thought, block.node is not None) for block in lane.blocks] == [
        ("ac", "", False),
        ("bd", "hm", True),
    ]
    assert not lane.is_chat


def test_a_stream_that_broke_off_begins_anew() -> None:
    heard, tree = Transcript(), Tree()
    heard.hear(TraceStarted("t", "q", 0))
    heard.hear(TurnStarted("t", tree.add("user", "q", None), "solver", 1))
    for delta in (Delta("half of it"), Delta("", "restart"), Delta("whole")):
        heard.hear(Streamed("t", delta, 1))
    assert heard.copy()[0].blocks[0].text == "whole"


def test_a_call_without_a_reply_leaves_no_block_that_thinks_for_ever() -> None:
    heard, tree = Transcript(), Tree()
    root = tree.add("user", "q", None)
    heard.hear(TraceStarted("t", "q", 0))
    for ask in (1, 2):
        heard.hear(TurnStarted("t", root, "solver", ask))
    heard.hear(Streamed("t", Delta("half of it"), 1))
    heard.hear(TurnLost("t", 1))
    assert [block.ask for block in heard.copy()[0].blocks] == [2]


def test_a_copy_does_not_grow() -> None:
    heard, tree = Transcript(), Tree()
    heard.hear(TraceStarted("t", "q", 0))
    heard.hear(TurnStarted("t", tree.add("user", "q", None), "solver", 1))
    before = heard.copy()
    heard.hear(Streamed("t", Delta("more"), 1))
    assert before[0].blocks[0].text == ""


def test_sums_are_unknown_only_where_nobody_said_and_dollars_where_anybody_did_not() -> None:
    heard, tree = Transcript(), Tree()
    root = tree.add("user", "q", None)
    heard.hear(TraceStarted("t", "q", 0))
    parts = ({"usage": Usage(input=5), "cost_usd": 0.25}, {"usage": Usage(input=7, output=2)})
    for ask, fields in enumerate(parts):
        heard.hear(TurnStarted("t", root, "solver", ask))
        heard.hear(TurnEnded("t", tree.add("assistant", "x", root, reply=reply("x", **fields)), ask))
        found = totals(heard.copy())
        assert found.dollars == (0.25 if ask == 0 else None)
    assert (found.input, found.cached, found.output, found.replies) == (12, None, 2, 2)


def answered(answer: str, status: str = "correct") -> Trace:
    return make_trace(status=status).model_copy(update={"answer": answer})


def test_votes_count_equal_answers_however_written_and_silence_does_not_vote() -> None:
    traces = [answered("4", "incorrect"), answered("1,000"), answered("1000.0"), answered("", "no_answer")]
    votes = spread(traces)
    assert votes == [Votes("1,000", 2, True), Votes("4", 1, False)]
    assert winner(votes) == votes[0]
    assert winner(spread(traces[:2])) is None
    assert winner([]) is None
