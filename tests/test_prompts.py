"""Prompt texts: shipped, overridden by name, and part of a run's identity."""

from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.prompts import filled, load_prompts
from openstrawberry.strategies.catalogue import STRATEGIES, open_strategy


@pytest.mark.parametrize("name", STRATEGIES.table)
@pytest.mark.parametrize("set_name", ["full", "brief"])
def test_every_strategy_has_both_sets(name: str, set_name: str) -> None:
    prompts = load_prompts(name, set_name, uses=open_strategy(name, {}).uses)
    assert prompts.entries or prompts.others  # one that says nothing itself speaks through others


def test_a_users_folder_overrides_by_name_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "cot.yaml").write_text("full: {user: 'Q: {question}'}")
    assert load_prompts("cot", "full", tmp_path).text("user") == "Q: {question}"
    assert load_prompts("zero-shot", "full", tmp_path) == load_prompts("zero-shot", "full")


def test_changing_a_word_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "cot.yaml").write_text("full: {user: 'Q: {question}'}")
    first = load_prompts("cot", "full", tmp_path).digest
    (tmp_path / "cot.yaml").write_text("full: {user: 'Q:  {question}'}")
    assert load_prompts("cot", "full", tmp_path).digest != first


def test_the_texts_of_strategies_that_work_for_another_are_part_of_its_identity(tmp_path: Path) -> None:
    alone, helped = load_prompts("cot", "full"), load_prompts("cot", "full", uses=["strawberry"])
    assert helped.others["strawberry"] == load_prompts("strawberry", "full")
    (tmp_path / "strawberry.yaml").write_text("full: {system: hi}")
    assert len({each.digest for each in (alone, helped, load_prompts("cot", "full", tmp_path, ["strawberry"]))}) == 3


@pytest.mark.parametrize(
    ("text", "advice"), [("full: [", "fix it"), ("- a", "--prompt-set"), ("brief: {}", "--prompt-set")]
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, text: str, advice: str) -> None:
    (tmp_path / "cot.yaml").write_text(text)
    with pytest.raises(SetupError, match=advice):
        load_prompts("cot", "full", tmp_path)


def test_a_missing_pool_names_the_file_to_mend(tmp_path: Path) -> None:
    (tmp_path / "strawberry.yaml").write_text("full: {system: hi}")
    with pytest.raises(SetupError, match=r"strawberry/full has no texts under 'next'"):
        load_prompts("strawberry", "full", tmp_path).pool("next")


def test_a_folder_without_prompts_is_refused_not_ignored(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(SetupError, match="--prompts"):
            load_prompts("cot", "full", folder)


def test_a_prompt_is_filled_in_one_pass_and_unknown_places_stay() -> None:
    said = filled("{question} {steps} {other} {}", question="What is {steps}?", steps=r"\1 {question}")
    assert said == r"What is {steps}? \1 {question} {other} {}"
