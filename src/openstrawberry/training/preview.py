"""Rows as the model will read them, for people to look at before anything is trained."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from openstrawberry.training.data import Row


class Preview(NamedTuple):
    """One sequence of a row: `row` counts from 1, `side` is chosen, rejected or completion, empty where there is one.

    `pieces`: its text, and whether it is learnt.
    """

    row: int
    side: str
    pieces: list[tuple[str, bool]]


def sequences(row: Row) -> Iterator[tuple[str, list[int], list[bool]]]:
    if "labels" in row:
        yield "", row["input_ids"], [label != -100 for label in row["labels"]]
    for side in ("chosen", "rejected", "completion"):
        if f"{side}_ids" in row:
            prompt = row["prompt_ids"]
            yield side, prompt + row[f"{side}_ids"], [False] * len(prompt) + row[f"{side}_learn"]


def pieces(tokenizer: Any, ids: list[int], learn: list[bool]) -> list[tuple[str, bool]]:
    pieces: list[tuple[list[int], bool]] = []
    for token, mark in zip(ids, learn, strict=True):
        if not pieces or pieces[-1][1] != mark:
            pieces.append(([], mark))
        pieces[-1][0].append(token)
    return [(tokenizer.decode(part), mark) for part, mark in pieces]
