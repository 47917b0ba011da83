"""Anthropic's message batches.

A batch there has no name or note of ours, and its ids are secret until it has ended. So the one that was submitted just
before a crash is looked for by its size and time, and proves itself by the ids among its results.
"""

from collections.abc import AsyncGenerator, Container, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from openstrawberry.chat import Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchEntry, BatchItem, BatchLimits, BatchState, Outcome
from openstrawberry.models.providers import wire
from openstrawberry.models.providers.endpoint import Endpoint
from openstrawberry.models.providers.faults import error_fields
from openstrawberry.models.providers.openai_batches import Spelling

_PATH = "/v1/messages/batches"
_CLOCKS_DIFFER = 900.0  # seconds that the provider's clock may be behind ours


class AnthropicBatches:
    """`/v1/messages/batches`."""

    limits = BatchLimits(100_000, 240_000_000)

    def __init__(self, model: Spelling, endpoint: Endpoint) -> None:
        self._model = model
        self._endpoint = endpoint

    def item(self, request: Request) -> BatchItem:
        line = b'{"custom_id":%b,"params":%b}' % (wire.encoded(request.key), self._model.body(request))
        return BatchItem(request.key, line, len(line) + 1)

    async def submit(self, items: Sequence[BatchItem], tag: str) -> str:
        body = b'{"requests":[' + b",".join(item.payload for item in items) + b"]}"
        created = await self._endpoint.post(body, _PATH)
        if not created.get("id"):
            raise self._endpoint.faults.malformed("a batch without an id")
        return str(created["id"])

    async def find(self, entry: BatchEntry, taken: Container[str]) -> str | None:
        """The oldest batch of this size since the entry was made; one that has ended must hold the entry's keys."""
        found = [row async for row in self._since(entry.created - _CLOCKS_DIFFER) if row["id"] not in taken]
        for row in reversed(found):
            if sum(_counts(row).values()) == len(entry.keys) and await self._may_be(row, entry.keys):
                return str(row["id"])
        return None

    async def state(self, batch: str) -> BatchState:
        row = await self._endpoint.get(f"{_PATH}/{batch}")
        if not isinstance(row, dict):
            raise self._endpoint.faults.malformed("a batch that is no JSON object")
        counts = _counts(row)
        total = sum(counts.values())
        ended = row.get("processing_status") == "ended"
        return BatchState("ended" if ended else "running", total - counts.get("processing", 0), total)

    async def results(self, batch: str) -> AsyncGenerator[tuple[str, Outcome]]:
        job = await self._endpoint.get(f"{_PATH}/{batch}")
        if not isinstance(job, dict) or not job.get("results_url"):  # put away after 29 days: nothing is left of it
            return
        rows = self._endpoint.rows(lambda client: client.messages.batches.with_streaming_response.results(batch))
        async with aclosing(rows):
            async for row in rows:
                yield str(row.get("custom_id")), self._outcome(row.get("result") or {})

    async def cancel(self, batch: str) -> None:
        await self._endpoint.post(b"{}", f"{_PATH}/{batch}/cancel")

    def _outcome(self, result: dict[str, Any]) -> Outcome:
        try:
            if result.get("type") == "succeeded":
                return self._model.reply(result["message"])
            if result.get("type") != "errored":
                return None
            code, message = error_fields(result.get("error"))
            if isinstance(result.get("error"), dict) and isinstance(result["error"].get("error"), dict):
                code, message = error_fields(result["error"]["error"])
            raise self._endpoint.faults.of_status(400 if code == "invalid_request_error" else 0, message, code=code)
        except ProviderError as failure:
            return None if self._model.refuses(failure) else failure

    async def _since(self, moment: float) -> AsyncGenerator[dict[str, Any]]:
        """Batches that were made after `moment`, newest first."""
        after = ""
        while True:
            page = await self._endpoint.get(f"{_PATH}?limit=100{after}")
            rows = (page.get("data") or []) if isinstance(page, dict) else []
            for row in rows:
                with self._endpoint.faults.parsing():
                    if datetime.fromisoformat(row["created_at"]).timestamp() < moment:
                        return
                yield row
            if not rows or not page["has_more"]:  # type: ignore[index]
                return
            after = f"&after_id={rows[-1]['id']}"

    async def _may_be(self, row: dict[str, Any], keys: Sequence[str]) -> bool:
        if row.get("processing_status") != "ended" or not row.get("results_url"):
            return True
        async with aclosing(self.results(row["id"])) as results:
            async for key, _ in results:
                return key in keys
        return True


def _counts(row: dict[str, Any]) -> dict[str, int]:
    counts = row.get("request_counts") or {}
    return {name: count for name, count in counts.items() if isinstance(count, int)}
