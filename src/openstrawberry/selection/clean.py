"""Exact and near duplicates among texts, in nearly linear time and bounded memory.

A text becomes the set of hashes of its five-word shingles; how alike two texts are is the Jaccard index of their sets.
Of a long text only the 128 smallest hashes are kept, from which the index is estimated (Broder 1997; standard error at
most 0.05, at an index of 0.95 about 0.02), and of a short one all, which makes it exact. Which texts are compared at
all is decided by buckets (locality-sensitive hashing): two texts meet when the three smallest hashes in one of eight
parts of the hash space agree, which at an index of 0.95 fails once in a million times. A bucket that many texts share
is searched only among its newest 50, so boiler-plate cannot make the work quadratic.

What always holds: the same texts in the same order give the same result, on any machine and in any process.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

SHINGLE = 5  # words
KEPT = 128
PARTS, SMALLEST = 8, 3
NEWEST = 50
_WORD = re.compile(r"\w+|[^\w\s]")

Copy = Literal["new", "exact", "near"]


def shingles(text: str) -> frozenset[int]:
    """Hashes of every five words in a row, case and spacing apart; of the whole text where it is shorter."""
    words = _WORD.findall(text.casefold())
    runs = [words[start : start + SHINGLE] for start in range(max(1, len(words) - SHINGLE + 1))]
    return frozenset(_hash(" ".join(run)) for run in runs)


def jaccard(one: Sequence[int], other: Sequence[int], least: float = 0.0) -> float:
    """How alike two sketches are, from 0 to 1: the share of the smallest hashes of both that stand in both.

    Where it cannot reach `least`, a lower number that is quicker to find.
    """
    shared = set(one).intersection(other)
    if max(len(one), len(other)) < KEPT:
        return len(shared) / (len(one) + len(other) - len(shared)) if one or other else 1.0
    if len(shared) < least * KEPT:
        return len(shared) / KEPT
    return len(shared.intersection(sorted({*one, *other})[:KEPT])) / KEPT


class Duplicates:
    """Remembers texts, and says of each new one whether it was there before.

    Args:
        near: texts at least this much alike are copies; 1 lets only exact ones count.
    """

    def __init__(self, near: float) -> None:
        self.near = near
        self._exact: set[bytes] = set()
        self._sketches: list[array[int]] = []
        self._buckets: dict[int, list[int]] = defaultdict(list)

    def add(self, text: str) -> Copy:
        """Remembers `text` if it is new."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._exact:
            return "exact"
        if self.near < 1:
            sketch = array("Q", sorted(shingles(text))[:KEPT])
            buckets = [self._buckets[key] for key in _keys(sketch)]
            met = {number for bucket in buckets for number in bucket}
            if any(jaccard(sketch, self._sketches[number], self.near) >= self.near for number in met):
                return "near"
            for bucket in buckets:
                bucket.append(len(self._sketches))
                del bucket[:-NEWEST]
            self._sketches.append(sketch)
        self._exact.add(digest)
        return "new"


def _keys(sketch: Sequence[int]) -> list[int]:
    parts: list[list[int]] = [[] for _ in range(PARTS)]
    for value in sketch:  # ascending, so each part fills with its smallest first
        part = parts[value % PARTS]
        if len(part) < SMALLEST:
            part.append(value)
    return [hash((number, *part)) for number, part in enumerate(parts) if part]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
