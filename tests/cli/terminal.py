"""A command in a pseudo-terminal, and the screen as a person sees it.

`Screen` knows what rich writes and no more: anything else is an error, so that no stray control sequence goes unseen.
"""

import codecs
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Self

from rich.cells import cell_len

_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b[^\[]|[^\x1b]", re.DOTALL)
_UNFINISHED = re.compile(r"\x1b(\[[?\d;]*)?\Z")
PATIENCE = 60.0  # seconds that a command may take in all


class Screen:
    """What stands on a terminal of `columns` after all that was written; lines never leave it at the top.

    `colours` counts the sequences that set a colour; `cursor` tells whether it can be seen.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.colours = 0
        self.cursor = True
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0
        self._pending = ""

    def write(self, text: str) -> None:
        text = self._pending + text
        cut = _UNFINISHED.search(text)
        self._pending = cut.group() if cut else ""
        for found in _SEQUENCE.finditer(text[: cut.start()] if cut else text):
            if found[2]:
                self._control(found[1], found[2])
            else:
                self._character(found[0])

    @property
    def lines(self) -> list[str]:
        return ["".join(line).rstrip() for line in self._lines]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def _control(self, numbers: str, letter: str) -> None:
        if letter == "m":
            self.colours += any(30 <= int(number) <= 48 or int(number) >= 90 for number in re.findall(r"\d+", numbers))
        elif (numbers, letter) == ("2", "K"):
            self._lines[self._row] = []
        elif letter == "A":
            self._row -= int(numbers or 1)
        elif numbers == "?25":
            self.cursor = letter == "h"
        else:
            raise AssertionError(f"ESC [ {numbers} {letter}")
        assert self._row >= 0, "the cursor has left the screen"

    def _character(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._next()
        else:
            assert character.isprintable(), repr(character)
            width = cell_len(character)
            if self._column + width > self.columns:
                self._next()
                self._column = 0
            line = self._lines[self._row]
            line += [" "] * (self._column - len(line))
            line[self._column : self._column + width] = [character, *[""] * (width - 1)]
            self._column += width

    def _next(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])


class Terminal:
    """`with Terminal(folder, "ask", ...) as terminal:` runs `strawberry` in a terminal of `columns`.

    Settings of the environment are given by name; nothing else of ours is handed on.
    """

    def __init__(self, folder: Path, *arguments: object, columns: int = 80, **environment: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        settings = {"HOME": str(folder), "TERM": "xterm-256color", "LANG": "C.UTF-8", **kept, **environment}
        self.screen = Screen(columns)
        self.raw = ""
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "openstrawberry", *map(str, arguments)],
            cwd=folder, env=settings, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        self._deadline = time.monotonic() + PATIENCE
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def until(self, pattern: str) -> None:
        """Reads until `pattern` is found on the screen."""
        while not re.search(pattern, self.screen.text):
            assert self._read(), f"{pattern!r} never came:\n{self.screen.text}"

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Reads to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        """One piece; False at the end."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, self._deadline - time.monotonic()))
        assert ready, f"it takes too long:\n{self.screen.text}"
        try:
            piece = self._decoder.decode(os.read(self._ours, 65536))
        except OSError:  # the other side is closed
            return False
        self.raw += piece
        self.screen.write(piece)
        return True
