"""Training files, read and checked, and turned into the rows that `trainers.py` wants.

Formats (written by `selection`): preference pairs `prompt, chosen, rejected` with an optional `offset`; labelled rows
`prompt, completion, label`; conversations `messages`; steps `prompt, completions, asked, labels, values`, where
`asked[i]` is the user turn before `completions[i]` ("" for the first, which the prompt ends in). A row of ordinary data
mixed into preferences is a pair of a conversation with itself: its preference term has no gradient, so only the
likelihood term learns from it.
"""

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.models.rendering import Encoded, Renderer
from openstrawberry.wording import cause

Messages = list[dict[str, str]]
Row = dict[str, Any]

SHAPES: dict[str, tuple[str, ...]] = {
    "pairs": ("prompt", "chosen", "rejected"),
    "labelled": ("prompt", "completion", "label"),
    "conversations": ("messages",),
    "steps": ("prompt", "completions", "asked", "labels", "values"),
}
_LISTS = ("completions", "asked", "labels", "values")
_MAKER = {
    "pairs": "strawberry select RUN --out FILE",
    "labelled": "strawberry select RUN --format kto --out FILE",
    "conversations": "strawberry select RUN --format sft --out FILE",
    "steps": "strawberry select RUN --format prm --out FILE",
}
_ROLES = ("system", "user", "assistant")


def read_rows(path: Path, shape: str) -> list[Row]:
    """Every row of a training file, checked.

    Raises:
        SetupError: the file cannot be read, is empty, or a line has another shape (which line, and why).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} cannot be read ({cause(error)}): make it with `{_MAKER[shape]}`.") from error
    rows = [_checked(path, number, line, shape) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise SetupError(f"{path} has no rows: make it with `{_MAKER[shape]}`.")
    return rows


def _checked(path: Path, number: int, line: str, shape: str) -> Row:
    def wrong(reason: str) -> SetupError:
        return SetupError(f"Line {number} of {path} {reason}: make the file with `{_MAKER[shape]}`.")

    try:
        row = json.loads(line)
    except ValueError as error:
        raise wrong("is no JSON") from error
    if not isinstance(row, dict):
        raise wrong("is no JSON object")
    missing = [key for key in SHAPES[shape] if key not in row]
    if missing:
        other = next((name for name, keys in SHAPES.items() if all(key in row for key in keys)), "")
        raise wrong(f"has no `{missing[0]}`" + (f", it looks like {other}" if other else ""))
    for key in SHAPES[shape]:
        if key == "label":
            if not isinstance(row[key], bool):
                raise wrong("has a `label` that is neither true nor false")
        elif key not in _LISTS and (reason := _fault(row[key], ends_in_reply=key != "prompt")):
            raise wrong(f"has a `{key}` that {reason}")
    if reason := _odd_steps(row) if shape == "steps" else _odd_number(row):
        raise wrong(reason)
    return row


def _odd_number(row: Row) -> str:
    given, offset = row.get("given", 0), row.get("offset", 0.0)
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < len(row.get("messages", [0, 0])):
        return "has a `given` that is no number of messages before the last"
    if isinstance(offset, bool) or not isinstance(offset, int | float) or not abs(offset) < 1e6:
        return "has an `offset` that is no number"
    return ""


def _odd_steps(row: Row) -> str:
    if not all(isinstance(row[key], list) for key in _LISTS) or len({len(row[key]) for key in _LISTS}) != 1:
        return "has `completions`, `asked`, `labels` and `values` that are no lists of one length"
    if not row["completions"]:
        return "has no `completions`"
    if not all(isinstance(text, str) for text in row["completions"] + row["asked"]) or row["asked"][0]:
        return 'has `completions` or `asked` that are no texts, or an `asked` that does not begin with ""'
    if not all(isinstance(label, bool) for label in row["labels"]):
        return "has `labels` that are neither true nor false"
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1 for v in row["values"]):
        return "has `values` that are no numbers from 0 to 1"
    return ""


def _fault(messages: object, ends_in_reply: bool) -> str:
    if not isinstance(messages, list) or not messages:
        return "is no list of messages"
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return "holds a message without text"
        if message.get("role") not in _ROLES:
            return f"holds a message whose role is {message.get('role')!r}"
    last = messages[-1]["role"]
    if ends_in_reply != (last == "assistant"):
        return f"ends in a turn of the {last}"
    return ""


class Encoder:
    """Makes trainer rows; remembers how long the sequences were."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self.lengths: list[int] = []

    def pair(self, row: Row) -> Row:
        """A preference pair."""
        return self._pair(row["prompt"], row["chosen"], row["rejected"], float(row.get("offset", 0.0)))

    def itself(self, row: Row) -> Row:
        """An ordinary conversation as a pair with itself."""
        prompt, reply = _split(row)
        return self._pair(prompt, reply, reply, 0.0)

    def labelled(self, row: Row) -> Row:
        """A row of KTO."""
        whole, start = self._completion(row["prompt"], row["completion"])
        rest = whole.after(start)
        self.lengths.append(len(whole))
        return {
            "prompt_ids": whole.ids[:start],
            "completion_ids": rest.ids,
            "completion_learn": rest.learn,
            "label": row["label"],
        }

    def wanted(self, row: Row) -> Row:
        """An ordinary conversation as a row of KTO."""
        prompt, reply = _split(row)
        return self.labelled({"prompt": prompt, "completion": reply, "label": True})

    def conversation(self, row: Row) -> Row:
        """A supervised row."""
        found = self._renderer.encode(row["messages"], int(row.get("given", 0)))
        self.lengths.append(len(found))
        return {
            "input_ids": found.ids,
            "labels": [token if learn else -100 for token, learn in zip(found.ids, found.learn, strict=True)],
        }

    def steps(self, row: Row, labels: str) -> Row:
        """A row of a process reward model: one target at the last token of each reply, -100 everywhere else."""
        talk = [*row["prompt"]]
        for number, (asked, reply) in enumerate(zip(row["asked"], row["completions"], strict=True)):
            talk += [{"role": "user", "content": asked}] if number else []
            talk.append({"role": "assistant", "content": reply})
        ids, ends = self._renderer.steps(talk, given=len(row["prompt"]))
        self.lengths.append(len(ids))
        targets = [-100.0] * len(ids)
        for end, target in zip(ends, row["values" if labels == "soft" else "labels"], strict=True):
            targets[end] = float(target)
        return {"input_ids": ids, "labels": targets}

    def _pair(self, prompt: Messages, chosen: Messages, rejected: Messages, offset: float) -> Row:
        (good, at), (bad, there) = self._completion(prompt, chosen), self._completion(prompt, rejected)
        start = min(at, there)
        self.lengths += [len(good), len(bad)]
        good_rest, bad_rest = good.after(start), bad.after(start)
        return {
            "prompt_ids": good.ids[:start],
            "chosen_ids": good_rest.ids,
            "chosen_learn": good_rest.learn,
            "rejected_ids": bad_rest.ids,
            "rejected_learn": bad_rest.learn,
            "offset": offset,
        }

    def _completion(self, prompt: Messages, rest: Messages) -> tuple[Encoded, int]:
        """The whole conversation, and where the first learnt token stands; replies inside the prompt are not learnt."""
        whole = self._renderer.encode([*prompt, *rest], given=len(prompt))
        return whole, whole.learn.index(True) if True in whole.learn else len(whole)


def _split(row: Row) -> tuple[Messages, Messages]:
    """A conversation before and from the first reply that the model itself wrote."""
    messages, given = row["messages"], int(row.get("given", 0))
    first = next(i for i, message in enumerate(messages) if message["role"] == "assistant" and i >= given)
    return messages[:first], messages[first:]


def parse_mix(text: str) -> tuple[Path, float]:
    """`FILE:SHARE` as its two parts.

    Raises:
        SetupError: there is no share, or it is not between 0 and 1.
    """
    file, _, share = text.rpartition(":")
    try:
        part = float(share)
        if not (file and 0 < part < 1):
            raise ValueError(share)
    except ValueError as error:
        raise SetupError(
            f"--mix {text} cannot be read: write it as --mix FILE:SHARE, such as easy.jsonl:0.2."
        ) from error
    return Path(file), part


def mixed(rows: list[Row], others: Iterable[tuple[list[Row], float]], seed: int) -> list[Row]:
    """`rows` with ordinary rows added until each kind has its share of the whole, drawn without repeats if it can be.

    Raises:
        SetupError: the shares add up to one or more.
    """
    parts = list(others)
    left = 1.0 - sum(share for _, share in parts)
    if left <= 0:
        raise SetupError("The shares of --mix add up to 1 or more, so nothing else would be learnt: lower them.")
    found = list(rows)
    for index, (pool, share) in enumerate(parts):
        found += _draw(pool, round(len(rows) * share / left), random.Random(f"{seed}/mix/{index}"))
    return found


def _draw(pool: list[Row], count: int, rng: random.Random) -> Iterator[Row]:
    order: list[Row] = []
    for _ in range(count):
        if not order:
            order = rng.sample(pool, len(pool))
        yield order.pop()
