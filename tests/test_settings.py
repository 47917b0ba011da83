"""The environment and `.env`, and model lists however they are written."""

from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.settings import Settings

ROOT = Path(__file__).parent.parent


WRITTEN = ("a:1, b", " [ a:1 ,b ] ", "[a:1, b]", '["a:1", "b"]', "['a:1', 'b']", "ollama:a:1,b", '["ollama:a:1", b]')


@pytest.mark.parametrize("text", WRITTEN)
def test_a_model_list_is_read_however_it_is_written(text: str) -> None:
    assert Settings({"MODELS": text}).names("MODELS", "ollama") == ("a:1", "b")


@pytest.mark.parametrize("text", ["mistral:v0.3", '"mistral:v0.3"', "[mistral:v0.3]", "ollama:mistral:v0.3"])
def test_a_single_name_is_one_name_and_not_its_letters(text: str) -> None:
    assert Settings({"MODELS": text}).names("MODELS", "ollama") == ("mistral:v0.3",)


@pytest.mark.parametrize("text", ["[a, b", "a, b]", '["a, b]', "[a b]", '[a", b]', "{a: 1}", ",", "'a"])
def test_a_malformed_model_list_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(SetupError, match=r'Write it as MODELS="\[first-model, second-model\]"'):
        Settings({"MODELS": text}).names("MODELS")


def test_an_unset_list_is_empty() -> None:
    assert Settings({"MODELS": "  "}).names("MODELS") == ()
    assert Settings({"MODELS": "[]"}).names("MODELS") == ()


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("FROM_FILE=file\nFROM_BOTH=file\nEMPTY=\nQUOTED='a # b'\n", encoding="utf-8")
    monkeypatch.setenv("FROM_BOTH", "environment")
    settings = Settings.load(tmp_path)
    assert settings.first("FROM_FILE") == "file"
    assert settings.first("FROM_BOTH", "FROM_FILE") == "environment"
    assert settings.first("EMPTY", "QUOTED") == "a # b"
    assert settings.first("NOWHERE") == ""


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"KEY=\xff\xfe\n")
    with pytest.raises(SetupError, match="fix or remove it"):
        Settings.load(tmp_path)


def test_a_key_never_shows_in_a_repr() -> None:
    assert "sk-secret" not in repr(Settings({"KEY": "sk-secret"}))


def test_the_example_file_lists_every_variable_that_the_table_of_providers_reads() -> None:
    from openstrawberry.models.registry import PROVIDERS

    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    listed = {line.lstrip("# ").partition("=")[0] for line in text.splitlines() if "=" in line}
    for row in PROVIDERS:
        if row.keys:
            assert {*row.keys, *row.url_variables, *row.name_variables, *row.variables} <= listed, row.name
