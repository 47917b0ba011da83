"""Asks a model for summaries of the steps of one trace.

The calls go through the record and the ledger of the run, like those of `strawberry verify` with a judge: no reply is
paid for twice, each is priced, and the budget that the run was given holds for them too. What the model writes is text
on one line, cut to `LONGEST` characters.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openstrawberry.calls import named_models, over_run
from openstrawberry.chat import Message, Request
from openstrawberry.config import RunConfig, load_config
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.model import Model, without_address
from openstrawberry.models.replies import reply_key
from openstrawberry.prompts import filled, load_prompts
from openstrawberry.settings import Settings
from openstrawberry.store.lock import is_locked
from openstrawberry.store.reading import read_run
from openstrawberry.trace import Trace
from openstrawberry.ui.reading import cut, read
from openstrawberry.ui.summaries import Block, Summary, blocks, keep_summaries, read_summaries
from openstrawberry.verifiers.extract import without_thoughts

LONGEST = 600  # characters of a summary
MAX_TOKENS = 4096  # of a reply, a reasoning model's thoughts included
ATTEMPTS = 3  # somebody waits for them
SHOWN = 24_000  # characters of a block that the model is shown
_OF_THE_RUN = ("prices", "budget_usd", "budget_tokens", "timeout")
_TAGS = re.compile(r"</?summary>", re.IGNORECASE)


@dataclass(frozen=True)
class Summarised:
    """How many blocks were summarised now, how many could not be, and the first reason why; empty without one."""

    written: int = 0
    failed: int = 0
    error: str = ""


async def summarise(run: Path, trace: Trace, model: str, settings: Settings) -> Summarised:
    """Has every block of `trace` summarised that has no summary by `model` yet, and keeps the summaries beside `run`.

    Raises:
        SetupError: there is no such run, it is still being written to, or `model` cannot be asked.
    """
    config = _config(run, model)
    spec = without_address(named_models(config, settings)[0])
    if "berry" in config.providers:
        raise SetupError("berry, the embedded model, cannot summarise: name another, such as ollama:mistral.")
    written = read_summaries(run).written
    owed = [block for block in blocks(read(trace)) if (trace.id, block.key, spec) not in written]
    if not owed:
        return Summarised()
    if is_locked(run):
        raise SetupError(
            f"{run.name} is still being written to: ask for summaries when it has ended (one of the page's own "
            "questions ends with New question)."
        )
    async with over_run(run, config, settings) as asked:
        said = await asyncio.gather(*(_ask(asked, trace, block) for block in owed), return_exceptions=True)
        pairs = list(zip(owed, said, strict=True))
        texts = [(block, text) for block, text in pairs if isinstance(text, str) and text]
        keep_summaries(run, [Summary(trace=trace.id, block=block.key, model=spec, text=text) for block, text in texts])
    return Summarised(len(texts), len(owed) - len(texts), _reason(spec, said))


def _config(run: Path, model: str) -> RunConfig:
    """Who is asked, with what the run was told of prices and budget."""
    told = read_run(run).get("config") or {}
    flags = {name: told.get(name) for name in _OF_THE_RUN}
    return load_config(None, {**flags, "model": model, "attempts": ATTEMPTS})


def _reason(spec: str, said: Sequence[str | BaseException]) -> str:
    """Why some have no summary.

    Raises:
        BaseException: something that is no failure of a call.
    """
    for each in said:
        if isinstance(each, BaseException) and not isinstance(each, ProviderError):
            raise each
    silent = f"{spec} wrote no summary: choose another model."
    return next((str(each) or silent for each in said if not isinstance(each, str) or not each), "")


async def _ask(model: Model, trace: Trace, block: Block) -> str:
    prompts = load_prompts("summary", "full")
    share = SHOWN // len(block.steps)
    steps = "\n\n".join(f"Step {step.number}: {step.title}\n{cut(step.turn.content, share)}" for step in block.steps)
    asked = filled(prompts.text("user"), question=cut(trace.problem.question, SHOWN), steps=steps)
    messages = (Message(role="system", content=prompts.text("system")), Message(role="user", content=asked))
    chain = hashlib.sha256(repr([each.content for each in messages]).encode("utf-8", "replace")).hexdigest()
    request = Request(messages, max_tokens=MAX_TOKENS, seed=int(chain[:8], 16) >> 1, cache_key=f"summary-{trace.id}")
    key = reply_key(without_address(model.spec), "summary", request, chain, 0, 0)
    reply = await model.complete(replace(request, key=key))
    text = " ".join(_TAGS.sub(" ", without_thoughts(reply.content)).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
