"""A process reward model in this process: `prm:PATH`, a folder that `strawberry train-prm` wrote or a name on the hub.

It is a token classifier with two labels. What it says at the last token of a reply is how likely that reply, and the
conversation before it, still leads to a right answer (Lightman et al. 2023, arXiv 2305.20050; Math-Shepherd, Wang et
al. 2024, arXiv 2312.08935).

A causal model reads from left to right, so one pass over a conversation scores every reply in it. What was scored once
is never read again, and of conversations that begin one another only the longest is read. Requests that come while the
model is at work wait, and go together in the next pass.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.rendering import Renderer
from openstrawberry.trace import Node
from openstrawberry.wording import cause

GOOD = "good"
LABELS = {0: "bad", 1: GOOD}
TOGETHER = 16  # conversations read in one pass ...
AT_ONCE = 256  # ... of the replies that have waited longest
REMEMBERED = 65_536  # replies whose scores are kept
DIGITS = 6  # beyond them a score depends on what else was read in the same pass
_IDENTITY = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def open_reward(spec: str) -> "RewardModel":
    """The process reward model that `spec` names. Its weights are read when it is first asked.

    Raises:
        SetupError: not written as `prm:PATH`, a package is missing, or what lies there is no process reward model.
    """
    provider, _, place = spec.partition(":")
    if provider != "prm" or not place:
        raise SetupError(f"--prm {spec} cannot be read: write it as --prm prm:PATH, with a folder of train-prm.")
    try:
        import torch  # noqa: F401
        from transformers import AutoConfig, AutoTokenizer
    except ImportError as error:
        raise SetupError('prm: needs torch and transformers: run pip install "openstrawberry[hf]".') from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what comes of its retries is said anyway
    try:
        config = AutoConfig.from_pretrained(place)
        tokenizer = AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise _unreadable(spec, error) from error
    kinds = getattr(config, "architectures", None) or []
    # Any other model would load too, with a new and random head: numbers that mean nothing.
    if config.num_labels != 2 or not any(kind.endswith("ForTokenClassification") for kind in kinds):
        raise SetupError(
            f"{spec} is no process reward model ({', '.join(kinds) or 'it does not say what it is'}): train one with "
            "`strawberry train-prm ROWS.jsonl --model hf:PATH`."
        )
    return RewardModel(spec, place, config, Renderer(tokenizer, spec))


class RewardModel:
    """Scores the last reply of a conversation, from 0 (bad) to 1 (good); called with a node, whose conversation it is.

    `fingerprint` tells its weights from all others.
    """

    def __init__(self, spec: str, place: str, config: Any, renderer: Renderer) -> None:
        self.spec = spec
        self.fingerprint = fingerprint(place, config)
        self._place = place
        self._config = config
        self._renderer = renderer
        self._good = dict(config.label2id).get(GOOD, 1)
        self._window: int = getattr(config.get_text_config(), "max_position_embeddings", None) or 2**31
        self._model: Any = None
        self._turn = asyncio.Lock()
        self._waiting: dict[str, Node] = {}
        self._known: OrderedDict[str, float | None] = OrderedDict()  # None: beyond what the model can read

    async def __call__(self, node: Node) -> float:
        """The process reward of the conversation up to `node`: that of its last reply.

        Raises:
            ProviderError: the conversation is longer than the model can read.
            ValueError: there is no reply in it yet.
        """
        reply = next((each for each in reversed(node.path()) if each.role == "assistant"), None)
        if reply is None:
            raise ValueError("a conversation without a reply has no process reward")
        if reply.chain not in self._known:
            self._waiting[reply.chain] = reply
            async with self._turn:
                await asyncio.sleep(0)  # whoever asks at the same moment comes along
                while reply.chain not in self._known:
                    self._waiting.setdefault(reply.chain, reply)
                    await self._read()
        self._known.move_to_end(reply.chain)
        score = self._known[reply.chain]
        if score is None:
            raise ProviderError(
                f"{self.spec} reads {self._window} tokens, and the conversation has more.",
                provider="prm",
                kind="context",
                hint="Lower --max-turns or --max-tokens, or choose a --prm with a longer context.",
            )
        return score

    async def close(self) -> None:
        """Drops the model."""
        self._model = None
        self._known.clear()

    async def _read(self) -> None:
        """One pass over conversations that wait, those first that have waited longest."""
        paths = _longest([node.path() for node in islice(self._waiting.values(), AT_ONCE)])
        found = await asyncio.to_thread(self._score, paths[:TOGETHER])
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self._known.update(found)
        for chain in found:
            self._waiting.pop(chain, None)

    def _score(self, paths: Sequence[Sequence[Node]]) -> dict[str, float | None]:
        """The score of every reply of these conversations, by its chain."""
        import torch

        model = self._loaded()
        read = [self._renderer.steps([{"role": n.role, "content": n.content} for n in path]) for path in paths]
        longest = min(max(len(tokens) for tokens, _ in read), self._window)
        ids = torch.zeros((len(read), longest), dtype=torch.long)  # [conversations, tokens]
        mask = torch.zeros_like(ids)
        for row, (tokens, _) in enumerate(read):
            ids[row, : len(tokens)] = torch.tensor(tokens[:longest])
            mask[row, : len(tokens)] = 1
        with torch.inference_mode():
            logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
            good = logits.float().softmax(-1)[..., self._good].cpu()
        found: dict[str, float | None] = {}
        for row, (path, (_, ends)) in enumerate(zip(paths, read, strict=True)):
            replies = [node for node in path if node.role == "assistant"]
            for reply, end in zip(replies, ends, strict=True):
                found[reply.chain] = round(float(good[row, end]), DIGITS) if end < longest else None
        return found

    def _loaded(self) -> Any:
        import torch
        from transformers import AutoModelForTokenClassification
        from transformers.utils import logging

        if self._model is None:
            logging.disable_progress_bar()  # it would run through what a run shows of itself
            device = "cuda" if torch.cuda.is_available() else "cpu"
            try:
                model = AutoModelForTokenClassification.from_pretrained(self._place, config=self._config, dtype="auto")
            except (OSError, ValueError, RuntimeError) as error:
                raise _unreadable(self.spec, error) from error
            self._model = model.to(device).eval()
        return self._model


def fingerprint(place: str, config: Any) -> str:
    """Short hash of the files that decide a score; for a name on the hub, of the revision that was found."""
    folder = Path(place)
    if not folder.is_dir():
        return str(getattr(config, "_commit_hash", None) or place)[:16]
    files = [folder / name for name in _IDENTITY] + sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


def _longest(paths: Sequence[Sequence[Node]]) -> list[Sequence[Node]]:
    """The conversations that are not the beginning of another one."""
    found: list[Sequence[Node]] = []
    inside: set[str] = set()
    for path in sorted(paths, key=len, reverse=True):
        if path[-1].chain not in inside:
            found.append(path)
            inside.update(node.chain for node in path)
    return found


def _unreadable(spec: str, error: Exception) -> SetupError:
    return SetupError(f"{spec} cannot be loaded ({cause(error)}): check the folder or the name after prm:.")
