"""Tells what a model thought from what it answers, where both came as one text.

Providers that know about thoughts send them apart (`Reply.reasoning`). Elsewhere they stand in the text between marks,
which each family of models spells its own way; where the chat template has already written the opening mark, the
closing one comes alone.
"""

import re

PAIRS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen, QwQ and most others
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # Open-O1
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # STILL-2, Sky-T1
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
)
AROUND = (  # what the same families put around the answer
    ("<output>", "</output>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)


def split_thoughts(text: str) -> tuple[str, str] | None:
    """The thoughts that `text` opens with, and the answer after them; None where it opens with none.

    Only what stands at the beginning counts, so that an answer *about* the marks stays as it is; a closing mark without
    an opening one counts where it has a line of its own. Thoughts that never end are all there is.
    """
    start = text.lstrip()
    for opening, closing in PAIRS:
        if start[: len(opening)].lower() == opening.lower():
            thoughts, rest = _parted(start[len(opening) :], re.escape(closing)) or (start[len(opening) :], "")
            return thoughts.strip(), _answer(rest)
    for opening, closing in PAIRS:
        parted = _parted(text, rf"^[ \t]*{re.escape(closing)}[ \t\r]*$")
        if parted is not None and opening.lower() not in parted[0].lower():
            return parted[0].strip(), _answer(parted[1])
    return None


def _parted(text: str, pattern: str) -> tuple[str, str] | None:
    found = re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
    return (text[: found.start()], text[found.end() :]) if found else None


def _answer(rest: str) -> str:
    answer = rest.strip()
    for opening, closing in AROUND:
        if answer[: len(opening)].lower() == opening.lower():
            inner = answer[len(opening) :]
            ended = inner[-len(closing) :].lower() == closing.lower()
            return (inner[: -len(closing)] if ended else inner).strip()
    return answer
