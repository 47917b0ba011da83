"""Splits `<think>...</think>` at the start of a reply off into the reasoning, whole or as it streams.

Local servers without a reasoning parser send what a model thought as plain text. Only a block that opens the reply
counts, so that an answer *about* the tags stays as it is; a block that never closes is all reasoning.
"""

from dataclasses import dataclass, field

from openstrawberry.chat import Delta

OPEN, CLOSE = "<think>", "</think>"


@dataclass(slots=True)
class ThinkSplitter:
    """Feed it the visible text piece by piece; it hands back the same text as deltas on the right channel."""

    inside: bool = False
    done: bool = False
    held: str = ""
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)

    def feed(self, text: str) -> list[Delta]:
        """What can be said for sure after `text`; the rest is held back."""
        if self.done:
            return self._said(text)
        self.held += text
        if not self.inside:
            start = self.held.lstrip()
            if OPEN.startswith(start) and len(start) < len(OPEN):
                return []
            if not start.startswith(OPEN):
                self.done = True
                return self._said(self._release())
            self.inside, self.held = True, start[len(OPEN) :]
        return self._inside()

    def end(self) -> list[Delta]:
        """What was still held back when the reply ended."""
        return self._thought(self._release()) if self.inside and not self.done else self._said(self._release())

    def _inside(self) -> list[Delta]:
        before, closed, after = self.held.partition(CLOSE)
        if closed:
            self.done, self.held = True, ""
            return self._thought(before) + self._said(after.lstrip())
        keep = next((n for n in range(len(CLOSE) - 1, 0, -1) if before.endswith(CLOSE[:n])), 0)
        cut = len(before) - keep
        self.held = before[cut:]
        return self._thought(before[:cut])

    def _release(self) -> str:
        held, self.held = self.held, ""
        return held

    def _said(self, text: str) -> list[Delta]:
        if text and not self.content and self.inside:
            text = text.lstrip()
        if text:
            self.content.append(text)
        return [Delta(text)] if text else []

    def _thought(self, text: str) -> list[Delta]:
        if text:
            self.reasoning.append(text)
        return [Delta(text, "reasoning")] if text else []
