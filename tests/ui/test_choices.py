"""What the page offers to choose from."""

from typing import Literal

import pytest
from pydantic import BaseModel, Field

from openstrawberry.doctor import Finding
from openstrawberry.errors import SetupError
from openstrawberry.models.registry import ProviderState
from openstrawberry.ui.choices import (
    keys_wanted,
    models_offered,
    option_of,
    options_of,
    refuse_what_is_not_for_guests,
    strategy_names,
)


class Fields(BaseModel):
    whole: int = Field(default=3, ge=1, le=9, description="how many")
    maybe: int | None = Field(default=None, ge=0)
    share: float = Field(default=0.5, gt=0, lt=1)
    flag: bool = False
    kind: Literal["a", "b"] = "a"
    word: str = "x"
    mixed: int | str = 1
    many: list[str] = Field(default_factory=list)


def test_a_field_becomes_an_option_of_its_kind_with_range_and_default() -> None:
    options = {name: option_of(name, field) for name, field in Fields.model_fields.items()}
    assert {name: option.kind for name, option in options.items()} == {
        "whole": "int", "maybe": "int", "share": "float", "flag": "bool", "kind": "choice", "word": "text",
        "mixed": "text", "many": "text",
    }  # fmt: skip
    whole = options["whole"]
    assert (whole.least, whole.most, whole.default, whole.description, whole.optional) == (1, 9, 3, "how many", False)
    assert (options["maybe"].optional, options["maybe"].default, options["maybe"].most) == (True, None, None)
    assert (options["share"].least, options["share"].most) == (0, 1)
    assert options["kind"].choices == ("a", "b")
    assert options["many"].default == []


def test_every_strategy_tells_its_options_and_what_each_is_for() -> None:
    for name in strategy_names():
        for option in options_of(name):
            assert option.description, f"{name}: {option.name}"
            assert option.name != "max_turns"


def found(name: str, state: str, *models: str, key: bool = True) -> Finding:
    return Finding(ProviderState(name, (f"{name.upper()}_API_KEY",), key, False, "", (), True), state, models)


def test_models_that_answer_are_offered_after_berry() -> None:
    findings = [found("openai", "ready", "gpt", "o"), found("groq", "trouble", "x"), found("berry", "ready", key=False)]
    assert models_offered(findings) == ["berry", "openai:gpt", "openai:o"]
    assert keys_wanted(findings) == {"openai": "OPENAI_API_KEY", "groq": "GROQ_API_KEY"}


def test_a_guest_may_ask_berry_and_whatever_takes_a_key_and_nothing_else() -> None:
    for model in ("berry", "openai:gpt-5-mini", "groq:llama,cerebras:llama"):
        refuse_what_is_not_for_guests(model)
    for model in ("scripted:/etc/passwd", "hf:/models", "ollama:x", "vllm:x", "compat:x@http://127.0.0.1:1/v1",
                  "openai:gpt@http://10.0.0.1/v1", "berry,scripted:/etc/passwd"):  # fmt: skip
        with pytest.raises(SetupError, match="choose berry"):
            refuse_what_is_not_for_guests(model)
