"""Finds the program in what a model wrote. Pure functions; nothing here raises, whatever the text.

A reply may hold one fenced block or several (a helper, the function, a call of it), a whole function without fences
and with prose around it, or only the body of the function whose head the question gave. The last block that defines
what the tests call is taken; else all blocks together; a body is put under its head.
"""

import ast
import re
import textwrap
from collections.abc import Iterator

from openstrawberry.verifiers.cases import Cases, parsed, tree_of

CUTS = 20
"""How often a text without fences is cut off where it stops being Python."""

_FENCE = re.compile(
    r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+([\w+#.-]*+)[^\n`]*+\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_OPENING = re.compile(r"^(?:def|class|import|from|async|@)\b|^@", re.MULTILINE)
_OTHER_LANGUAGES = {"bash", "sh", "shell", "console", "text", "txt", "output", "json", "plaintext", "none", "markdown"}


def program_in(answer: str, cases: Cases) -> str:
    """The program that `answer` gives; the text itself where none can be told from it."""
    python = ""
    for found in _candidates(answer, cases):
        tree = tree_of(found)
        if tree is not None and _defines(tree, cases):
            return found
        python = python or (found if tree is not None else "")
    return python or answer


def has_program(text: str, cases: Cases) -> bool:
    """Whether a program stands in `text`: a fenced block, or code that defines what the tests call."""
    return any(True for _ in blocks(text)) or any(_fits(found, cases) for found in _candidates(text, cases))


def blocks(text: str) -> list[str]:
    """The fenced blocks of code in `text`, in order; a block that is never closed goes to the end."""
    found = _FENCE.findall(text)
    return [textwrap.dedent(code) for _, language, code in found if language.lower() not in _OTHER_LANGUAGES]


def _candidates(answer: str, cases: Cases) -> Iterator[str]:
    fenced = blocks(answer)
    yield from reversed(fenced) if cases.wanted else sorted(fenced, key=len, reverse=True)
    if len(fenced) > 1:
        yield "\n\n".join(fenced)
    for code in [*reversed(fenced), *([] if fenced else [answer])]:
        yield from _completed(code, cases)
    if not fenced:
        yield answer
        yield from _among_prose(answer)


def _completed(code: str, cases: Cases) -> Iterator[str]:
    """`code` as the body under the head of the question; the first line may have lost its indentation."""
    if not cases.head or not code.strip() or _fits(code, cases):
        return
    head = cases.head.rstrip() + "\n"
    code = code.strip("\n")
    if code[:1].isspace():
        yield head + code
    if any(line[:1].isspace() for line in code.splitlines()[1:]):
        yield head + "    " + code.lstrip()
    yield head + textwrap.indent(textwrap.dedent(code), "    ")


def _among_prose(text: str) -> Iterator[str]:
    opening = _OPENING.search(text)
    if not opening:
        return
    lines = text[opening.start() :].splitlines()
    for _ in range(CUTS):
        text = "\n".join(lines)
        yield text
        del lines[_sound(text, len(lines)) :]


def _sound(text: str, lines: int) -> int:
    """How many lines of `text` stand before the one where Python stops to understand it; at least one is left out."""
    try:
        parsed(text)
    except SyntaxError as error:
        return max(0, min(error.lineno or 0, lines) - 1)
    except (ValueError, RecursionError, MemoryError):
        pass
    return max(0, lines - 1)


def _fits(code: str, cases: Cases) -> bool:
    tree = tree_of(code)
    return tree is not None and _defines(tree, cases)


def _defines(tree: ast.Module, cases: Cases) -> bool:
    """Whether the code defines every name that the tests need; a program need not define any."""
    names: set[str] = set()
    for node in ast.walk(tree):  # also below an `if` or a `try`
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(name.asname or name.name for name in node.names)
    return cases.wanted <= names and bool(tree.body)
