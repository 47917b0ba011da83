"""What is said of numbers, faults and values: words for a user, none of Python's."""

import json
from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from openstrawberry.wording import cause, counted, misfit, steers


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("trace",), "0 traces"),
        (1, ("trace",), "1 trace"),
        (1, ("batch", "batches"), "1 batch"),
        (2, ("batch", "batches"), "2 batches"),
        (12345, ("row",), "12,345 rows"),
    ],
)
def test_one_is_singular(count: int, words: tuple[str, ...], said: str) -> None:
    assert counted(count, *words) == said


def test_a_library_that_says_much_is_quoted_with_its_first_sentence() -> None:
    said = "We couldn't reach 'https://hub.co' to load the files. Check your connection, or see 'https://hub.co/docs'."
    assert cause(OSError(said)) == "We couldn't reach 'https://hub.co' to load the files"


def test_causes_are_told_without_numbers_of_errors(tmp_path: Path) -> None:
    found = []
    for read in (
        lambda: (tmp_path / "nothing").read_text(),
        lambda: tmp_path.read_text(),
        lambda: b"\xff".decode(),
        lambda: json.loads('{"a": \n b}'),
        lambda: yaml.safe_load("a: [1\nb: 2"),
        lambda: int("many"),
    ):
        try:
            read()
        except Exception as error:
            found.append(cause(error))
    assert found[:4] == [
        "no such file or directory",
        "is a directory",
        "it is not UTF-8 text",
        "line 2, column 2: it is not JSON",
    ]
    assert found[4].startswith("line 2, column 2: ")
    assert not any("Errno" in each or "\n" in each for each in found)


class Sample(BaseModel):
    whole: int = Field(default=1, ge=1, le=9)
    share: float = Field(default=0.5, gt=0, lt=1)
    yes: bool = False
    word: str = ""
    one: Literal["a", "b"] = "a"
    many: list[int] = []
    table: dict[str, int] = {}
    path: Path = Path()
    ours: int = 0

    @field_validator("ours")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("write an even number")
        return value


@pytest.mark.parametrize(
    ("values", "where", "advice"),
    [
        ({"whole": "x"}, "whole", "write a whole number"),
        ({"whole": 1.5}, "whole", "write a whole number"),
        ({"whole": [1]}, "whole", "write a whole number"),
        ({"whole": "9" * 5000}, "whole", "write a smaller number"),
        ({"whole": 0}, "whole", "write a number of at least 1"),
        ({"whole": 10}, "whole", "write a number of at most 9"),
        ({"share": "x"}, "share", "write a number"),
        ({"share": 0}, "share", "write a number above 0"),
        ({"share": 1}, "share", "write a number below 1"),
        ({"yes": "perhaps"}, "yes", "write true or false"),
        ({"yes": []}, "yes", "write true or false"),
        ({"word": 3}, "word", "write a text"),
        ({"one": "c"}, "one", "choose 'a' or 'b'"),
        ({"many": 3}, "many", "write a list"),
        ({"many": [1, "x"]}, "many.1", "write a whole number"),
        ({"table": 3}, "table", "write key: value"),
        ({"path": 3}, "path", "write a path"),
        ({"ours": 3}, "ours", "write an even number"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_what_would(values: dict[str, object], where: str, advice: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample(**values)  # type: ignore[arg-type]
    place, _, told = misfit(caught.value)
    assert (".".join(map(str, place)), told) == (where, advice)


def test_letters_that_steer_are_told_from_those_that_are_seen() -> None:
    assert not any(map(steers, "aé漢 \n\t\u00a0\u202f\u2009\u3000\u200c\u200d\u00ad🍓"))
    assert all(map(steers, "\x00\x1b\r\x7f\x9b\u202e\u2066\u200e\u2028\ufeff\ud800"))
