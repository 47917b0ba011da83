"""Sources by name, and the columns of the Hub and the gym."""

import json
from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.problems.gym import decode, encode
from openstrawberry.problems.hub import hub_rows
from openstrawberry.problems.load import is_local, load_problems, split_source


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("builtin:demo", "builtin"),
        ("gym:dice?size=3", "gym"),
        ("hub:a/b:c:d", "hub"),
        ("gsm8k", "preset"),
        ("gsm8k@rows.jsonl", "preset"),
        ("folder/rows.jsonl", "file"),
        ("rows.csv", "file"),
    ],
)
def test_a_source_is_known_by_its_form(source: str, kind: str) -> None:
    assert split_source(source)[0] == kind


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("", "--problems builtin:demo"),
        ("bultin:demo", "did you mean 'builtin'"),
        ("gms8k", "did you mean 'gsm8k'"),
        ("x" * 5000, "choose one of"),
        ("hub:squad", "write hub:owner/name"),
        ("hub:a/b:c:d:e", "write hub:owner/name"),
    ],
)
def test_an_unknown_source_gets_the_nearest_name_or_the_right_form(source: str, sentence: str) -> None:
    with pytest.raises(SetupError) as caught:
        load_problems(source)
    assert sentence in str(caught.value)


def test_a_file_wins_over_a_benchmark_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("math").mkdir()
    assert split_source("math") == ("file", "math")


def test_only_what_comes_over_the_network_is_not_local() -> None:
    assert all(is_local(source) for source in ("rows.jsonl", "gsm8k@rows.jsonl", "builtin:demo", "gym:sort"))
    assert not any(is_local(source) for source in ("gsm8k", "hub:a/b"))


def test_a_limit_is_kept_and_one_that_leaves_nothing_refused() -> None:
    assert len(list(load_problems("builtin:demo", limit=3))) == 3
    with pytest.raises(SetupError, match="--limit 1"):
        load_problems("builtin:demo", limit=0)


def test_a_forced_verifier_is_written_into_every_problem() -> None:
    assert {problem.verifier for problem in load_problems("builtin:demo", verifier="exact")} == {"exact"}


def test_what_is_wrong_with_a_source_shows_before_the_first_problem_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SetupError):
        load_problems(str(tmp_path / "none.jsonl"))


def test_tuples_sets_and_number_keys_survive_json() -> None:
    value = {"a": (1, [2, (3,)]), 4: {"x": None}, "s": {3, 1}, "f": frozenset({(1, 2)}), "t": True, "n": 1.5}
    assert decode(json.loads(json.dumps(encode(value)))) == value
    with pytest.raises(SetupError, match="cannot be stored"):
        encode(object())


def test_the_gym_refuses_what_it_cannot_check_and_names_what_exists() -> None:
    pytest.importorskip("reasoning_gym")
    for source, sentence in [
        ("gym:spell_backwrd", "did you mean 'spell_backward'"),
        ("gym:", "Name a reasoning-gym task"),
        ("gym:boxnet", "keeps no known answer"),
        ("gym:rubiks_cube", "keeps no known answer"),
        ("gym:game_of_life_halting", "accepts any text"),
        ("gym:dice?sizes=3", "did you mean 'size'"),
        ("gym:dice?size=none", "a whole number"),
        ("gym:acre?level=2", "has no levels"),
        ("gym:spell_backward?min_word_len=99", "refuses its settings"),
    ]:
        with pytest.raises(SetupError) as caught:
            load_problems(source)
        assert sentence in str(caught.value)


def test_the_gym_takes_size_seed_level_and_a_tasks_own_settings() -> None:
    pytest.importorskip("reasoning_gym")
    easy = list(load_problems("gym:spell_backward?size=5&seed=3&level=0"))
    hard = list(load_problems("gym:spell_backward?size=5&seed=3&level=3"))
    assert len(easy) == 5
    assert easy == list(load_problems("gym:spell_backward?size=5&level=0", seed=3))
    assert [problem.difficulty for problem in hard] == [3.0] * 5
    assert sum(len(problem.answer) for problem in hard) > sum(len(problem.answer) for problem in easy)
    (own,) = load_problems("gym:spell_backward?size=1&min_word_len=9&max_word_len=9")
    assert len(own.answer) == 9
    assert (own.verifier, own.source) == ("gym", "gym:spell_backward")


def test_a_data_set_is_streamed_from_the_split_that_exists(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    for split, answer in (("train", 1), ("test", 2)):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"question": "?", "answer": answer}) + "\n")
    assert [row.fields["answer"] for row in hub_rows(str(tmp_path))] == [2]
    (row,) = hub_rows(str(tmp_path), split="train")
    assert (row.fields["answer"], row.place) == (1, "train row 1")
    with pytest.raises(SetupError, match="no split 'dev': choose one of"):
        list(hub_rows(str(tmp_path), split="dev"))


def test_a_data_set_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(SetupError, match="is no name of a data set: write hub:owner/name"):
        list(hub_rows(str(tmp_path / "none")))
