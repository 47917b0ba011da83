"""Text that comes in pieces, as lines that fit."""

import re

from rich.cells import cell_len, chop_cells

_WORD = re.compile(r"\s*\S+\s*")


class Flow:
    """Breaks text into lines between words while it comes. `rest` is the last line, which may still grow."""

    def __init__(self) -> None:
        self.rest = ""

    def feed(self, text: str, width: int | None) -> list[str]:
        """Takes a piece; returns the lines that are whole now, of at most `width` cells (None: as they were written).

        They are the same however the text was cut into pieces.
        """
        *whole, rest = (self.rest + text.replace("\t", "    ")).split("\n")
        lines = [part for line in whole for part in broken(line, width)]
        *more, self.rest = broken(rest, width)
        return lines + more

    def end(self) -> list[str]:
        """The last line, if there is anything on it; what comes next begins a new one."""
        last, self.rest = self.rest, ""
        return [last] if last.strip() else []


def broken(line: str, width: int | None) -> list[str]:
    """`line` as lines of at most `width` cells, spaces at their ends not counted; joined they are what it was.

    A word longer than a line, and writing without spaces, is broken anywhere.
    """
    if width is None or cell_len(line) <= width:
        return [line]
    lines: list[str] = []
    for word in _WORD.findall(line):
        body = word.rstrip()
        if lines and cell_len(lines[-1]) + cell_len(body) <= width:
            lines[-1] += word
        else:
            lines += chop_cells(body, width)
            lines[-1] += word[len(body) :]
    return lines or [line]
