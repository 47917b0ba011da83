"""Which of the places that run side by side a trace takes; providers find its cached prompts by it.

A provider that routes requests by a key keeps what a key has sent on one machine, as long as that is not more than
about 15 requests a minute (OpenAI's prompt caching guide). With a key for every trace each would find a cold machine,
and read the beginning that all share at the full price; one key for all would be far too much for it. A place that
traces take one after the other is warm for the next, and never busier than one trace makes it.
"""

import heapq
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """Numbers from 0, each taken by one at a time; the lowest that is free is taken next."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._made = 0

    @contextmanager
    def taken(self) -> Iterator[int]:
        """A number, for as long as the block lasts."""
        if self._free:
            slot = heapq.heappop(self._free)
        else:
            slot, self._made = self._made, self._made + 1
        try:
            yield slot
        finally:
            heapq.heappush(self._free, slot)
