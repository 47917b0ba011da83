r"""Reads `\boxed{...}` out of LaTeX, braces balanced, as benchmark solutions and models write their answers."""

import re


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{...}` or `\fbox{...}` whose braces balance and hold something, or None."""
    end = len(text)
    for _ in range(20):  # a text that ends in many broken boxes has no answer in a box
        start = max(text.rfind(r"\boxed{", 0, end), text.rfind(r"\fbox{", 0, end))
        if start < 0:
            return None
        content = balanced(text, text.index("{", start))
        if content is not None and content.strip():
            return content.strip()
        end = start
    return None


def balanced(text: str, opening: int) -> str | None:
    """What stands between the brace at `opening` and the one that closes it, or None where nothing does."""
    depth = 0
    for brace in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, opening):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0 and brace[0] == "}":
            return text[opening + 1 : brace.start()]
    return None
