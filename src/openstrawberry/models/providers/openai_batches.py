"""Batches of the providers that speak OpenAI's chat completions: OpenAI, Azure and Groq alike, Mistral in its own way.

All of them take a file of one request a line and give files of one answer a line. What differs is a row of a table,
and for Mistral the jobs that stand between the two.
"""

import json
from collections.abc import AsyncGenerator, Container, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from openstrawberry.chat import Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchApi, BatchEntry, BatchItem, BatchLimits, BatchState, Outcome
from openstrawberry.models.providers import wire
from openstrawberry.models.providers.endpoint import Endpoint
from openstrawberry.models.providers.faults import Filtered, error_fields

TAG = "strawberry"  # the name of our tag among a batch's metadata
_CLOCKS_DIFFER = 3600  # seconds; batches that are older than the entry by this much are not looked at
_ENDED = {"completed", "expired", "cancelled", "success", "timeout_exceeded"}  # the last two are Mistral's
_NOT_DONE = {"batch_expired", "batch_cancelled", "request_cancelled", "timeout_exceeded"}
_FULL = {"token_limit_exceeded", "request_limit_exceeded"}  # too much is waiting already: later it fits
_BYTES = 190_000_000  # all of them take files of 200 MB; some count in other megabytes


class Spelling(Protocol):
    """A model that can say what it would send, and read what would come back."""

    def body(self, request: Request) -> bytes: ...

    def reply(self, answer: dict[str, Any]) -> Reply: ...

    def refuses(self, error: ProviderError) -> bool: ...


@dataclass(frozen=True, slots=True)
class Row:
    """What one provider spells its own way: the path that a batch is for, and what one may hold."""

    limits: BatchLimits
    path: str = "/v1/chat/completions"


ROWS = {
    "openai": Row(BatchLimits(50_000, _BYTES)),
    "azure": Row(BatchLimits(100_000, _BYTES), "/chat/completions"),
    "groq": Row(BatchLimits(50_000, _BYTES)),
    "mistral": Row(BatchLimits(1_000_000, _BYTES)),
}


def open_batches(provider: str, name: str, model: Spelling, endpoint: Endpoint) -> BatchApi | None:
    """The batch API of a provider with a row in `ROWS`; `name` is the model's at the provider."""
    if provider not in ROWS:
        return None
    kind = MistralBatches if provider == "mistral" else OpenAIBatches
    return kind(name, model, endpoint, ROWS[provider])


class OpenAIBatches:
    """`/files` and `/batches`, as OpenAI, Azure and Groq have them."""

    def __init__(self, name: str, model: Spelling, endpoint: Endpoint, row: Row) -> None:
        self._name = name
        self._model = model
        self._endpoint = endpoint
        self._row = row
        self._unread: dict[str, str] = {}

    @property
    def limits(self) -> BatchLimits:
        return self._row.limits

    def item(self, request: Request) -> BatchItem:
        line = self._line(request.key, self._model.body(request))
        return BatchItem(request.key, line, len(line) + 1)

    async def submit(self, items: Sequence[BatchItem], tag: str) -> str:
        file = await self._stored(b"\n".join(item.payload for item in items), tag)
        created = await self._endpoint.post(wire.encoded_object(self._job(file, tag)), self._jobs)
        return self._id(created)

    async def find(self, entry: BatchEntry, taken: Container[str]) -> str | None:
        """Looks through the provider's list, newest first."""
        after, more = "", True
        while more:
            page, more = await self._listed(f"{self._jobs}?limit=100{after}")
            for row in page:
                if _tagged(row, entry.tag) and row["id"] not in taken:
                    return str(row["id"])
            more = more and page[-1].get("created_at", 0) >= entry.created - _CLOCKS_DIFFER
            after = f"&after={page[-1]['id']}" if more else ""
        return None

    async def state(self, batch: str) -> BatchState:
        job = await self._job_of(batch)
        done, total = _counts(job)
        status = str(job.get("status")).lower()
        if status in _ENDED:
            return BatchState("ended", done, total)
        if status == "failed":
            return BatchState("failed", done, total, self._turned_down(job))
        return BatchState("running", done, total)

    async def results(self, batch: str) -> AsyncGenerator[tuple[str, Outcome]]:
        job = await self._job_of(batch)
        for name in ("output_file", "error_file"):
            file = job.get(f"{name}_id") or job.get(name)
            if file:
                async for row in self._endpoint.rows(_content(str(file))):
                    yield str(row.get("custom_id")), self._outcome(row)

    async def cancel(self, batch: str) -> None:
        await self._endpoint.post(b"{}", f"{self._jobs}/{batch}/cancel")

    _jobs = "/batches"

    def _line(self, key: str, body: bytes) -> bytes:
        return b'{"custom_id":%b,"method":"POST","url":"%b","body":%b}' % (
            wire.encoded(key),
            self._row.path.encode(),
            body,
        )

    def _job(self, file: str, tag: str) -> dict[str, Any]:
        return {
            "input_file_id": file,
            "endpoint": self._row.path,
            "completion_window": "24h",
            "metadata": {TAG: tag},
        }

    async def _stored(self, content: bytes, tag: str) -> str:
        """The id of the uploaded file. Azure takes a while to read one; who asks again does not send it again."""
        if tag in self._unread:
            file = self._unread[tag]
            found = await self._endpoint.get(f"/files/{file}")
            status = found.get("status") if isinstance(found, dict) else ""
        else:
            file, status = await self._endpoint.upload(f"{tag}.jsonl", content)
        if status in ("pending", "running"):
            self._unread[tag] = file
            told = "the file of this batch is still being read"
            raise self._endpoint.faults.of_status(0, told, code="overloaded_error")
        self._unread.pop(tag, None)
        return file

    async def _job_of(self, batch: str) -> dict[str, Any]:
        job = await self._endpoint.get(f"{self._jobs}/{batch}")
        if not isinstance(job, dict):
            raise self._endpoint.faults.malformed("a batch that is no JSON object")
        return job

    async def _listed(self, path: str) -> tuple[list[dict[str, Any]], bool]:
        """One page of the list, and whether there are more; Groq's list is one page."""
        listed = await self._endpoint.get(path)
        if not isinstance(listed, dict):
            raise self._endpoint.faults.malformed("a list of batches that is no JSON object")
        rows = [row for row in listed.get("data") or () if isinstance(row, dict) and row.get("id")]
        return rows, bool(rows and listed.get("has_more"))

    def _id(self, created: dict[str, Any]) -> str:
        if not created.get("id"):
            raise self._endpoint.faults.malformed("a batch without an id")
        return str(created["id"])

    def _turned_down(self, job: dict[str, Any]) -> ProviderError:
        errors = job.get("errors") or {}
        rows = errors.get("data") if isinstance(errors, dict) else errors
        first = next((row for row in rows or () if isinstance(row, dict)), {})
        code, message = error_fields(first)
        if code in _FULL:
            return self._endpoint.faults.of_status(429, message, code="rate_limit_exceeded")
        return self._endpoint.faults.of_status(400, message or "the batch failed without a reason", code=code)

    def _outcome(self, row: dict[str, Any]) -> Outcome:
        error, response = row.get("error"), row.get("response") or {}
        status, body = response.get("status_code") or 0, response.get("body")
        if isinstance(body, str):
            body = _read(body)
        try:
            if status < 400 and not error and isinstance(body, dict):
                return self._model.reply(body)
            code, message = error_fields(error or body)
            if code in _NOT_DONE:
                return None
            raise self._endpoint.faults.of_status(status, message, code=code)
        except Filtered:
            return Reply(content="", finish_reason="filter", model=f"{self._endpoint.faults.provider}:{self._name}")
        except ProviderError as failure:
            return None if self._model.refuses(failure) else failure


class MistralBatches(OpenAIBatches):
    """`/batch/jobs`: the job names the model, the lines do not."""

    _jobs = "/batch/jobs"

    async def find(self, entry: BatchEntry, taken: Container[str]) -> str | None:
        """Goes through the pages of the list, newest first."""
        for page in range(100):
            jobs, _ = await self._listed(f"{self._jobs}?page_size=100&page={page}")
            for job in jobs:
                if _tagged(job, entry.tag) and job["id"] not in taken:
                    return str(job["id"])
            if len(jobs) < 100:
                return None
        return None

    def _line(self, key: str, body: bytes) -> bytes:
        named = b'{"model":%b,' % wire.encoded(self._name)
        return b'{"custom_id":%b,"body":%b}' % (wire.encoded(key), body.replace(named, b"{", 1))

    def _job(self, file: str, tag: str) -> dict[str, Any]:
        return {
            "input_files": [file],
            "endpoint": self._row.path,
            "model": self._name,
            "metadata": {TAG: tag},
            "timeout_hours": 24,
        }


def _counts(job: dict[str, Any]) -> tuple[int, int]:
    """How many requests are done, and of how many. Mistral's counts stand in the job itself, failed ones included."""
    counts = job.get("request_counts")
    if not isinstance(counts, dict):
        return job.get("completed_requests") or 0, job.get("total_requests") or 0
    return (counts.get("completed") or 0) + (counts.get("failed") or 0), counts.get("total") or 0


def _tagged(row: dict[str, Any], tag: str) -> bool:
    metadata = row.get("metadata")
    return isinstance(metadata, dict) and metadata.get(TAG) == tag


def _content(file: str) -> Any:
    return lambda client: client.files.with_streaming_response.content(file)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"message": text}
