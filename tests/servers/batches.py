"""Batch APIs on loopback, as their public descriptions have them: files and batches of OpenAI, Azure and Groq, jobs of
Mistral, message batches of Anthropic, inlined requests of Gemini. Nothing here knows the code under test.

`BatchServer` keeps a ledger of what was handed in, and can be told where to hold its breath, so that a client can be
killed at any stage. The same server answers live calls. What is said to a conversation is `answer`'s business: a
`Said`, an HTTP error as an `Answer`, or None for a request that expires.
"""

import asyncio
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from tests.servers.dialects import SPELLINGS, Said
from tests.servers.http import Answer, Received

Stage = Literal["", "before", "submitted", "polling", "downloading"]
Conversation = list[dict[str, Any]]
Answerer = Callable[[Conversation, str], Said | Answer | None]
PROTOCOLS = {"openai": "openai", "azure": "openai", "groq": "openai", "mistral": "openai",
             "anthropic": "anthropic", "gemini": "gemini"}  # fmt: skip
HANG = Answer(fault="hang")
NOT_FOUND = Answer.of({"error": {"message": "no such thing"}}, 404)


@dataclass
class Batch:
    """What was handed in. `rows` are custom ids and requests; `polls` how often somebody asked how far it is."""

    id: str
    tag: str
    rows: list[tuple[str, dict[str, Any]]]
    created: float
    size: int
    polls: int = 0
    state: Literal["running", "ended", "cancelled", "failed"] = "running"
    answers: dict[str, Said | Answer | None] = field(default_factory=dict)
    error: tuple[str, str] = ("", "")

    @property
    def ended(self) -> bool:
        return self.state in ("ended", "cancelled")


def turns_of(conversation: Conversation) -> int:
    """How many replies a conversation holds, in any of the protocols."""
    return sum(turn.get("role") in ("assistant", "model") for turn in conversation)


def stepping(turns: int, final: str = "<final_answer>3</final_answer>") -> Answerer:
    """A step per turn, and a final answer at turn number `turns`."""

    def answer(conversation: Conversation, key: str) -> Said:
        done = turns_of(conversation) + 1
        return Said(final if done >= turns else f"Step {done}.")

    return answer


class BatchServer:
    """The handler. `polls`: looks until a batch has ended. `stage`: where to hang, once; `reached` is set then.

    `turn_down` may refuse a whole batch with a code and a message. One that is cancelled has answered its first half.
    `live` holds the bodies of live calls. `archived`: results are no longer to be had. `unread`: how often an uploaded
    file is said to be still being read.
    """

    def __init__(
        self,
        dialect: str,
        answer: Answerer | None = None,
        *,
        polls: int = 2,
        stage: Stage = "",
        turn_down: Callable[[Batch], tuple[str, str] | None] = lambda batch: None,
    ) -> None:
        self.dialect = dialect
        self.protocol = PROTOCOLS[dialect]
        self.answer = answer or stepping(1)
        self.polls = polls
        self.stage: Stage = stage
        self.turn_down = turn_down
        self.reached = asyncio.Event()
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, bytes] = {}
        self.live: list[dict[str, Any]] = []
        self.cancels = 0
        self.archived = False
        self.unread = 0
        self._numbers = itertools.count(1)

    # The ledger.

    @property
    def asked(self) -> Counter[str]:
        """How often each custom id was handed in."""
        return Counter(key for batch in self.batches.values() for key, _ in batch.rows)

    @property
    def sizes(self) -> list[int]:
        """Requests of each batch, in the order in which they were handed in."""
        return [len(batch.rows) for batch in self.batches.values()]

    # The handler.

    def __call__(self, received: Received) -> Answer:
        path = received.path.partition("?")[0]
        match self.dialect:
            case "anthropic":
                found = self._anthropic(path, received)
            case "gemini":
                found = self._gemini(path, received)
            case _:
                found = self._openai(path, received)
        return found or NOT_FOUND

    def _holds(self, stage: Stage) -> bool:
        if self.stage != stage:
            return False
        self.stage = ""
        self.reached.set()
        return True

    def _spelt(self, said: Said | Answer) -> Answer:
        return said if isinstance(said, Answer) else SPELLINGS[self.protocol](said, False)

    def _lively(self, body: dict[str, Any]) -> Answer:
        self.live.append(body)
        said = self.answer(self._conversation(body), "")
        assert said is not None
        return self._spelt(said)

    def hand_in(self, tag: str, rows: list[tuple[str, dict[str, Any]]], size: int) -> Batch:
        """Enters a batch into the ledger, ours or somebody else's."""
        batch = Batch(f"{self.dialect}-{next(self._numbers)}", tag, rows, time.time(), size)
        self.batches[batch.id] = batch
        if error := self.turn_down(batch):
            batch.state, batch.error = "failed", error
        return batch

    def _polled(self, batch: Batch) -> None:
        batch.polls += 1
        if batch.state == "running" and batch.polls >= self.polls:
            self._finish(batch, "ended")

    def _finish(self, batch: Batch, state: Literal["ended", "cancelled"]) -> None:
        batch.state = state
        done = batch.rows if state == "ended" else batch.rows[: len(batch.rows) // 2]
        batch.answers = {key: self.answer(self._conversation(body), key) for key, body in done}

    def _cancelled(self, batch: Batch) -> None:
        self.cancels += 1
        if not batch.ended:
            self._finish(batch, "cancelled")

    def _conversation(self, body: dict[str, Any]) -> Conversation:
        found: Conversation = body["contents"] if self.protocol == "gemini" else body["messages"]
        return found

    def _lines(self, lines: list[dict[str, Any]]) -> Answer:
        """A file of JSON lines, of which only the first half arrives if this is where to hang."""
        texts = [json.dumps(line) + "\n" for line in lines]
        if self._holds("downloading"):
            return Answer.events(texts[: len(texts) // 2], "application/x-jsonl", fault="stall")
        return Answer.events(texts, "application/x-jsonl")

    # OpenAI, Azure, Groq, Mistral.

    def _openai(self, path: str, received: Received) -> Answer | None:
        if path.endswith("/chat/completions"):
            return self._lively(received.json)
        if path.endswith("/files"):
            if self._holds("before"):
                return HANG
            file = f"file-{next(self._numbers)}"
            self.files[file] = _uploaded(received)
            return self._stored(file)
        if found := re.search(r"/files/([\w-]+)$", path):
            return self._stored(found[1])
        if content := re.search(r"/files/([\w-]+)/content$", path):
            return self._file(content[1])
        found = re.search(r"/(?:batches|batch/jobs)(?:/([\w-]+))?(/cancel)?$", path)
        if not found:
            return None
        if found[2]:
            self._cancelled(self.batches[found[1]])
            return Answer.of(self._job(self.batches[found[1]]))
        if found[1]:
            return self._looked_at(found[1])
        if received.method == "GET":
            jobs = [self._job(batch) for batch in reversed(self.batches.values())]
            return Answer.of({"object": "list", "data": jobs, "has_more": False})
        return self._created(received.json)

    def _stored(self, file: str) -> Answer:
        self.unread -= 1
        return Answer.of({"id": file, "object": "file", "bytes": len(self.files[file]), "created_at": 1,
                          "filename": "x.jsonl", "purpose": "batch",
                          "status": "processed" if self.unread < 0 else "pending"})  # fmt: skip

    def _created(self, job: dict[str, Any]) -> Answer:
        file = self.files[job["input_files"][0] if self.dialect == "mistral" else job["input_file_id"]]
        lines = [json.loads(line) for line in file.splitlines()]
        if self.dialect == "mistral":
            assert job["model"]
            assert all("model" not in line["body"] for line in lines)
        else:
            assert all(line["method"] == "POST" and line["url"] == job["endpoint"] for line in lines)
        rows = [(line["custom_id"], line["body"]) for line in lines]
        batch = self.hand_in(next(iter(job["metadata"].values())), rows, len(file))
        return HANG if self._holds("submitted") else Answer.of(self._job(batch))

    def _looked_at(self, id: str) -> Answer | None:
        if id not in self.batches:
            return None
        batch = self.batches[id]
        if self._holds("polling"):
            return HANG
        self._polled(batch)
        return Answer.of(self._job(batch))

    def _job(self, batch: Batch) -> dict[str, Any]:
        done, total = len(batch.answers), len(batch.rows)
        outputs = {f"{kind}_file": f"{kind}-{batch.id}" for kind in ("output", "error") if batch.ended}
        shared = {"id": batch.id, "created_at": int(batch.created)}
        if self.dialect == "mistral":
            states = {"running": "RUNNING", "ended": "SUCCESS", "cancelled": "CANCELLED", "failed": "FAILED"}
            errors = [{"message": batch.error[1]}] if batch.error[1] else []
            return {**shared, **outputs, "object": "batch", "status": states[batch.state], "errors": errors,
                    "metadata": {"tag": "x", "strawberry": batch.tag}, "total_requests": total,
                    "completed_requests": done}  # fmt: skip
        states = {"running": "in_progress", "ended": "completed", "cancelled": "cancelled", "failed": "failed"}
        errors = {"object": "list", "data": [{"code": batch.error[0], "message": batch.error[1]}]}
        return {**shared, **{f"{name}_id": file for name, file in outputs.items()}, "object": "batch",
                "status": states[batch.state], "metadata": {"strawberry": batch.tag},
                "errors": errors if batch.error[1] else None,
                "request_counts": {"total": total, "completed": done, "failed": 0}}  # fmt: skip

    def _file(self, name: str) -> Answer:
        kind, _, id = name.partition("-")
        lines = []
        for key, said in self.batches[id].answers.items():
            if said is None:
                gone = {"code": "batch_expired", "message": "not in time"}
                line = {"custom_id": key, "response": None, "error": gone}
            else:
                answer = self._spelt(said)
                response = {"status_code": answer.status, "body": json.loads(answer.body)}
                line = {"custom_id": key, "response": response, "error": None}
            good = said is not None and line["response"]["status_code"] == 200  # type: ignore[index]
            if good == (kind == "output"):
                lines.append(line)
        return self._lines(lines)

    # Anthropic.

    def _anthropic(self, path: str, received: Received) -> Answer | None:
        if path == "/v1/messages":
            return self._lively(received.json)
        found = re.fullmatch(r"/v1/messages/batches(?:/([\w-]+))?(/cancel|/results)?", path)
        if not found:
            return None
        host = received.headers["host"]
        if found[2] == "/cancel":
            self._cancelled(self.batches[found[1]])
        elif found[2] == "/results":
            return self._lines([_result(key, said, self._spelt) for key, said in self._results(found[1])])
        elif found[1] and found[1] in self.batches:
            if self._holds("polling"):
                return HANG
            self._polled(self.batches[found[1]])
        elif received.method == "GET" and not found[1]:
            rows = [self._message_batch(batch, host) for batch in reversed(self.batches.values())]
            return Answer.of({"data": rows, "has_more": False, "first_id": None, "last_id": None})
        elif received.method == "POST":
            if self._holds("before"):
                return HANG
            rows = [(item["custom_id"], item["params"]) for item in received.json["requests"]]
            batch = self.hand_in("", rows, len(received.body))
            return HANG if self._holds("submitted") else Answer.of(self._message_batch(batch, host))
        return Answer.of(self._message_batch(self.batches[found[1]], host)) if found[1] in self.batches else None

    def _results(self, id: str) -> list[tuple[str, Said | Answer | None]]:
        batch = self.batches[id]
        return [(key, batch.answers.get(key)) for key, _ in batch.rows]

    def _message_batch(self, batch: Batch, host: str) -> dict[str, Any]:
        left = 0 if batch.ended else len(batch.rows)
        done = sum(said is not None for said in batch.answers.values())
        created = datetime.fromtimestamp(batch.created, UTC).isoformat()
        counts = {"processing": left, "succeeded": done, "errored": 0, "canceled": 0,
                  "expired": len(batch.rows) - left - done}  # fmt: skip
        url = f"http://{host}/v1/messages/batches/{batch.id}/results" if batch.ended and not self.archived else None
        return {"id": batch.id, "type": "message_batch", "processing_status": "ended" if batch.ended else "in_progress",
                "request_counts": counts, "created_at": created, "expires_at": created, "ended_at": None,
                "archived_at": None, "cancel_initiated_at": None, "results_url": url}  # fmt: skip

    # Gemini.

    def _gemini(self, path: str, received: Received) -> Answer | None:
        if path.endswith(":generateContent"):
            return self._lively(received.json)
        if path.endswith(":batchGenerateContent"):
            if self._holds("before"):
                return HANG
            given = received.json["batch"]
            rows = given["inputConfig"]["requests"]["requests"]
            pairs = [(row["metadata"]["key"], row["request"]) for row in rows]
            batch = self.hand_in(given["displayName"], pairs, len(received.body))
            return HANG if self._holds("submitted") else Answer.of(self._operation(batch))
        found = re.search(r"/batches(?:/([\w-]+))?(:cancel)?$", path)
        if not found:
            return None
        if not found[1]:
            return Answer.of({"operations": [self._operation(batch) for batch in self.batches.values()]})
        if found[1] not in self.batches:
            return None
        batch = self.batches[found[1]]
        if found[2]:
            self._cancelled(batch)
            return Answer.of({})
        if self._holds("polling"):
            return HANG
        self._polled(batch)
        operation = Answer.of(self._operation(batch))
        if batch.ended and self._holds("downloading"):
            return Answer.events([operation.body.decode()[: len(operation.body) // 2]], fault="stall")
        return operation

    def _operation(self, batch: Batch) -> dict[str, Any]:
        states = {"running": "RUNNING", "ended": "SUCCEEDED", "cancelled": "CANCELLED", "failed": "FAILED"}
        metadata: dict[str, Any] = {"displayName": batch.tag, "state": f"BATCH_STATE_{states[batch.state]}"}
        if batch.ended:
            rows = [_inlined(key, said, self._spelt) for key, said in batch.answers.items()]
            metadata["output"] = {"inlinedResponses": {"inlinedResponses": rows}}
        return {"name": f"batches/{batch.id}", "metadata": metadata}


def _result(key: str, said: Said | Answer | None, spelt: Callable[[Said | Answer], Answer]) -> dict[str, Any]:
    if said is None:
        return {"custom_id": key, "result": {"type": "expired"}}
    answer = spelt(said)
    body = json.loads(answer.body)
    if answer.status == 200:
        return {"custom_id": key, "result": {"type": "succeeded", "message": body}}
    return {"custom_id": key, "result": {"type": "errored", "error": body}}


def _inlined(key: str, said: Said | Answer | None, spelt: Callable[[Said | Answer], Answer]) -> dict[str, Any]:
    if said is None:
        return {"metadata": {"key": key}, "error": {"code": 1, "message": "cancelled"}}
    answer = spelt(said)
    body = json.loads(answer.body)
    if answer.status == 200:
        return {"metadata": {"key": key}, "response": body}
    return {"metadata": {"key": key}, "error": {"code": answer.status, "message": body["error"]["message"]}}


def _uploaded(received: Received) -> bytes:
    """The one file in a multipart form."""
    boundary = received.headers["content-type"].partition("boundary=")[2].strip('"').encode()
    for part in received.body.split(b"--" + boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            return content.removesuffix(b"\r\n")
    raise AssertionError("no file in the form")
