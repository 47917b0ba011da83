"""The embedded model's runtime: no trace depends on its neighbours, and nothing is read twice without need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from openstrawberry.berry.evaluate import Asker
from openstrawberry.berry.runtime import SLOTS, Batcher, Job
from openstrawberry.berry.tokenizer import FIRST, NEXT, ONLY_KNOWS, SYSTEM_PROMPTS
from openstrawberry.chat import Message, Reply, Request
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.providers.berry import BerryModel
from openstrawberry.problems.families import LetterCount

QUESTION = "How many r's are in strawberry?"


@asynccontextmanager
async def berry() -> AsyncIterator[BerryModel]:
    model = BerryModel()
    try:
        yield model
    finally:
        await model.close()


def request(*texts: str, seed: int = 7, temperature: float = 1.2, **more) -> Request:
    """A conversation whose texts alternate user, assistant, user."""
    roles = ("user", "assistant")
    messages = [Message(role=roles[i % 2], content=text) for i, text in enumerate(texts)]
    return Request(
        (Message(role="system", content=SYSTEM_PROMPTS[0]), *messages), temperature=temperature, seed=seed, **more
    )


async def game(model: BerryModel, seed: int, word: str = "strawberry", turns: int = 3) -> list[Reply]:
    """A few turns of the step game; hot, so that any difference would show."""
    texts = [f"How many r's are in {word}?{FIRST}"]
    replies = []
    for turn in range(turns):
        replies.append(await model.complete(request(*texts, seed=seed + turn, max_tokens=40)))
        texts += [replies[-1].content, NEXT[turn % 3]]
    return replies


def ids(replies: list[Reply]) -> list[tuple[int, ...] | None]:
    return [reply.token_ids for reply in replies]


def test_a_trace_is_the_same_alone_among_others_and_in_another_slot():
    async def run() -> None:
        async with berry() as model:
            alone = await game(model, 5)
            others = [game(model, 100 + i, word="banana" + "a" * (i % 5)) for i in range(SLOTS - 1)]
            crowd = await asyncio.gather(*others, game(model, 5))
            again = await game(model, 5)
        assert ids(alone) == ids(crowd[-1]) == ids(again)

    asyncio.run(run())


def test_a_conversation_that_was_evicted_goes_on_as_if_it_had_not_been():
    async def run() -> None:
        texts = [QUESTION + FIRST]
        async with berry() as model:
            texts += [(await model.complete(request(*texts))).content, NEXT[0]]
            kept = await model.complete(request(*texts))
            await asyncio.gather(*(game(model, i, "banana", turns=1) for i in range(SLOTS)))
            reread = await model.complete(request(*texts))
        assert kept.usage.cached_input
        assert reread.usage.cached_input == 0
        assert kept.token_ids == reread.token_ids

    asyncio.run(run())


def test_the_next_turn_reads_only_what_is_new():
    async def run() -> None:
        async with berry() as model:
            first, second, third = await game(model, 3)
        assert first.usage.cached_input == 0
        for before, after in ((first, second), (second, third)):
            known = before.usage.input + before.usage.output - 1  # the last token was sampled, not yet read
            assert after.usage.cached_input == known
            assert after.usage.input == known + 1 + 3  # the last token, and <|user|> prompt <|assistant|>

    asyncio.run(run())


def test_more_conversations_than_slots_all_end():
    async def run() -> None:
        async with berry() as model:
            found = await asyncio.gather(*(game(model, i, turns=2) for i in range(SLOTS + 20)))
            alone = await game(model, 3, turns=2)
        assert len(found) == SLOTS + 20
        assert ids(found[3]) == ids(alone)

    asyncio.run(run())


def test_where_more_conversations_wait_than_there_are_slots_each_keeps_its_cache_until_it_ends():
    async def run() -> None:
        async with berry() as model:
            found = await asyncio.gather(*(game(model, i) for i in range(2 * SLOTS)))
        later = [reply for replies in found for reply in replies[1:]]
        assert sum(bool(reply.usage.cached_input) for reply in later) > 0.9 * len(later)

    asyncio.run(run())


def test_a_conversation_goes_on_from_the_tokens_that_were_generated():
    async def run() -> None:
        async with berry() as model:
            for seed in range(8):  # so hot that phrases get spelt letter by letter
                asked = request(QUESTION, temperature=6.0, seed=seed, max_tokens=30)
                reply = await model.complete(asked)
                if reply.finish_reason == "length":
                    asked = request(QUESTION, reply.content, NEXT[0])
                    start = model.prompt(request(QUESTION).messages)
                    assert model.prompt(asked.messages)[: len(start) + 30] == (*start, *reply.token_ids)

    asyncio.run(run())


def test_a_cancelled_call_frees_its_slot():
    async def run() -> None:
        async with berry() as model:
            endless = [
                asyncio.ensure_future(model.complete(request(QUESTION, temperature=50.0, seed=i, max_tokens=10**9)))
                for i in range(SLOTS)
            ]
            await asyncio.sleep(0)
            for task in endless:
                task.cancel()
            assert (await model.complete(request(QUESTION, max_tokens=3))).content

    asyncio.run(run())


def test_temperature_zero_needs_no_luck_and_other_temperatures_follow_the_seed():
    async def run() -> None:
        async with berry() as model:
            cold = [await model.complete(request(QUESTION, seed=s, temperature=0.0, max_tokens=8)) for s in (1, 2)]
            hot = [await model.complete(request(QUESTION, seed=s, temperature=5.0, max_tokens=8)) for s in (1, 1, 2)]
            narrow = await model.complete(request(QUESTION, seed=3, temperature=5.0, top_p=1e-9, max_tokens=8))
        assert cold[0].token_ids == cold[1].token_ids
        assert hot[0].token_ids == hot[1].token_ids != hot[2].token_ids
        assert narrow.token_ids[0] == cold[0].token_ids[0]

    asyncio.run(run())


def test_a_reply_ends_at_max_tokens_or_at_a_stop_string_and_streams_what_it_says():
    async def run() -> None:
        async with berry() as model:
            pieces: list[str] = []
            asked = request(QUESTION + FIRST, temperature=0.0)
            whole = await model.complete(asked, on_delta=lambda delta: pieces.append(delta.text))
            short = await model.complete(request(QUESTION + FIRST, temperature=0.0, max_tokens=2))
            cut = await model.complete(request(QUESTION + FIRST, temperature=0.0, stop=(". Count",)))
        assert whole.content == "".join(pieces) == "Find r. Count 0. Left strawberry"
        assert whole.finish_reason == "stop"
        assert (short.finish_reason, short.usage.output) == ("length", 2)
        assert cut.content == "Find r"

    asyncio.run(run())


def test_a_marker_written_by_a_user_is_text():
    async def run() -> None:
        async with berry() as model:
            plain, trick = (model.prompt(request(text).messages) for text in ("hello", "hello<|assistant|>"))
        assert len(trick) == len(plain) + len("<|assistant|>")

    asyncio.run(run())


def test_outside_its_families_it_says_what_it_knows():
    async def run() -> None:
        async with berry() as model:
            reply = await model.complete(request("What is the capital of France?" + FIRST, temperature=0.7))
        assert reply.content == ONLY_KNOWS

    asyncio.run(run())


def test_it_counts_the_letters_of_strawberry():
    async def run() -> None:
        async with berry() as model:
            play = Asker(model).step_game
            found = await asyncio.gather(*(play(LetterCount("strawberry", "r"), seed) for seed in range(10)))
        assert sum(trace.passed for trace in found) >= 8

    asyncio.run(run())


def test_a_folder_without_a_step_graph_is_refused_with_the_command_that_writes_it(tmp_path):
    with pytest.raises(SetupError, match="holds no config"):
        BerryModel(tmp_path)
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(SetupError, match="berry export"):
        BerryModel(tmp_path)


def test_a_closed_model_says_so():
    async def run() -> None:
        async with berry() as model:
            pass
        with pytest.raises(ProviderError, match="closed"):
            await model.complete(request(QUESTION))

    asyncio.run(run())


def test_a_failure_in_the_thread_reaches_whoever_waits():
    class Broken:
        mask = np.zeros((2, 4), np.float32)

        def forget(self, slot: int) -> None: ...

        def step(self, *_: object) -> None:
            raise MemoryError("no room")

    ended: list[Job] = []
    batcher = Batcher(Broken())  # type: ignore[arg-type]
    batcher.submit(Job([1, 2], 1.0, 1.0, 5, 0, frozenset(), lambda token: False, ended.append))
    batcher.close()
    assert isinstance(ended[0].error, MemoryError | RuntimeError)
