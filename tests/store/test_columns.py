"""Any reader infers the right columns, however late the first unusual line comes."""

from pathlib import Path

import pytest

from openstrawberry.trace import Trace
from tests.making import make_trace

MEGABYTES = 21


def late_error(path: Path) -> int:
    """Writes a traces file whose first error, and first reasoning, come after 20 MB. Returns the number of lines."""
    plain = make_trace(1, text="A small step, and another one. " * 2000).to_line()
    odd: Trace = make_trace(2, error="The conversation no longer fits.", stop="truncated", status="unknown")
    turns = tuple(turn.model_copy(update={"reasoning": "hm", "value": 0.5, "visits": 3}) for turn in odd.messages)
    count = MEGABYTES * 1024 * 1024 // len(plain) + 1
    with path.open("w", encoding="utf-8") as out:
        out.writelines(plain + "\n" for _ in range(count))
        out.write(odd.model_copy(update={"messages": turns, "cost_usd": 0.25}).to_line() + "\n")
    assert path.stat().st_size > 20 * 1024 * 1024
    return count + 1


def test_datasets_reads_a_run_whose_first_error_comes_late(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason='needs pip install "openstrawberry[hub]"')
    count = late_error(tmp_path / "traces-00000.jsonl")
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "traces-00000.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == count
    assert loaded[-1]["error"]["message"] == "The conversation no longer fits."
    assert loaded[0]["messages"][1]["usage"]["output"] == 5


def test_polars_reads_a_run_whose_first_error_comes_late(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars", reason="needs pip install polars")
    count = late_error(tmp_path / "traces-00000.jsonl")
    loaded = polars.read_ndjson(tmp_path / "traces-00000.jsonl")
    assert loaded.height == count
    last = loaded.row(-1, named=True)
    assert last["error"]["message"] == "The conversation no longer fits."
    assert last["cost_usd"] == 0.25
