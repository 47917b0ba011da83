"""What a person sees while a run goes on: in a terminal, wide or narrow, simple or not, and in a pipe."""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from openstrawberry.cli.bottom import REDRAWS
from openstrawberry.cli.live import TextView
from openstrawberry.cli.notices import Notices
from openstrawberry.cli.tally import Tally, packed, slowest_of
from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Event, Retried, TraceEnded, Warned
from openstrawberry.errors import ProviderError
from openstrawberry.generate import Run
from openstrawberry.models.budget import Spent
from openstrawberry.settings import Settings
from openstrawberry.store.summary import Summary
from tests.cli.commands import Shell
from tests.cli.terminal import Terminal
from tests.servers.dialects import Said, Speaker, openai
from tests.servers.http import Answer, Received, Server

STEP = "First I look at the word, all of it – letter by letter, and count the r that I find.\n\nThere are some.\n"
FINAL = "<turn_title>Counted</turn_title><final_answer>3</final_answer>"
QUESTION = "How many r's are in strawberry?"
SEEN = 5  # pieces of the stream that hold STEP up to `First I look`


class Tap:
    """Lets streams go on piece by piece."""

    def __init__(self) -> None:
        self._pieces = asyncio.Semaphore(0)

    def let(self, pieces: int = 10_000) -> None:
        for _ in range(pieces):
            self._pieces.release()

    def stream(self, text: str) -> Answer:
        return openai(Said(text, options={"release": self._pieces.acquire}), stream=True)


def served(session: Callable[[str, Tap], Awaitable[None]]) -> None:
    """Runs `session(model, tap)` beside a server that says a step and then the answer, as `tap` lets it."""

    async def run() -> None:
        tap = Tap()
        said = [tap.stream(STEP), tap.stream(FINAL)] * 2
        async with Server(Speaker("openai", said)) as server:
            await session(f"compat:served@{server.url}/v1", tap)

    asyncio.run(run())


@pytest.mark.parametrize("columns", [80, 40])
def test_a_reply_is_seen_while_it_is_written_and_stands_there_in_whole_lines(tmp_path: Path, columns: int) -> None:
    async def session(model: str, tap: Tap) -> None:
        asked = ("ask", QUESTION, "--answer", 3, "--model", model, "--out", "run")
        with Terminal(tmp_path, *asked, columns=columns) as terminal:
            tap.let(SEEN)
            await asyncio.to_thread(terminal.until, r"\n     First I look\n     \d+\.\d s")  # it ticks
            assert "letter by letter" not in terminal.raw
            tap.let()
            assert await asyncio.to_thread(terminal.end) == 0
        lines, screen = terminal.screen.lines, terminal.screen
        first, second, end = (next(n for n, line in enumerate(lines) if line.startswith(head))
                              for head in ("  1  ", "  2  ", "✓ 3  (right)"))  # fmt: skip
        assert all(line.startswith("     ") or not line for line in lines[first + 1 : second])
        assert lines[first + 1 : second].count("") == 1
        assert " ".join(" ".join(lines[first + 1 : second - 1]).split()) == " ".join(STEP.split())
        assert re.fullmatch(r"     \d+\.\d\d s", lines[second - 1])
        assert re.fullmatch(r"     Counted · \d+\.\d\d s", lines[end - 2])
        assert not any(re.fullmatch(r"     \d+\.\d s", line) for line in lines)
        assert screen.cursor

    served(session)


@pytest.mark.parametrize("columns", [80, 40])
def test_watching_shows_the_steps_above_the_figures_and_leaves_each_once(shell: Shell, columns: int) -> None:
    async def session(model: str, tap: Tap) -> None:
        asked = ("generate", "--watch", "--model", model, "--problems", shell.problems, "--samples", 1,
                 "--concurrency", 1, "--out", "run")  # fmt: skip
        with Terminal(shell.folder, *asked, columns=columns) as terminal:
            tap.let(SEEN)
            await asyncio.to_thread(terminal.until, r"\n     First I look\n.*━.* 0/2 0:0.*\n✓ 0  ✗ 0  – 0")
            assert "letter by letter" not in terminal.raw
            tap.let()
            assert await asyncio.to_thread(terminal.end) == 0
        lines = terminal.screen.lines
        assert sum("━" in line for line in lines) == 1
        bar = next(number for number, line in enumerate(lines) if "━" in line)
        assert "2/2" in lines[bar]
        assert lines[bar + 1].startswith("✓ 1  ✗ 1  – 0")
        assert sum("First I look" in line for line in lines) == 2
        assert sum("Counted · " in line for line in lines) == 2
        assert terminal.screen.cursor

    served(session)


@pytest.mark.parametrize("command", ["ask", "generate"])
def test_a_terminal_is_left_as_it_was_when_it_is_interrupted(shell: Shell, command: str) -> None:
    async def session(model: str, tap: Tap) -> None:
        given = [QUESTION] if command == "ask" else ["--watch", "--problems", shell.problems, "--concurrency", 1]
        with Terminal(shell.folder, command, *given, "--model", model, "--out", "run") as terminal:
            tap.let(SEEN)
            await asyncio.to_thread(terminal.until, "First I look")
            terminal.process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(terminal.end) == 130
        assert terminal.screen.cursor
        assert sum(line.startswith("strawberry: Interrupted") for line in terminal.screen.lines) == 1

    served(session)


def test_ask_goes_on_where_it_paused_and_shows_nothing_twice(shell: Shell) -> None:
    shell.script.write_text(f"rules: [{{turn: 11, say: {FINAL}}}]\nturns: [A step.]\n")
    with Terminal(shell.folder, "ask", QUESTION, "--answer", 3, "--model", f"scripted:{shell.script}") as terminal:
        terminal.until(r"more turns\? \[Y/n\]")
        terminal.type("\n")
        assert terminal.end() == 0
    heads = [match[1] for line in terminal.screen.lines if (match := re.match(r" {1,2}(\d+)  ", line))]
    assert heads == [str(number) for number in range(1, 13)]
    assert terminal.screen.text.count("A step.") == 11
    assert "more turns? [Y/n]" in terminal.screen.text
    assert "✓ 3  (right)" in terminal.screen.lines


LOOKS: dict[str, tuple[dict[str, str], bool, bool]] = {
    "colours": ({}, True, True),
    "no colours": ({"NO_COLOR": "1"}, True, False),
    "a dumb terminal": ({"TERM": "dumb"}, False, False),
}


@pytest.mark.parametrize(("settings", "drawn", "coloured"), LOOKS.values(), ids=LOOKS)
def test_a_terminal_is_sent_what_it_can_do(shell: Shell, settings: dict[str, str], drawn: bool, coloured: bool) -> None:
    asked = ("generate", "--model", f"scripted:{shell.script}", "--problems", shell.problems, "--samples", 2)
    with Terminal(shell.folder, *asked, "--out", "run", **settings) as terminal:
        assert terminal.end() == 0
    assert (terminal.screen.colours > 0, "\x1b[2K" in terminal.raw, "\x1b" in terminal.raw) == (coloured, drawn, drawn)
    assert "  2/2 How many r in strawberry?  10 turns" in terminal.screen.lines
    assert "    right  2 of 4 (50%, 95% interval 15% to 85%)" in terminal.screen.lines


def test_json_is_nothing_but_json_in_a_terminal_too(shell: Shell) -> None:
    asked = ("generate", "--watch", "--json", "--model", f"scripted:{shell.script}", "--problems", shell.problems)
    with Terminal(shell.folder, *asked, "--samples", 1, "--out", "run") as terminal:
        assert terminal.end() == 0
    events = [json.loads(line) for line in terminal.raw.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["run", "summary"]


@pytest.mark.parametrize("command", ["ask", "generate"])
def test_a_pipe_gets_whole_lines_even_where_colours_are_forced(shell: Shell, command: str) -> None:
    given = [QUESTION] if command == "ask" else ["--watch", "--problems", str(shell.problems)]
    words = [sys.executable, "-m", "openstrawberry", command, *given, "--model", f"scripted:{shell.script}"]
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(words, cwd=shell.folder, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=True,
                          env={**kept, "FORCE_COLOR": "1", "TERM": "xterm"})  # fmt: skip
    assert "s is not r." in done.stdout
    assert set(re.findall(r"\x1b\[[?\d;]*([A-Za-z])", done.stdout)) == {"m"}  # colours, and nothing that moves
    assert "\r" not in done.stdout


def test_a_fast_run_is_drawn_a_few_times_a_second(shell: Shell) -> None:
    shell.script.write_text("turns: [<final_answer>3</final_answer>]")
    shell.problems.write_text("".join(f'{{"question": "{n}+{n}?", "answer": {2 * n}}}\n' for n in range(300)))
    asked = ("generate", "--model", f"scripted:{shell.script}", "--problems", shell.problems, "--samples", 1)
    began = time.monotonic()
    with Terminal(shell.folder, *asked, "--out", "run") as terminal:
        assert terminal.end() == 0
    assert terminal.raw.count("\r\x1b[2K") <= 20 + REDRAWS * (time.monotonic() - began)
    assert "300/300" in terminal.screen.text


async def seen(view: TextView, tell: Callable[[Event], None] = lambda event: None, **config: Any) -> Summary:
    """A whole run in this process, seen by `view`; `tell` is called after each event."""

    def hear(event: Event) -> None:
        view.hear(event)
        tell(event)

    run = Run(RunConfig(**config), Settings({}), hear)
    try:
        view.start(run)
        return await run.run()
    finally:
        view.stop()
        await run.close()


def scripted(shell: Shell) -> dict[str, Any]:
    return {"model": f"scripted:{shell.script}", "problems": str(shell.problems), "out": shell.run}


def test_the_figures_of_a_run_that_goes_on_are_those_of_its_summary(shell: Shell) -> None:
    counted = "usage: {input: 100, cached_input: 40, output: 7}"
    shell.script.write_text(
        f"rules:\n - {{question: '2', turn: 2, say: {{error: bad_request, status: 400}}}}\n"
        f" - {{when: confident, say: {{content: <final_answer>3</final_answer>, {counted}}}}}\n"
        f"turns:\n - {{content: a, {counted}}}\n"
    )
    for samples, errors in ((2, 2), (3, 0)):
        view = TextView(Console(file=io.StringIO()))
        summary = asyncio.run(seen(view, samples=samples, **scripted(shell)))
        tally = view.tally
        assert tally.errors == errors
        assert (tally.right, tally.wrong, tally.none) == tuple(
            summary.statuses.get(status, 0) for status in ("correct", "incorrect", "unknown")
        )
        if errors:  # mended for the next command
            shell.script.write_text(shell.script.read_text().replace("turn: 2", "turn: 200"))
    assert (tally.done, tally.whole) == (6, 6)
    assert summary.tokens == {"input": tally.input, "cached": tally.cached, "output": tally.output}


@pytest.mark.parametrize(("turns", "begins", "made"), [(30, 0, 4), (3, 4, 0)])
def test_traces_that_go_on_with_more_turns_count_once(shell: Shell, turns: int, begins: int, made: int) -> None:
    asyncio.run(seen(TextView(Console(file=io.StringIO())), samples=2, max_turns=3, **scripted(shell)))
    said, done = io.StringIO(), list[int]()
    view = TextView(Console(file=said, width=300))
    summary = asyncio.run(seen(view, lambda event: done.append(view.tally.done), samples=2, max_turns=turns,
                               **scripted(shell)))  # fmt: skip
    assert ([*done, view.tally.done][0], view.tally.done, summary.made) == (begins, 4, made)
    lines = said.getvalue().splitlines()
    assert lines[1].endswith(", which has 4 traces.")
    assert [line[:6] for line in lines if line.endswith("turns") and "/" in line] == ["  2/2 ", "  0/2 "] * bool(made)


def test_where_nothing_can_be_drawn_a_plain_line_comes_every_half_minute(shell: Shell) -> None:
    now = 0.0

    def tell(event: Event) -> None:
        nonlocal now
        now += 20.0 * isinstance(event, TraceEnded)

    said = io.StringIO()
    view = TextView(Console(file=said), clock=lambda: now)
    asyncio.run(seen(view, tell, samples=2, concurrency=1, **scripted(shell)))
    found = [line for line in said.getvalue().splitlines() if " traces · " in line]
    assert found == ["2 of 4 traces · ✓ 2  ✗ 0  – 0"]


def test_each_trouble_is_said_once_a_minute_and_every_warning() -> None:
    now, said = 0.0, io.StringIO()
    notices = Notices(Console(file=said, width=200), lambda: now)
    for seconds, kind in ((0, "rate_limit"), (59, "rate_limit"), (59, "server"), (61, "rate_limit")):
        now = float(seconds)
        notices.hear(Retried(ProviderError(f"{kind} at {seconds}.", provider="p", kind=kind), 1, 2.0))  # type: ignore[arg-type]
    notices.hear(Warned("Weak."))
    notices.hear(Warned("Weak."))
    told = [f"{what} Asking again in 2.0 s." for what in ("rate_limit at 0.", "server at 59.", "rate_limit at 61.")]
    assert said.getvalue().splitlines() == [*told, "Weak.", "Weak."]


def test_the_slowest_of_several_models_is_named_with_what_a_reply_takes(shell: Shell) -> None:
    def say(text: str) -> Answer:
        return openai(Said(text), stream=False)

    def solver(received: Received) -> Answer:
        return say(FINAL if b'"assistant"' in received.body else "A step.")

    said = io.StringIO()
    view = TextView(Console(file=said, width=200))

    async def session() -> dict[str, float]:
        async with Server(solver) as one, Server(lambda received: say("<score>5</score>")) as two:
            models = {"model": f"compat:solver@{one.url}/v1", "critic_model": f"compat:critic@{two.url}/v1"}
            summary = await seen(view, samples=1, strategy="critic", **{**scripted(shell), **models})
            assert set(summary.latency_s) == set(models.values())
            view.summary(summary)
            return summary.latency_s

    latencies = asyncio.run(session())
    slowest = slowest_of(latencies)
    assert slowest.startswith(max(latencies, key=lambda name: latencies[name]))
    assert f"  slowest  {slowest}\n" in said.getvalue()
    assert f"slowest {slowest}" in map(str, view.tally.parts())


def test_the_slowest_has_the_longest_median_and_one_model_alone_is_not_slow() -> None:
    assert slowest_of({"a:x": 0.5, "b:y": 12.345, "c:z": 3.0}) == "b:y, 12.35 s a reply"
    assert slowest_of({"a:x": 0.5}) == slowest_of({}) == ""


@pytest.mark.parametrize(
    ("spent", "told"),
    [
        (Spent(usd=2.0), "$2.00 of about $4.80"),  # 64 traces are under way, one of 80 is done
        (Spent(usd=9.0), "$9.00 of about $9.00"),
        (Spent(usd=2.0, unpriced=3), "over $2.00"),
        (Spent(unpriced=3), "cost unknown"),
        (Spent(), ""),
    ],
)
def test_what_a_run_will_cost_is_told_by_what_its_ended_traces_did(spent: Spent, told: str) -> None:
    assert Tally(done=1, whole=80, ended_usd=0.06, spent=spent).money == told


def test_figures_stand_side_by_side_as_far_as_they_fit() -> None:
    parts = [Text(word) for word in ("aaaa", "bbbb", "cc", "ddddddddddddddd")]
    assert [str(line) for line in packed(parts, 11)] == ["aaaa · bbbb", "cc", "dddddddddd…"]
    assert [str(line) for line in packed(parts, 80)] == ["aaaa · bbbb · cc · ddddddddddddddd"]
    assert packed([], 80) == []
