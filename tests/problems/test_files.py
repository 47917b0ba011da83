"""Rows from files, whole and broken."""

import json
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem

GOOD = '{"question": "1+1?", "answer": "2"}'


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def load(path: str, **options: object) -> list[Problem]:
    return list(load_problems(path, **options))  # type: ignore[arg-type]


def refusal(path: str, **options: object) -> str:
    with pytest.raises(SetupError) as caught:
        load(path, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"question": "1+1?", "answer": 2}\n\n  \n{"question": "Capital?", "answer": "Paris"}'),
        ("a.jsonl", b'\xef\xbb\xbf{"question": "1+1?", "answer": 2}\r\n{"question":"Capital?","answer":"Paris"}\r\n'),
        ("a.json", '[{"question": "1+1?", "answer": 2},\n {"question": "Capital?", "answer": "Paris"}]'),
        ("a.json", '{"data": [{"question": "1+1?", "answer": 2},\n {"question": "Capital?", "answer": "Paris"}]}'),
        ("a.json", '{"question": "1+1?", "answer": 2}\n{"question": "Capital?", "answer": "Paris"}\n'),
        ("a.csv", "question,answer\n1+1?,2\n\nCapital?,Paris\n"),
        ("a.csv", b"\xef\xbb\xbfquestion,answer\r\n1+1?,2\r\nCapital?,Paris\r\n"),
        ("a.tsv", "answer\tquestion\n2\t1+1?\nParis\tCapital?\n"),
        ("A.CSV", 'Question,Answer\n"1+1?","2"\n"Capital?",Paris\n'),
    ],
)  # fmt: skip
def test_every_format_gives_the_same_problems_in_order(tmp_path: Path, name: str, content: str | bytes) -> None:
    problems = load(write(tmp_path, name, content))
    assert [(one.question, one.answer, one.verifier) for one in problems] == [
        ("1+1?", "2", "numeric"),
        ("Capital?", "Paris", "exact"),
    ]


def test_parquet_is_read_in_batches(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    rows = 3000
    polars.DataFrame({"question": [f"{n}+1?" for n in range(rows)], "answer": list(range(1, rows + 1))}).write_parquet(
        path
    )
    problems = load(str(path))
    assert [one.answer for one in problems] == [str(n + 1) for n in range(rows)]
    path.write_bytes(path.read_bytes()[:-50])
    assert "not a whole Parquet file" in refusal(str(path))


@pytest.mark.parametrize(
    ("name", "broken", "place", "column"),
    [
        ("a.jsonl", '{"question": "x" "answer": 1}', "line 2", "column 18"),
        ("a.jsonl", '{"question": "x", "answer": ', "line 2", "column"),
        ("a.jsonl", b'{"question": "x", "answer": "\xff"}', "line 2", "byte 30"),
        ("a.jsonl", '{"question": "x", "answer": NaN}', "line 2", "NaN"),
        ("a.jsonl", '{"question": "x", "answer": 1e999}', "line 2", "too large; write it in quotes"),
        ("a.jsonl", '{"question": "x", "answer": ' + "1" * 5000 + "}", "line 2", "too large; write it in quotes"),
        ("a.jsonl", "[" * 100_000, "line 2", "nested too deeply"),
        ("a.jsonl", "[1, 2]", "line 2", "a list"),
        ("a.jsonl", "null", "line 2", "null"),
        ("a.jsonl", '{"question": "x", "answer": null}', "line 2", "column 'answer': it is null"),
        ("a.jsonl", '{"question": "x"}', "line 2", "column 'answer': it is missing"),
        ("a.jsonl", '{"question": "  ", "answer": 1}', "line 2", "column 'question': it is empty"),
        ("a.jsonl", '{"question": "x", "answer": {"value": 1}}', "line 2", "column 'answer': it holds an object"),
        ("a.jsonl", '{"question": ["x"], "answer": 1}', "line 2", "column 'question': it holds a list"),
        ("a.jsonl", '{"question": "x", "answer": []}', "line 2", "column 'answer': it is an empty list"),
        ("a.jsonl", '{"question": "x\\ud800", "answer": 1}', "line 2", "broken Unicode pair"),
        ("a.csv", "x,1,2", "line 3", "3 columns where the header has 2"),
        ("a.csv", "x", "line 3", "1 columns"),
        ("a.csv", b"x,\xff", "line 3", "column 'answer': it is not UTF-8"),
        ("a.csv", "x,", "line 3", "column 'answer': it is empty"),
        ("a.csv", 'x"y,"1"z', "line 3", "unclosed quote"),
    ],
)
def test_a_broken_row_is_named_by_place_and_column(
    tmp_path: Path, name: str, broken: str | bytes, place: str, column: str
) -> None:
    before, after = (GOOD, GOOD.replace("2", "3")) if name.endswith("jsonl") else ("question,answer\n1+1?,2", "1+2?,3")
    middle = broken if isinstance(broken, bytes) else broken.encode()
    path = write(tmp_path, name, b"\n".join([before.encode(), middle, after.encode(), b""]))
    sentence = refusal(path)
    assert sentence.startswith(f"{path}, {place}, ")
    assert column in sentence
    assert sentence.endswith("leave such rows out with --skip-bad-rows.")
    assert len(sentence) < 600

    told: list[str] = []
    kept = load(path, skip_bad_rows=True, on_bad_row=told.append)
    assert [one.answer for one in kept] == ["2", "3"]
    assert len(told) == 1
    assert place in told[0]


def test_a_file_of_nothing_but_broken_rows_is_refused_even_when_skipping(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", "{\n{\n")
    assert "None of the 2 rows is a problem" in refusal(path, skip_bad_rows=True)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    assert "holds no problems" in refusal(write(tmp_path, name, content))


def test_a_table_of_nothing_but_a_header_is_refused(tmp_path: Path) -> None:
    assert "holds no problems" in refusal(write(tmp_path, "a.csv", "question,answer\n"))


def test_a_missing_file_gets_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path, "problems.jsonl", GOOD)
    assert f"did you mean {tmp_path / 'problems.jsonl'}?" in refusal(str(tmp_path / "problem.jsonl"))
    assert "check the path" in refusal(str(tmp_path / "nowhere" / "x.jsonl"))


def test_a_folder_an_unknown_kind_and_utf16_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", GOOD)
    assert f"such as {path}" in refusal(str(tmp_path))
    assert ".jsonl" in refusal(write(tmp_path, "a.xlsx", "x"))
    assert "save it as UTF-8" in refusal(write(tmp_path, "u.csv", "question,answer\na,b\n".encode("utf-16")))


def test_a_broken_json_list_is_named_by_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", '[{"question": "x", "answer": 1},\n {"question": "y" "answer": 2}]')
    assert refusal(path).startswith(f"{path}, line 2, column 19: ")


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert "'answer' stands twice" in refusal(write(tmp_path, "a.csv", "question,answer,answer\nx,1,2\n"))


def test_a_quoted_cell_may_run_over_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'question,answer\n"one\n\ntwo",5\nx,\n')
    told: list[str] = []
    (problem,) = load(path, skip_bad_rows=True, on_bad_row=told.append)
    assert problem.question == "one\n\ntwo"
    assert "line 5" in told[0]


def test_a_large_file_is_never_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for number in range(8_000):
            file.write(json.dumps({"question": f"{number} + 1 = ? " + "x" * 200, "answer": number + 1}) + "\n")
    tracemalloc.start()
    assert sum(1 for _ in load_problems(str(path))) == 8_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_problems_are_made_one_at_a_time(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", "\n".join([GOOD] * 5 + ["broken"]))
    assert len(list(islice(load_problems(path), 5))) == 5
    assert sum(1 for _ in load_problems(path, limit=5)) == 5
    with pytest.raises(SetupError, match="line 6"):
        list(load_problems(path))
