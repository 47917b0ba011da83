"""The embedded model: berry in process, without torch, a key or a network.

All conversations of one `BerryModel` share one batch of slots (`berry/runtime.py`). What this file adds is text: the
chat template, the tokens of a reply as they were generated (so that a conversation goes on from exactly those), and the
hand-over between asyncio and the thread that computes.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from tokenizers import Tokenizer

from openstrawberry.berry.runtime import GRAPH, Batcher, Job, Network
from openstrawberry.chat import Delta, Message, OnDelta, Reply, Request, Usage
from openstrawberry.errors import ProviderError, SetupError

MODEL = Path(__file__).parents[2] / "berry" / "model"
DEFAULT_TEMPERATURE = 0.7
MARKERS = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
END = "<|end|>"
_REMEMBERED = 4096
T = TypeVar("T")


class BerryModel:
    """berry, or any checkpoint of its architecture that has a step graph (`berry/export.py`) beside it."""

    def __init__(self, folder: Path | None = None, spec: str = "berry") -> None:
        folder = folder or MODEL
        _require(folder)
        self._spec = spec
        self._words = Vocabulary(folder)
        self._end = self._words.id(END)
        self._batcher = Batcher(Network(folder), never=sorted(self._words.special - {self._end}))
        # Replies whose text would not encode to the tokens that were generated: (tokens before, text) -> tokens.
        self._respelt: dict[tuple[tuple[int, ...], str], tuple[int, ...]] = {}

    @property
    def spec(self) -> str:
        return self._spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Answer one request; a cancelled call frees its slot at the next step."""
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()
        text = ReplyText(self._words, self._end, request.stop)

        def on_token(token: int) -> bool:
            piece = text.add(token)
            if piece and on_delta:
                _hand_over(loop, on_delta, Delta(piece))
            return text.stopped

        def on_end(_: Job) -> None:
            _hand_over(loop, _resolve, finished)

        job = Job(
            prompt=self.prompt(request.messages),
            temperature=DEFAULT_TEMPERATURE if request.temperature is None else request.temperature,
            top_p=1.0 if request.top_p is None else request.top_p,
            max_tokens=request.max_tokens,
            seed=request.seed,
            stops=frozenset({self._end}),
            on_token=on_token,
            on_end=on_end,
            logprobs=[] if request.logprobs else None,
        )
        self._batcher.submit(job)
        try:
            await finished
        except asyncio.CancelledError:
            job.cancelled = True
            raise
        if job.error is not None:
            raise ProviderError(
                f"The embedded model stopped: {job.error}.",
                provider="berry",
                kind="bad_request",
                hint="Start the command again; what was finished is kept.",
            ) from job.error
        return self._reply(job, text.content)

    async def close(self) -> None:
        await asyncio.to_thread(self._batcher.close)

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens of a conversation up to where the next reply begins, as the chat template renders it."""
        ids: tuple[int, ...] = ()
        for message in messages:
            ids += (self._words.id(MARKERS[message.role]),)
            if message.role == "assistant":
                body = self._respelt.get((ids, message.content)) if self._respelt else None
                ids += (*(body or self._words.encode(message.content)), self._end)
            else:
                ids += self._words.encode(message.content)
        return (*ids, self._words.id(MARKERS["assistant"]))

    def _reply(self, job: Job, content: str) -> Reply:
        ids = tuple(job.tokens)
        body = ids[:-1] if ids and ids[-1] == self._end else ids
        spelt = "".join(self._words.texts[i] for i in body)
        if spelt == content and body != self._words.encode(content):  # not where a stop string cut the reply
            if len(self._respelt) >= _REMEMBERED:
                self._respelt.pop(next(iter(self._respelt)))
            self._respelt[tuple(job.prompt), content] = body
        return Reply(
            content=content,
            finish_reason="length" if job.finish_reason == "length" else "stop",
            usage=Usage(input=len(job.prompt), cached_input=job.cached, cache_write=0, output=len(ids), reasoning=0),
            model=self._spec,
            token_ids=ids,
            logprobs=None if job.logprobs is None else tuple(job.logprobs),
        )


class Vocabulary:
    """berry's tokenizer, remembering what it has encoded: prompts repeat, and conversations are sent again."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.encode_special_tokens = True  # a marker in a user's text is text, not a marker
        self.encode = lru_cache(maxsize=65536)(self._encode)
        size = self._tokenizer.get_vocab_size()
        added = self._tokenizer.get_added_tokens_decoder()
        self.special = {index for index, token in added.items() if token.special}
        self.texts = ["" if i in self.special else str(self._tokenizer.id_to_token(i)) for i in range(size)]

    def id(self, token: str) -> int:
        return int(self._tokenizer.token_to_id(token))

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)


class ReplyText:
    """The text of a reply while its tokens arrive, up to the first stop string."""

    def __init__(self, words: Vocabulary, end: int, stops: tuple[str, ...]) -> None:
        self._words = words
        self._end = end
        self._stops = tuple(stop for stop in stops if stop)
        self.content = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """The piece of text that the token adds."""
        if token == self._end:
            return ""
        before = len(self.content)
        self.content += self._words.texts[token]
        cuts = [at for stop in self._stops if (at := self.content.find(stop)) >= 0]
        if cuts:
            self.content = self.content[: min(cuts)]
            self.stopped = True
        return self.content[before:]


def _hand_over(loop: asyncio.AbstractEventLoop, call: Callable[[T], None], value: T) -> None:
    """Run `call(value)` on the loop's own thread; nobody is waiting any more where the loop is closed."""
    try:
        loop.call_soon_threadsafe(call, value)
    except RuntimeError:
        if not loop.is_closed():
            raise


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _require(folder: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise SetupError(f"{folder} holds no {name}: name a folder that training has written, such as berry:DIR.")
    if not (folder / GRAPH).is_file():
        command = f"python -m openstrawberry.berry export {folder}"
        raise SetupError(f"{folder} holds no {GRAPH}: write one with `{command}`.")
