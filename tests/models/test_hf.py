"""A tiny random transformers model in process: seeded, streamed, and with its cache kept between turns."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.chat import Delta, Message, Reply, Request
from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.registry import open_model
from openstrawberry.settings import Settings

torch = pytest.importorskip("torch", reason="the extra [hf] is not installed")
transformers = pytest.importorskip("transformers", reason="the extra [hf] is not installed")
pytestmark = pytest.mark.filterwarnings("default")

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 64 characters and random weights."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    home = tmp_path_factory.mktemp("tiny")
    special = ["<unk>", "</s>", "<system>", "<user>", "<assistant>"]
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,?"
    vocabulary = {token: at for at, token in enumerate([*special, *letters])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="</s>", extra_special_tokens=special[2:]
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(home)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        eos_token_id=vocabulary["</s>"],
        bos_token_id=None,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(home)
    return home


def opened(folder: Path) -> Any:
    return open_model(f"hf:{folder}", Settings({}))


def said(model: Any, request: Request, heard: list[Delta] | None = None) -> Reply:
    reply: Reply = asyncio.run(model.complete(request, heard.append if heard is not None else None))
    return reply


def grown(*replies: str, **fields: Any) -> Request:
    """A conversation with these replies in it."""
    messages = [Message(role="system", content="Think."), Message(role="user", content="How many?")]
    for reply in replies:
        messages += [Message(role="assistant", content=reply), Message(role="user", content="Go on.")]
    return Request(tuple(messages), max_tokens=12, **fields)


def test_a_seed_decides_a_reply_whatever_came_before(folder: Path) -> None:
    model = opened(folder)
    first = [said(model, grown(seed=seed, temperature=1.0)).content for seed in range(4)]
    again = [said(model, grown(seed=seed, temperature=1.0)).content for seed in reversed(range(4))]
    assert first == again[::-1]
    assert len(set(first)) > 1


def test_a_reply_streams_in_pieces_and_counts_its_tokens(folder: Path) -> None:
    heard: list[Delta] = []
    reply = said(opened(folder), grown(seed=1, temperature=1.0), heard)
    assert "".join(delta.text for delta in heard).strip() == reply.content
    assert reply.usage.output == len(reply.token_ids or ()) <= 12
    assert reply.finish_reason in ("stop", "length")
    assert (reply.usage.input or 0) > 10


def test_turns_read_from_the_kept_cache_say_what_turns_without_it_say(folder: Path) -> None:
    kept, fresh = opened(folder), opened(folder)
    replies: list[str] = []
    for _ in range(4):
        with_cache = said(kept, grown(*replies, temperature=0, cache_key="trace"))
        without = said(fresh, grown(*replies, temperature=0))
        assert with_cache == without
        replies.append(with_cache.content)
    assert len(kept._kept) == 1


def test_a_stop_text_ends_a_reply_before_it(folder: Path) -> None:
    model = opened(folder)
    whole = said(model, grown(seed=2, temperature=1.0)).content
    assert len(whole) > 4
    stop = whole[2:4]
    cut = said(model, grown(seed=2, temperature=1.0, stop=(stop,)))
    assert cut.content == whole[: whole.index(stop)].strip()
    assert cut.finish_reason == "stop"


def test_a_conversation_beyond_the_window_is_a_context_error(folder: Path) -> None:
    with pytest.raises(ProviderError) as caught:
        said(opened(folder), grown(*["long " * 20] * 5))
    assert caught.value.kind == "context"


def test_a_folder_without_a_model_is_a_set_up_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be loaded"):
        opened(tmp_path)
