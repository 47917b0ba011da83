import pytest

from openstrawberry.errors import SetupError
from openstrawberry.evaluation.methods import entries, read_method, short_model


def test_a_method_is_a_strategy_with_options() -> None:
    method = read_method("strawberry:max_turns=20,temperature=0.7")
    assert (method.strategy, method.options) == ("strawberry", {"max_turns": 20, "temperature": 0.7})
    assert read_method(" cot ").options == {}
    assert read_method("few-shot:shots=2").options == {"shots": 2}
    assert read_method("strawberry:max-turns=20").options == {"max_turns": 20}
    searched = read_method("vote:base=mcts, base_options={value: prm, depth: 24},k=3")
    assert searched.options == {"base": "mcts", "base_options": {"value": "prm", "depth": 24}, "k": 3}


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ("strawbery", "did you mean 'strawberry'"),
        ("zero_shot", "did you mean 'zero-shot'"),
        ("", "choose one of"),
        ("omego", "llamaberry, deep-think, distill."),  # not those that eval refuses
        ("strawberry:max_turn=20", "did you mean 'max_turns'"),
        ("strawberry:max_turns", "strawberry:key=value"),
        ("strawberry:max_turns=", "strawberry:key=value"),
        ("strawberry:max_turns=many", "max_turns"),
        ("strawberry:max_turns=0", "max_turns"),
        ("strawberry:max_turns=[", "no value"),
    ],
)
def test_a_method_that_is_none_is_one_sentence_with_advice(spec: str, advice: str) -> None:
    with pytest.raises(SetupError) as caught:
        read_method(spec)
    assert advice in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


def test_every_model_with_every_method_in_the_order_given() -> None:
    rows = entries(["berry", "hf:models/round-2"], ["cot", "strawberry:max_turns=9"])
    assert [row.name for row in rows] == [
        "berry cot",
        "berry strawberry:max_turns=9",
        "round-2 cot",
        "round-2 strawberry:max_turns=9",
    ]
    assert len({row.folder for row in rows}) == 4
    assert all("/" not in row.folder and ":" not in row.folder for row in rows)


def test_models_of_the_same_short_name_are_named_in_full() -> None:
    rows = entries(["hf:a/new", "hf:b/new", "berry"], ["cot"])
    assert [row.name for row in rows] == ["hf:a/new cot", "hf:b/new cot", "berry cot"]


def test_the_folder_of_a_row_does_not_depend_on_the_other_rows() -> None:
    alone = entries(["berry"], ["cot"])[0]
    assert entries(["hf:x", "berry"], ["zero-shot", "cot"])[3] == alone


@pytest.mark.parametrize(
    ("spec", "short"),
    [("berry", "berry"), ("ollama:mistral:v0.3", "mistral:v0.3"), ("hf:models/a/", "a"), ("compat:m@http://h/v1", "m")],
)
def test_models_have_short_names(spec: str, short: str) -> None:
    assert short_model(spec) == short


@pytest.mark.parametrize(
    ("models", "methods", "advice"),
    [(["a", "a"], ["cot"], "name it once"), ([], ["cot"], "--model"), (["a"], [], "--method")],
)
def test_rows_that_make_no_sense_are_refused(models: list[str], methods: list[str], advice: str) -> None:
    with pytest.raises(SetupError, match=advice):
        entries(models, methods)
