"""Gemini's explicit caches, for system prompts that are long enough to be worth one.

Gemini caches by itself what requests have in common, without a promise. A system prompt that all conversations of a run
share, and that reaches the model's minimum, is put into a cache of its own when it is asked for the second time: from
then on its tokens are read at the cached price for certain. Storage is billed by the hour, so caches live as long as
the model does. Whatever goes wrong with one, its prompt is sent along as before, and no second one is tried.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from google import genai
from google.genai import types

from openstrawberry.errors import ProviderError

LIFE = 3600.0  # seconds that a cache is stored for, should nobody delete it
RENEWED = 0.75  # the share of its life after which it is made anew
BYTES_PER_TOKEN = 4  # of English; a prompt that is too short after all is refused, and sent along as before


class GeminiCaches:
    """Caches of the system prompts of one model; `fails` are the exceptions that the SDK lets through."""

    def __init__(
        self,
        client: genai.Client,
        model: str,
        fails: tuple[type[Exception], ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._model = model
        self._fails = fails
        self._clock = clock
        self._least = BYTES_PER_TOKEN * (1024 if "flash" in model else 4096)
        self._seen: Counter[str] = Counter()
        self._made: dict[str, asyncio.Future[str]] = {}
        self._until: dict[str, float] = {}

    async def name(self, system: str) -> str:
        """The cache that holds `system`, made now if it is time; empty where there is none."""
        if len(system.encode()) < self._least:
            return ""
        self._seen[system] += 1
        if self._seen[system] == 1:
            return ""
        if system not in self._made or self._clock() > self._until[system]:
            self._until[system] = self._clock() + RENEWED * LIFE
            self._made[system] = asyncio.create_task(self._make(system))
        return await asyncio.shield(self._made[system])

    def lost(self, name: str, error: ProviderError) -> bool:
        """Whether `error` says that the cache `name` cannot be used: its prompt is then sent along for good."""
        if not name or error.kind not in ("auth", "not_found", "bad_request") or "cache" not in str(error).lower():
            return False
        for system in [system for system, made in self._made.items() if made.done() and made.result() == name]:
            self._give_up(system)
        return True

    async def close(self) -> None:
        """Deletes every cache that was made."""
        for name in await asyncio.gather(*self._made.values()):
            if name:
                await self._delete(name)

    async def _make(self, system: str) -> str:
        config = types.CreateCachedContentConfig(system_instruction=system, ttl=f"{LIFE:g}s")
        try:
            made = await self._client.aio.caches.create(model=self._model, config=config)
        except self._fails:
            self._until[system] = float("inf")
            return ""
        return made.name or ""

    def _give_up(self, system: str) -> None:
        self._until[system] = float("inf")
        self._made[system] = asyncio.get_running_loop().create_future()
        self._made[system].set_result("")

    async def _delete(self, name: str) -> None:
        try:
            await self._client.aio.caches.delete(name=name)
        except self._fails:
            return  # it ends by itself when its life is over
