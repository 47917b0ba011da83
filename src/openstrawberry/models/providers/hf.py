"""A transformers model in this process: `hf:PATH`, a folder or a name on the hub.

One reply is generated at a time, in a worker thread. The key-value cache of the last few conversations is kept, so that
a turn reads only what is new in it; a seed decides a reply whatever was generated before.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openstrawberry.chat import Delta, OnDelta, Reply, Request, Usage
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.model import no_logprobs
from openstrawberry.models.provider import Opening
from openstrawberry.models.providers.think import ThinkSplitter
from openstrawberry.wording import cause

KEPT = 8  # conversations whose cache is kept


@dataclass(slots=True)
class _Kept:
    """The tokens that a cache has read, and the cache."""

    ids: list[int]
    cache: Any


def open_hf(opening: Opening) -> "HFModel":
    """Load the model and its tokenizer.

    Raises:
        SetupError: the extra is missing, the model cannot be loaded, or it has no chat template.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise SetupError('hf: needs torch and transformers: run pip install "openstrawberry[hf]".') from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what comes of its retries is said anyway
    options = opening.options
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        tokenizer = AutoTokenizer.from_pretrained(opening.name)
        model = AutoModelForCausalLM.from_pretrained(opening.name, dtype=options.dtype).to(device).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise SetupError(f"{opening.spec} cannot be loaded ({cause(error)}): check the folder or the name.") from error
    if not tokenizer.chat_template:
        raise SetupError(f"{opening.spec} has no chat template: choose a model that was trained to chat.")
    return HFModel(opening.spec, model, tokenizer)


class HFModel:
    """One loaded model."""

    def __init__(self, spec: str, model: Any, tokenizer: Any) -> None:
        self._spec = spec
        self._model = model
        self._tokenizer = tokenizer
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @property
    def spec(self) -> str:
        return self._spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`. A cancelled call ends its generation at the next token."""
        if request.logprobs:
            raise no_logprobs(self._spec)
        loop, stopped = asyncio.get_running_loop(), threading.Event()

        def hear(delta: Delta) -> None:
            if on_delta is not None:
                loop.call_soon_threadsafe(on_delta, delta)

        async with self._turn:
            work = asyncio.create_task(asyncio.to_thread(self._generate, request, hear, stopped))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                stopped.set()
                await asyncio.wait([work])
                raise

    async def close(self) -> None:
        """Drop the model and its caches."""
        self._kept.clear()
        self._model = None

    def _generate(self, request: Request, hear: Callable[[Delta], None], stopped: threading.Event) -> Reply:
        import torch

        ids = self._ids(request)
        limit = min(request.max_tokens, self._room(len(ids)))
        kept = self._shared(request.cache_key, ids)
        text = _Text(self._tokenizer, request.stop, hear, stopped)
        with torch.inference_mode(), torch.random.fork_rng():
            if request.seed is not None:
                torch.manual_seed(request.seed % 2**63)
            prompt = torch.tensor([ids], device=self._model.device)
            output = self._model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                past_key_values=kept.cache,
                max_new_tokens=limit,
                streamer=text,
                stopping_criteria=[text.criterion],
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
                **_sampling(request),
            )
        everything = output[0].tolist()
        kept.ids = everything[: kept.cache.get_seq_length()]  # the last token has not been read
        self._keep(request.cache_key, kept)
        return self._reply(text, everything[len(ids) :], len(ids), limit)

    def _ids(self, request: Request) -> list[int]:
        messages = [{"role": turn.role, "content": turn.content} for turn in request.messages]
        encoded = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
        ids: list[int] = list(encoded["input_ids"])
        return ids

    def _room(self, read: int) -> int:
        """How many tokens the context has left after `read`."""
        window = getattr(self._model.config, "max_position_embeddings", None) or 2**31
        if read < window:
            return int(window - read)
        raise ProviderError(
            f"{self._spec} reads {window} tokens, and the conversation has {read}.",
            provider="hf",
            kind="context",
            hint="Lower --max-turns or --max-tokens, or choose a --model with a longer context.",
        )

    def _shared(self, key: str, ids: list[int]) -> _Kept:
        """The cache of the same conversation, cut back to what it shares with `ids`; else a new one."""
        from transformers import DynamicCache

        kept = self._kept.pop(key, None)
        if kept is not None:
            limit = min(len(kept.ids), len(ids) - 1)
            shared = next((at for at in range(limit) if kept.ids[at] != ids[at]), limit)
            try:
                if surplus := len(kept.ids) - shared:
                    kept.cache.crop(-surplus)
                return kept
            except (ValueError, NotImplementedError, RuntimeError):  # some caches, such as sliding windows, cannot
                pass
        return _Kept([], DynamicCache(config=self._model.config))

    def _keep(self, key: str, kept: _Kept) -> None:
        if key:
            self._kept[key] = kept
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _reply(self, text: "_Text", written: list[int], read: int, limit: int) -> Reply:
        ended = text.cut or (bool(written) and written[-1] in self._ends())
        return Reply(
            content="".join(text.splitter.content).strip(),
            reasoning="".join(text.splitter.reasoning).strip(),
            finish_reason="stop" if ended else "length" if len(written) >= limit else "unknown",
            usage=Usage(input=read, output=len(written)),
            model=self._spec,
            token_ids=tuple(written),
        )

    def _ends(self) -> set[int]:
        ends = self._model.generation_config.eos_token_id
        return set(ends) if isinstance(ends, list) else {ends}


class _Text:
    """The text of a reply as its tokens arrive: a streamer and a stopping criterion of `generate`."""

    def __init__(
        self, tokenizer: Any, stops: tuple[str, ...], hear: Callable[[Delta], None], stopped: threading.Event
    ) -> None:
        self.splitter = ThinkSplitter()
        self.cut = False
        self._tokenizer = tokenizer
        self._stops = stops
        self._hear = hear
        self._stopped = stopped
        self._ids: list[int] = []
        self._told = 0
        self._prompt = True

    def put(self, value: Any) -> None:
        """Called by `generate`: the prompt first, then each token."""
        if self._prompt:
            self._prompt = False
            return
        self._ids.extend(value.reshape(-1).tolist())
        self._tell(final=False)

    def end(self) -> None:
        """Called by `generate` when it is done."""
        self._tell(final=True)
        for delta in self.splitter.end():
            self._hear(delta)

    def criterion(self, ids: Any, scores: Any, **_: Any) -> Any:
        """Whether to stop now, for each row of the batch of one."""
        import torch

        return torch.full((ids.shape[0],), self.cut or self._stopped.is_set(), device=ids.device)

    def _tell(self, final: bool) -> None:
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.cut, text = True, text[: min(found)]
        held = 0 if final or self.cut else max((len(stop) - 1 for stop in self._stops), default=0)
        sure = len(text) - held
        if not final and text.endswith("\ufffd"):  # half of a character
            return
        for delta in self.splitter.feed(text[self._told : sure]) if sure > self._told else ():
            self._hear(delta)
        self._told = max(self._told, sure)


def _sampling(request: Request) -> dict[str, Any]:
    if request.temperature == 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    given = {"temperature": request.temperature, "top_p": request.top_p}
    return {"do_sample": True, **{name: value for name, value in given.items() if value is not None}}
