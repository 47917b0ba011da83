"""berry's tokenizer: letters stay letters, phrases are one token, and text survives the round trip."""

import string
from pathlib import Path

import pytest
import yaml

from openstrawberry.berry import data, tokenizer
from openstrawberry.problems import families

BUILT = tokenizer.build()
PROMPTS = Path(__file__).parents[2] / "prompts"


def encode(text: str) -> list[int]:
    return BUILT.encode(text, add_special_tokens=False).ids


def test_decoding_gives_back_what_was_encoded():
    for text in (
        string.printable[:95],
        "How many r's are in strawberry?\nStart",
        "Left 48+67, carry 0, got nothing",
        "",
    ):
        assert BUILT.decode(encode(text)) == text


def test_no_word_or_number_is_ever_a_token():
    words = [token for token in BUILT.get_vocab() if token.isalnum()]
    assert {len(token) for token in words} == {1}


def test_what_cannot_be_spelt_is_unknown_and_not_lost():
    assert len(encode("é🍓")) == 2


def test_the_words_of_the_brief_prompts_are_those_berry_was_trained_on():
    game = yaml.safe_load((PROMPTS / "strawberry.yaml").read_text())["brief"]
    assert tuple(game["system"]) == tokenizer.SYSTEM_PROMPTS
    assert tuple(game["next"]) == tokenizer.NEXT
    assert tuple(game["sure"]) == tokenizer.SURE
    assert tuple(game["final"]) == (tokenizer.FINAL,)
    assert game["first"] == ["{question}" + tokenizer.FIRST]
    for name, ending in (("zero-shot", tokenizer.DIRECT), ("few-shot", tokenizer.DIRECT), ("cot", tokenizer.STEPWISE)):
        assert yaml.safe_load((PROMPTS / f"{name}.yaml").read_text())["brief"]["user"] == "{question}" + ending


def test_every_prompt_is_one_token():
    assert all(len(encode(prompt)) == 1 for prompt in tokenizer.PROMPTS)


@pytest.mark.parametrize("item", [families.LetterCount("strawberry", "r"), families.Addition(76, 15)])
def test_a_question_costs_its_letters_and_little_more(item):
    spelt = 11 if item.family == "count" else 4
    for phrasing in range(5):
        assert len(encode(item.question(phrasing))) <= spelt + 3


def test_rendering_only_appends():
    transformers = pytest.importorskip("transformers", reason="needs the extra `berry`")
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=BUILT)
    wrapped.chat_template = tokenizer.CHAT_TEMPLATE
    from random import Random

    turns = [{"role": turn.role, "content": turn.content} for turn in data.step_game(Random(5))]
    before = ""
    for count in range(1, len(turns) + 1):
        asks = turns[count - 1]["role"] == "user"
        text = wrapped.apply_chat_template(turns[:count], tokenize=False, add_generation_prompt=asks)
        assert text.startswith(before)
        before = text
