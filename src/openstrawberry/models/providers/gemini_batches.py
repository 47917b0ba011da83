"""Gemini's batch jobs, with their requests inlined; our tag is a job's display name, our key a request's metadata."""

import json
from collections.abc import AsyncGenerator, Awaitable, Container, Sequence
from typing import Protocol, TypeVar

import httpx2
from google import genai
from google.genai import errors, types

from openstrawberry.chat import Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.batch import BatchEntry, BatchItem, BatchLimits, BatchState, Outcome
from openstrawberry.models.providers.faults import Faults
from openstrawberry.models.providers.gemini import gemini_error

T = TypeVar("T")
_CAUGHT = (errors.APIError, errors.UnknownApiResponseError, httpx2.HTTPError, httpx2.StreamError, ValueError,
           AttributeError, KeyError, TypeError)  # fmt: skip
_ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
_GRPC = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 13: 500, 14: 503, 16: 401}  # a status inside a job is one of gRPC's
_NOT_DONE = {1}  # cancelled


class Spelling(Protocol):
    """A model that can say what it would send, and read what would come back."""

    def inlined(self, request: Request) -> types.InlinedRequest: ...

    def reply(self, answer: types.GenerateContentResponse) -> Reply: ...


class GeminiBatches:
    """`models/NAME:batchGenerateContent` and `/batches`."""

    limits = BatchLimits(50_000, 18_000_000)  # inlined requests may take 20 MB together

    def __init__(self, model: Spelling, client: genai.Client, name: str, faults: Faults) -> None:
        self._model = model
        self._jobs = client.aio.batches
        self._name = name
        self._faults = faults

    def item(self, request: Request) -> BatchItem:
        inlined = self._model.inlined(request)
        sent = json.dumps(
            inlined.model_dump(mode="json", exclude_none=True, by_alias=True)
        )  # ASCII, as the SDK writes it
        return BatchItem(request.key, inlined, len(sent) + 1)

    async def submit(self, items: Sequence[BatchItem], tag: str) -> str:
        config = types.CreateBatchJobConfig(display_name=tag)
        inlined = [item.payload for item in items]
        job = await self._asked(self._jobs.create(model=self._name, src=inlined, config=config))
        if not job.name:
            raise self._faults.malformed("a job without a name")
        return job.name

    async def find(self, entry: BatchEntry, taken: Container[str]) -> str | None:
        """Looks through all jobs that the provider still has."""
        pages = await self._asked(self._jobs.list(config=types.ListBatchJobsConfig(page_size=100)))
        try:
            async for job in pages:
                if job.display_name == entry.tag and job.name and job.name not in taken:
                    return job.name
        except _CAUGHT as error:
            raise gemini_error(error, self._faults) from error
        return None

    async def state(self, batch: str) -> BatchState:
        job = await self._asked(self._jobs.get(name=batch))
        state = _name_of(job)
        if state in _ENDED:
            return BatchState("ended")
        if state == "JOB_STATE_FAILED":
            told = job.error.message if job.error and job.error.message else "the job failed without a reason"
            return BatchState("failed", error=self._failure(job.error.code if job.error else 3, told))
        return BatchState("running")

    async def results(self, batch: str) -> AsyncGenerator[tuple[str, Outcome]]:
        job = await self._asked(self._jobs.get(name=batch))
        for row in (job.dest.inlined_responses if job.dest else None) or ():
            key = (row.metadata or {}).get("key")
            if key:
                yield key, self._outcome(row)

    async def cancel(self, batch: str) -> None:
        await self._asked(self._jobs.cancel(name=batch))

    def _outcome(self, row: types.InlinedResponse) -> Outcome:
        if row.response is None:
            code = row.error.code if row.error else None
            told = row.error.message if row.error and row.error.message else ""
            return None if row.error is None or code in _NOT_DONE else self._failure(code, told)
        try:
            return self._model.reply(row.response)
        except ProviderError as error:
            return error

    def _failure(self, code: int | None, message: str) -> ProviderError:
        return self._faults.of_status(_GRPC.get(code or 0, code or 0), message)

    async def _asked(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except _CAUGHT as error:
            raise gemini_error(error, self._faults) from error


def _name_of(job: types.BatchJob) -> str:
    """A state in the SDK's words; it does not translate all that the server says."""
    state = str(getattr(job.state, "value", job.state) or "")
    return state.replace("BATCH_STATE_", "JOB_STATE_")
