"""Training files: what is refused and with which line, and how rows of several kinds are put together."""

import json

import pytest

pytest.importorskip("transformers", reason="needs the extra `train`")

from transformers import AutoTokenizer

from openstrawberry.errors import SetupError
from openstrawberry.models.providers.berry import MODEL
from openstrawberry.models.rendering import Renderer
from openstrawberry.training.data import Encoder, mixed, parse_mix, read_rows

ASK = [{"role": "user", "content": "What is 4 + 6?\nStart with the first small step."}]
GOOD = [{"role": "assistant", "content": "Left 4+6, carry 0, got nothing"}]
BAD = [{"role": "assistant", "content": "Left 4+5, carry 0, got nothing"}]
PAIR = {"prompt": ASK, "chosen": GOOD, "rejected": BAD, "offset": 0.25}


def write(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{nonsense\n", "is no JSON"),
        ("[1]\n", "is no JSON object"),
        ({"prompt": ASK, "chosen": GOOD}, "has no `rejected`"),
        ({"messages": ASK + GOOD}, "looks like conversations"),
        ({**PAIR, "chosen": "text"}, "`chosen` that is no list of messages"),
        ({**PAIR, "chosen": []}, "`chosen` that is no list of messages"),
        ({**PAIR, "chosen": [{"role": "assistant"}]}, "`chosen` that holds a message without text"),
        ({**PAIR, "rejected": [{"role": "robot", "content": "x"}]}, "whose role is 'robot'"),
        ({**PAIR, "rejected": ASK}, "`rejected` that ends in a turn of the user"),
        ({**PAIR, "prompt": ASK + GOOD}, "`prompt` that ends in a turn of the assistant"),
        ({**PAIR, "offset": "much"}, "`offset` that is no number"),
        ({**PAIR, "given": 9, "messages": ASK}, "`given` that is no number of messages"),
    ],
)
def test_a_row_of_another_shape_is_refused_with_its_line(tmp_path, row, why):
    with pytest.raises(SetupError, match=r"Line 2 of .*strawberry select") as caught:
        read_rows(write(tmp_path, PAIR, row), "pairs")
    assert why in str(caught.value)


def test_a_missing_or_empty_file_says_how_to_make_one(tmp_path):
    with pytest.raises(SetupError, match=r"cannot be read .*strawberry select"):
        read_rows(tmp_path / "none.jsonl", "pairs")
    with pytest.raises(SetupError, match="has no rows"):
        read_rows(write(tmp_path, "\n"), "pairs")


@pytest.fixture(scope="module")
def encoder():
    return Encoder(Renderer(AutoTokenizer.from_pretrained(MODEL), "berry"))


def test_a_pair_is_cut_where_the_first_reply_that_may_be_learnt_begins(encoder):
    row = encoder.pair(PAIR)
    assert row["chosen_learn"] == [True] * len(row["chosen_ids"])
    assert row["rejected_learn"] == [True] * len(row["rejected_ids"])
    assert row["offset"] == 0.25
    later = encoder.pair({**PAIR, "prompt": ASK + GOOD + [{"role": "user", "content": "Next step?"}]})
    assert later["chosen_ids"] == row["chosen_ids"]
    assert len(later["prompt_ids"]) > len(row["prompt_ids"])


def test_replies_inside_the_prompt_are_not_learnt(encoder):
    talk = [*GOOD, {"role": "user", "content": "Next step?"}]
    row = encoder.pair({"prompt": ASK + talk, "chosen": talk + GOOD, "rejected": BAD})
    assert sum(row["chosen_learn"]) == 2 * sum(encoder.pair(PAIR)["chosen_learn"])


def test_examples_that_were_given_are_not_learnt(encoder):
    shown = [{"role": "user", "content": "What is 1 + 2?"}, *GOOD]
    row = {"messages": shown + ASK + GOOD, "given": len(shown + ASK)}
    learnt = sum(encoder.pair(PAIR)["chosen_learn"])
    assert sum(label != -100 for label in encoder.conversation(row)["labels"]) == learnt
    assert sum(encoder.itself(row)["chosen_learn"]) == learnt


def test_ordinary_rows_take_the_share_they_were_given():
    rows, easy, other = [{"n": n} for n in range(60)], [{"e": n} for n in range(7)], [{"o": n} for n in range(100)]
    found = mixed(rows, [(easy, 0.2), (other, 0.2)], seed=1)
    assert len(found) == 100
    assert sum("e" in row for row in found) == sum("o" in row for row in found) == 20
    assert len({row["o"] for row in found if "o" in row}) == 20  # none twice while there are others
    assert found == mixed(rows, [(easy, 0.2), (other, 0.2)], seed=1)
    with pytest.raises(SetupError, match="add up to 1 or more"):
        mixed(rows, [(easy, 0.5), (other, 0.5)], seed=1)


@pytest.mark.parametrize("text", ["file.jsonl", "file.jsonl:2", "file.jsonl:0", ":0.5", "file.jsonl:x"])
def test_a_mix_without_a_share_is_refused(text):
    with pytest.raises(SetupError, match="write it as --mix FILE:SHARE"):
        parse_mix(text)
