"""Rows as trainers read them."""

from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.selection.export import Row, flat
from openstrawberry.selection.options import Selecting
from openstrawberry.selection.select import select
from openstrawberry.trace import Trace
from tests.selection.making import SYSTEM, problem, trace, turn, write_run

ASKED = problem(difficulty=6.0)
RIGHT = trace(ASKED, ["Look up", "<final_answer>blue</final_answer>"])
WRONG = trace(ASKED, ["Look down", "Wait", "<final_answer>red</final_answer>"], "incorrect", sample=1)
ABOUT = {"problem": ASKED.id, "question": ASKED.question, "answer": "blue", "source": "test", "difficulty": 6.0,
         "family": ""}  # fmt: skip
SIDES = {"chosen_trace": RIGHT.id, "rejected_trace": WRONG.id, "chosen_steps": 2, "rejected_steps": 3,
         "hinted": False}  # fmt: skip
PROMPT = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ASKED.question}]
CHOSEN = [{"role": "assistant", "content": "Look up"}, {"role": "user", "content": "Next?"},
          {"role": "assistant", "content": "<final_answer>blue</final_answer>"}]  # fmt: skip
FLAT = [{"role": "assistant", "content": "<think>\nLook up\n</think>\n<final_answer>blue</final_answer>"}]


def rows(folder: Path, *traces: Trace, **options: Any) -> list[Row]:
    run = write_run(folder / "run", traces or (RIGHT, WRONG))
    return list(select([run], Selecting(**options)))


def test_a_pair_is_a_prompt_two_sides_and_where_they_came_from(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, skew=0)
    assert row == {
        "prompt": PROMPT,
        "chosen": CHOSEN,
        "rejected": [
            {"role": "assistant", "content": "Look down"},
            {"role": "user", "content": "Next?"},
            {"role": "assistant", "content": "Wait"},
            {"role": "user", "content": "Next?"},
            {"role": "assistant", "content": "<final_answer>red</final_answer>"},
        ],
        "offset": 0.0,
        "unit": "trace",
        **ABOUT,
        **SIDES,
    }


def test_a_step_pair_holds_one_reply_on_each_side(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, unit="step")
    assert row["prompt"] == PROMPT
    assert row["chosen"] == [{"role": "assistant", "content": "Look up"}]
    assert row["rejected"] == [{"role": "assistant", "content": "Look down"}]
    assert row["unit"] == "step"


def test_flat_is_the_bare_question_and_one_reply_that_thinks(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, rendering="flat")
    assert (row["prompt"], row["chosen"]) == ([{"role": "user", "content": ASKED.question}], FLAT)


def test_sft_and_kto_rows_hold_one_trace(tmp_path: Path) -> None:
    (row,) = rows(tmp_path / "a", format="sft")
    assert row == {
        "messages": [*PROMPT, *CHOSEN],
        "given": len(PROMPT),
        **ABOUT,
        "trace": RIGHT.id,
        "steps": 2,
        "hinted": False,
    }
    right, wrong = rows(tmp_path / "b", format="kto")
    assert right == {
        "prompt": PROMPT,
        "completion": CHOSEN,
        "label": True,
        **ABOUT,
        "trace": RIGHT.id,
        "steps": 2,
        "hinted": False,
    }
    assert (wrong["label"], wrong["trace"], wrong["steps"]) == (False, WRONG.id, 3)


def test_sharegpt_names_its_speakers(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, format="sharegpt")
    assert [each["from"] for each in row["conversations"]] == ["system", "human", "gpt", "human", "gpt"]
    assert row["trace"] == RIGHT.id


def test_openai_has_one_assistant_message_on_each_side(tmp_path: Path) -> None:
    (row,) = rows(tmp_path / "a", format="openai", rendering="flat")
    assert set(row) == {"input", "preferred_output", "non_preferred_output", "metadata"}
    assert row["input"]["messages"] == [{"role": "user", "content": ASKED.question}]
    assert row["preferred_output"] == FLAT
    assert row["metadata"]["rejected_trace"] == WRONG.id
    (row,) = rows(tmp_path / "b", format="openai", unit="step")
    assert [len(row[side]) for side in ("preferred_output", "non_preferred_output")] == [1, 1]


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"format": "openai"}, "--rendering flat"),
        ({"unit": "step", "rendering": "flat"}, "--unit trace"),
        ({"unit": "step", "format": "sft"}, "leave --unit out"),
        ({"low": 0.9}, "--low"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(SetupError, match=advice):
        Selecting(**options)


def test_flat_leaves_out_refusals_and_keeps_thoughts_in_one_place() -> None:
    turns = [
        turn("user", "?", -1),
        turn("assistant", "<think>one</think>", 0, "m", reasoning="hm"),
        turn("assistant", "Not yet.", 1, "m"),
        turn("assistant", "two", 2, "m"),
        turn("assistant", "<think>three</think> blue", 3, "m"),
    ]
    assert flat(turns)["content"] == "<think>\nhm\none\ntwo\n</think>\nthree blue"


def test_flat_of_a_single_reply_is_that_reply() -> None:
    assert flat([turn("user", "?", -1), turn("assistant", "<think>a</think> b ", 0, "m")]) == {
        "role": "assistant",
        "content": "<think>a</think> b",
    }


def test_a_providers_own_reasoning_is_not_exported_in_chat(tmp_path: Path) -> None:
    turns = [each.model_copy(update={"reasoning": "secret thoughts"}) for each in RIGHT.messages]
    (row,) = rows(tmp_path, RIGHT.model_copy(update={"messages": tuple(turns)}), WRONG)
    assert all(set(each) == {"role", "content"} for each in row["chosen"])
    assert "secret" not in str(row)


def test_the_examples_of_few_shot_are_given_and_not_learnt(tmp_path: Path) -> None:
    turns = [turn("user", "2+2?", -1), turn("assistant", "4", 0), turn("user", ASKED.question, 1),
             turn("assistant", "blue", 2, model="m")]  # fmt: skip
    (row,) = rows(tmp_path, RIGHT.model_copy(update={"messages": tuple(turns), "path": (0, 1, 2, 3)}), format="kto")
    assert [each["content"] for each in row["completion"]] == ["blue"]
    assert len(row["prompt"]) == 3
