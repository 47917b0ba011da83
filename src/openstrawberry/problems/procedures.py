"""The step language of the two families: how a problem is solved in small steps, and whether a trace did so.

Every step restates the whole state, so that a turn can be written (and judged) from the turn before alone:

    How many r's are in berry?            What is 48 + 67?
    Find r. Count 0. Left berry           Left 48+67, carry 0, got nothing
    b is not r. Count 0. Left erry        8+7+0=15. Left 4+6, carry 1, got 5
    e is not r. Count 0. Left rry         4+6+1=11. Left 0+0, carry 1, got 15
    r is r. Count 1. Left ry              0+0+1=1. Left 0+0, carry 0, got 115
    ...                                   Done. Got 115
    Done. Count 2                         <final_answer>115</final_answer>

A line can be redone on request ("Check: <the line>"), which repairs it where it was wrong: the next step goes on from
what the check says. An answer asked for too early is refused with "Not yet.". `judge` follows a trace with this
procedure in hand and says of every turn whether it is right; a trace is *clean* when all are. A right answer with an
unclean trace was luck, or a repair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openstrawberry.problems.families import Addition, Item, LetterCount

NOT_YET = "Not yet."


def lines(item: Item) -> list[str]:
    """Every step of the procedure in order, the restated question first, "Done" last."""
    return _count_lines(item) if isinstance(item, LetterCount) else _add_lines(item)


def final(item: Item) -> str:
    return f"<final_answer>{item.answer}</final_answer>"


def check(line: str) -> str:
    """The reply to "are you sure?": the line redone."""
    return f"Check: {line}"


def _count_lines(item: LetterCount) -> list[str]:
    count = 0
    found = [f"Find {item.letter}. Count 0. Left {item.word}"]
    for position, letter in enumerate(item.word):
        count += letter == item.letter
        verdict = "is" if letter == item.letter else "is not"
        rest = item.word[position + 1 :]
        state = f"Count {count}. Left {rest}" if rest else f"Count {count}. Nothing left"
        found.append(f"{letter} {verdict} {item.letter}. {state}")
    return [*found, f"Done. Count {count}"]


def _add_lines(item: Addition) -> list[str]:
    a, b, carry, got = str(item.a), str(item.b), 0, ""
    found = [f"Left {a}+{b}, carry 0, got nothing"]
    while (a, b, carry) != ("0", "0", 0):
        total = int(a[-1]) + int(b[-1]) + carry
        column = f"{a[-1]}+{b[-1]}+{carry}={total}"
        a, b, carry, got = a[:-1] or "0", b[:-1] or "0", total // 10, str(total % 10) + got
        found.append(f"{column}. Left {a}+{b}, carry {carry}, got {got}")
    return [*found, f"Done. Got {got}"]


@dataclass(frozen=True)
class Judgement:
    """What `judge` found: whether each turn was right, and whether the trace is clean."""

    right: tuple[bool, ...]
    clean: bool


def judge(item: Item, turns: Sequence[str]) -> Judgement:
    """Follow the assistant turns of a trace, each a step, a check, a refusal or the answer.

    A turn is right when the procedure allows it after the turns before: the next line, or the one just claimed redone,
    and after a wrong one only that; "Not yet." only before the end, the answer only after it. A clean trace has only
    right turns and ends with the answer. The steps of one long reply (chain of thought) are judged with
    `judge(item, reply.splitlines())`.
    """
    procedure = lines(item)
    at = -1  # the last line of the procedure that has been claimed
    flawed = False  # whether that claim stands uncorrected
    right: list[bool] = []
    for turn in (text.strip() for text in turns):
        done = at >= len(procedure) - 2
        if turn == final(item):
            ok = done and not flawed
        elif turn == NOT_YET:
            ok = not done or flawed
        elif turn.startswith("Check: ") and at >= 0:
            ok = turn == check(procedure[at])
            flawed = not ok
        else:
            at, ok = _advance(procedure, at, turn, flawed)
            flawed = not ok
        right.append(ok)
    answered = bool(turns) and turns[-1].strip() == final(item)
    return Judgement(tuple(right), clean=answered and all(right))


def _advance(procedure: Sequence[str], at: int, turn: str, flawed: bool) -> tuple[int, bool]:
    """The line that a step claims to be, and whether it is right: the next one, or "Done" said again."""
    if not flawed and at + 1 < len(procedure):
        return at + 1, turn == procedure[at + 1]
    return at, not flawed and turn == procedure[at]
