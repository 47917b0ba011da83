"""The steps of one trace: lines that fit, replies that never mix, and nothing shown twice."""

import io
from random import Random

import pytest
from rich.cells import cell_len
from rich.console import Console

from openstrawberry.chat import Delta, Reply
from openstrawberry.cli.flow import Flow
from openstrawberry.cli.steps import Steps
from openstrawberry.engine.events import Streamed, TurnEnded, TurnLost, TurnStarted
from openstrawberry.trace import Node, Tree
from tests.cli.commands import Shell

TEXTS = (
    "One word after the other, and  two spaces, until the line is full and another one begins.",
    "averyveryverylongwordthatfitsonnolineatall and a short one",
    "短い言葉も空白なしに続く長い文章も、行の幅で折り返される。 and more",
    "  led by spaces\n\n\nand empty lines\n",
    "\t- a list\n\t- of two",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [7, 20, 75])
def test_lines_fit_lose_nothing_and_are_the_same_however_the_text_was_cut(text: str, width: int) -> None:
    def lines(pieces: list[str]) -> list[str]:
        flow = Flow()
        return [line for piece in pieces for line in flow.feed(piece, width)] + [flow.rest]

    whole = lines([text])
    assert all(cell_len(line.rstrip()) <= width for line in whole)
    assert "".join(whole) == text.replace("\n", "").replace("\t", "    ")
    random = Random(width)
    for _ in range(20):
        cuts = sorted(random.choices(range(len(text) + 1), k=random.randint(1, 30)))
        assert lines([text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]) == whole


def test_a_word_longer_than_a_line_is_broken_and_all_others_are_whole() -> None:
    flow = Flow()
    assert flow.feed("see abcdefghijkl and then", 8) == ["see ", "abcdefgh", "ijkl and "]
    assert (flow.rest, flow.end(), flow.rest) == ("then", ["then"], "")


class Talk:
    """Plays the events of one trace into `Steps` and keeps what was shown, a line each without its indent."""

    def __init__(self, limit: int | None = None) -> None:
        self._console = Console(file=io.StringIO(), width=80)
        self._tree = Tree()
        self._root = self._tree.add("user", "Next step?", None)
        self.steps = Steps(self._console, limit)

    def begin(self, ask: int, key: str = "") -> None:
        self.steps.hear(TurnStarted("t", self._root, "solver", ask, key or f"key {ask}"))

    def say(self, ask: int, *texts: str, channel: str = "content") -> None:
        for text in texts:
            self.steps.hear(Streamed("t", Delta(text, channel), ask))  # type: ignore[arg-type]

    def end(self, ask: int, text: str) -> None:
        self.steps.hear(TurnEnded("t", self.node(text), ask))

    def lose(self, ask: int) -> None:
        self.steps.hear(TurnLost("t", ask))

    def node(self, text: str) -> Node:
        reply = Reply(content=text, finish_reason="stop", model="m", latency_s=1.5)
        return self._tree.add("assistant", text, self._root, reply=reply)

    @property
    def shown(self) -> list[str]:
        assert isinstance(self._console.file, io.StringIO)
        return [line.strip() for line in self._console.file.getvalue().splitlines()]


def test_of_several_calls_at_a_time_the_oldest_has_the_floor_and_replies_never_mix() -> None:
    talk = Talk()
    for ask in (1, 2, 3):
        talk.begin(ask)
    talk.say(2, "two, ", "and on")
    talk.say(1, "one, ")
    talk.end(2, "two, and on")
    talk.say(1, "and on")
    assert talk.shown == ["1  Next step?"]
    talk.end(1, "one, and on")
    talk.end(3, "three")
    steps = ["one, and on", "two, and on", "three"]
    assert talk.shown == [
        line for number, step in enumerate(steps, 1) for line in (f"{number}  Next step?", step, "1.50 s")
    ]


def test_a_call_without_a_reply_gives_the_floor_away() -> None:
    talk = Talk()
    for ask in (1, 2, 3):
        talk.begin(ask)
    talk.say(1, "half of")
    talk.lose(2)  # nobody has seen anything of it
    talk.lose(1)
    talk.end(3, "whole")
    assert talk.shown == ["1  Next step?", "half of", "(broken off)", "2  Next step?", "whole", "1.50 s"]


def test_a_reply_that_is_asked_for_again_begins_anew() -> None:
    talk = Talk()
    talk.begin(1)
    talk.say(1, "half of")
    talk.say(1, "", channel="restart")
    talk.say(1, "whole")
    talk.end(1, "whole")
    assert talk.shown == ["1  Next step?", "half of", "(interrupted, asking again)", "whole", "1.50 s"]


def test_what_was_shown_is_not_shown_again_when_it_is_replayed() -> None:
    talk = Talk()
    for _ in range(2):
        talk.begin(1, "the same")
        talk.say(1, "one")
        talk.end(1, "one")
    talk.begin(2, "another")
    talk.end(2, "one")
    assert talk.shown == ["1  Next step?", "one", "1.50 s", "2  Next step?", "one", "1.50 s"]


def test_thoughts_have_lines_of_their_own_and_empty_lines_stand_only_in_the_middle() -> None:
    talk = Talk()
    talk.begin(1)
    talk.say(1, "\n\nhm, ", "hm", channel="reasoning")
    talk.say(1, "\n\nSo it", " is.\n\n\nYes.\n\n")
    talk.end(1, "\n\nSo it is.\n\n\nYes.\n\n")
    assert talk.shown == ["1  Next step?", "hm, hm", "", "So it is.", "", "", "Yes.", "1.50 s"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("r is r.\n<turn_title>Counting</turn_title>", "Counting · "),
        ('{"title": "Count the \\"r\\"", "content": "r is r."}', 'Count the "r" · '),
        ("r is r.", ""),
        ("<turn_title>\x1b[2J</turn_title>", "\\x1b[2J · "),
    ],
)
def test_a_step_ends_with_the_title_that_it_gives_itself_and_its_time(text: str, title: str) -> None:
    talk = Talk()
    talk.begin(1)
    talk.end(1, text)
    assert talk.shown[-1] == f"{title}1.50 s"
    assert "\x1b" not in "".join(talk.shown)


def test_a_reply_that_comes_whole_is_cut_where_that_is_wanted() -> None:
    talk = Talk(limit=10)
    talk.begin(1)
    talk.end(1, "0123456789 and more")
    assert talk.shown[1] == "012345678…"


def test_ask_shows_every_member_of_a_vote(shell: Shell) -> None:
    vote = ("--strategy", "vote", "--set", "base=zero-shot", "--set", "k=3", "--set", "early=off")
    done = shell.strawberry("ask", "How many?", "--model", f"scripted:{shell.script}", *vote, "--out", shell.run)
    assert done.code == 0
    assert done.out.count("     s is not r.\n") == 3
