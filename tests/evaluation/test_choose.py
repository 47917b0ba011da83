import json
from pathlib import Path

from openstrawberry.evaluation.choose import METHODS, choose


def train(folder: Path, base: str, created: str) -> str:
    folder.mkdir(parents=True)
    spec = f"hf:{folder}"
    (folder / "strawberry.json").write_text(json.dumps({"base": base, "spec": spec, "created": created}))
    return spec


def test_the_newest_trained_model_is_compared_with_its_base(tmp_path: Path) -> None:
    train(tmp_path / "old", "berry", "2026-01-01T00:00:00+00:00")
    spec = train(tmp_path / "deep" / "new", "hf:base", "2026-02-01T00:00:00+00:00")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "strawberry.json").write_text("{")
    chosen = choose([], [], tmp_path)
    assert (chosen.models, chosen.methods) == (["hf:base", spec], ["strawberry"])
    assert "new" in chosen.why


def test_without_a_trained_model_the_methods_of_berry_are_compared(tmp_path: Path) -> None:
    chosen = choose([], [], tmp_path / "none")
    assert (chosen.models, chosen.methods) == (["berry"], list(METHODS))
    assert chosen.settings["all_pairs"] is True


def test_what_the_command_says_is_kept(tmp_path: Path) -> None:
    train(tmp_path / "new", "hf:base", "2026-02-01T00:00:00+00:00")
    assert choose(["a"], [], tmp_path).settings == {"models": ["a"], "methods": ["strawberry"]}
    assert choose([], ["cot"], tmp_path).methods == ["cot"]
    assert choose([], ["cot"], tmp_path / "none").settings == {"models": ["berry"], "methods": ["cot"]}
    assert choose(["a"], ["cot"], tmp_path).why == ""
