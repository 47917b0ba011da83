"""What is trained on is what the model read and wrote: its own tokens learnt, everybody else's not."""

import asyncio

import pytest

pytest.importorskip("transformers", reason="needs the extra `train`")

from transformers import AutoTokenizer

from openstrawberry.chat import Message, Request
from openstrawberry.errors import SetupError
from openstrawberry.models.providers.berry import MODEL, BerryModel
from openstrawberry.models.rendering import Renderer, Rewritten

TALK = [
    {"role": "system", "content": "One small step per turn, nothing more."},
    {"role": "user", "content": "What is 48 + 67?\nStart with the first small step."},
    {"role": "assistant", "content": "Left 48+67, carry 0, got nothing"},
    {"role": "user", "content": "Next step?"},
    {"role": "assistant", "content": "8+7+0=15. Left 4+6, carry 1, got 5"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL)


def learnt(renderer, messages):
    found = renderer.encode(messages)
    return renderer.tokenizer.decode([i for i, mark in zip(found.ids, found.learn, strict=True) if mark])


def test_only_the_replies_are_learnt_each_with_its_end_mark(tokenizer):
    assert learnt(Renderer(tokenizer, "berry"), TALK) == f"{TALK[2]['content']}<|end|>{TALK[4]['content']}<|end|>"


def test_the_ids_learnt_are_the_ids_that_the_model_generated(tokenizer):
    async def play():
        model = BerryModel()
        talk = [Message(role="system", content=TALK[0]["content"]), Message(role="user", content=TALK[1]["content"])]
        generated = []
        for turn in range(6):
            reply = await model.complete(Request(tuple(talk), temperature=1.5, max_tokens=60, seed=turn))
            generated.append(reply.token_ids)
            talk += [Message(role="assistant", content=reply.content), Message(role="user", content="Next step?")]
        await model.close()
        return talk[:-1], generated

    talk, generated = asyncio.run(play())
    found = Renderer(tokenizer, "berry").encode([{"role": m.role, "content": m.content} for m in talk])
    runs, before = [], False
    for token, mark in zip(found.ids, found.learn, strict=True):
        if mark and not before:
            runs.append([])
        if mark:
            runs[-1].append(token)
        before = mark
    assert [tuple(run) for run in runs] == generated


def test_any_template_that_only_appends_is_understood_without_generation_marks(tokenizer):
    plain = tokenizer.__class__.from_pretrained(MODEL)
    plain.chat_template = (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    assert learnt(Renderer(plain, "x"), TALK) == f"{TALK[2]['content']}<|end|>{TALK[4]['content']}<|end|>"


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    rewriting = tokenizer.__class__.from_pretrained(MODEL)
    rewriting.chat_template = (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}"
        "{{ m['content'] if loop.last else m['content'][:3] }}{% endfor %}"
    )
    renderer = Renderer(rewriting, "hf:x")
    with pytest.raises(Rewritten, match=r"select --rendering flat`, or put a template .* `chat_template.jinja`\.$"):
        renderer.encode(TALK)
    with pytest.raises(Rewritten, match=r"such as hf:Qwen/Qwen2\.5-0\.5B-Instruct, or put a template"):
        renderer.steps(TALK)


def test_steps_need_only_the_ends_of_replies_however_a_template_opens_them(tokenizer):
    opening = tokenizer.__class__.from_pretrained(MODEL)
    opening.chat_template = (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}"
    )
    renderer = Renderer(opening, "hf:x")
    ids, ends = renderer.steps(TALK)
    read = [opening.decode(ids[: end + 1]) for end in ends]
    assert read == [opening.apply_chat_template(TALK[:upto], tokenize=False) for upto in (3, 5)]
    with pytest.raises(Rewritten, match="renders earlier turns differently"):
        renderer.encode(TALK)


def test_a_model_without_a_chat_template_is_refused_with_what_to_do(tokenizer):
    bare = tokenizer.__class__.from_pretrained(MODEL)
    bare.chat_template = None
    with pytest.raises(SetupError, match="no chat template: choose the instruct version"):
        Renderer(bare, "hf:x")
