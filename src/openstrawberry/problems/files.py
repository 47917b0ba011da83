"""Reads rows from files: JSONL, JSON, CSV, TSV and Parquet.

What always holds: JSONL, CSV and TSV are read line by line and Parquet in batches, so that a file may be larger than
memory (a `.json` file is one value and is read whole); rows come in the order of the file; a line that cannot be read
yields a row with a fault and the lines after it are still read. A byte order mark, Windows line ends and blank lines
are fine; text must be UTF-8.
"""

import csv
import difflib
import importlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from openstrawberry.errors import SetupError
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.rows import Reshape, Row, to_problems
from openstrawberry.problems.source import Request
from openstrawberry.wording import cause

MAX_LINE_BYTES = 64 * 2**20

_BOM = b"\xef\xbb\xbf"


def file_problems(request: Request, reshape: Reshape | None = None) -> Iterator[Problem]:
    """The problems in the file that `request.place` names.

    Raises:
        SetupError: the file is missing, unreadable, of an unknown kind, empty, or has a bad row not to be skipped.
    """
    path = find_file(request.place)
    reader = _READERS[path.suffix.lower()]
    try:
        yield from to_problems(reader(path), request, str(path), reshape)
    except OSError as error:
        raise SetupError(f"The file {path} cannot be read ({cause(error)}): check its permissions.") from error


def find_file(place: str) -> Path:
    """The file at `place`.

    Raises:
        SetupError: there is none, or it is of a kind that cannot be read; the nearest name is offered.
    """
    path = Path(place).expanduser()
    try:
        if path.is_dir():
            inside = [entry.name for entry in sorted(path.iterdir()) if entry.suffix.lower() in _READERS][:5]
            advice = f"name one of its files, such as {path / inside[0]}" if inside else "name a file"
            raise SetupError(f"{path} is a folder: {advice}.")
        exists = path.exists()
    except OSError as error:
        raise SetupError(f"{path} cannot be opened ({cause(error)}): check the path.") from error
    if not exists:
        raise SetupError(f"There is no file {path}: {_nearest(path)}")
    if path.suffix.lower() not in _READERS:
        kinds = ", ".join(_READERS)
        raise SetupError(f"{path} is of no kind that can be read: convert it to one of {kinds}, and name it so.")
    return path


def _nearest(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return f"there is no folder {path.parent} either; check the path."
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"did you mean {path.with_name(near[0])}?" if near else "check the path."


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file without their ends, counted from 1."""
    with path.open("rb") as file:
        _refuse_utf16(path, file)
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise SetupError(
                    f"{path}, line {number}: it is longer than {MAX_LINE_BYTES >> 20} MiB; split the file."
                )
            if number == 1:
                line = line.removeprefix(_BOM)
            yield number, line.rstrip(b"\r\n")


def _refuse_utf16(path: Path, file: BinaryIO) -> None:
    if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
        raise SetupError(f"{path} is UTF-16 text: save it as UTF-8.")
    file.seek(0)


def _jsonl(path: Path) -> Iterator[Row]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            value = parse_json(line.decode())
        except UnicodeDecodeError as error:
            yield Row(place, fault=f"byte {error.start + 1}: it is not UTF-8 text (0x{line[error.start]:02x}).")
        except json.JSONDecodeError as error:
            yield Row(place, fault=f"column {error.colno}: it is not JSON ({error.msg}).")
        except (ValueError, RecursionError) as error:
            yield Row(place, fault=f"it cannot be read as JSON ({_why(error)}).")
        else:
            yield _row(place, value)


def _json(path: Path) -> Iterator[Row]:
    """A list of objects, an object that holds one such list, or lines as in `.jsonl`."""
    with path.open("rb") as file:
        _refuse_utf16(path, file)
        data = file.read().removeprefix(_BOM)
    if not data.strip():
        return
    try:
        value = parse_json(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SetupError(f"{path}, line {line}: it is not UTF-8 text; save the file as UTF-8.") from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # one object to a line
            yield from _jsonl(path)
            return
        raise SetupError(
            f"{path}, line {error.lineno}, column {error.colno}: it is not JSON ({error.msg}). "
            "Fix it; a .json file is read whole, so no row of it can be left out."
        ) from error
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{path} cannot be read as JSON ({_why(error)}): fix it.") from error
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise SetupError(f"{path} holds no list of rows: write a list of objects with a question and an answer.")
    yield from (_row(f"item {number}", item) for number, item in enumerate(value, 1))


class _Written(float):
    """A number that remembers how it was written, so that an answer keeps all its digits."""

    written: str

    def __new__(cls, text: str) -> "_Written":
        number = super().__new__(cls, text)
        if math.isinf(number):
            raise ValueError("a number is too large; write it in quotes")
        number.written = text
        return number


def parse_json(text: str) -> Any:
    """The JSON value in `text`.

    Raises:
        ValueError: it is not JSON, or holds NaN, an infinity or a number too large.
    """
    return json.loads(text, parse_float=_Written, parse_constant=_no_number)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON number; write null or a text")


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a number is too large; write it in quotes" if "integer string conversion" in str(error) else str(error)


def _row(place: str, value: object) -> Row:
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")
        return Row(place, fault=f"it holds {kind}, where an object with a question and an answer is needed.")
    return Row(place, value)


def _csv(path: Path) -> Iterator[Row]:
    return _table(path, ",")


def _tsv(path: Path) -> Iterator[Row]:
    return _table(path, "\t")


def _table(path: Path, delimiter: str) -> Iterator[Row]:
    # Broken bytes become lone surrogates here, and a fault of their row below.
    last = 0

    def lines() -> Iterator[str]:
        nonlocal last
        for number, line in _lines(path):
            last = number
            yield line.decode(errors="surrogateescape") + "\n"

    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        first = last + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            yield Row(f"line {first}", fault=f"it is not a readable row ({error}); look for an unclosed quote.")
            continue
        if values is None:
            return
        if not any(map(str.strip, values)):
            continue
        if not header:
            header = _header(path, values)
            continue
        yield _cells(f"line {first}" if first == last else f"lines {first} to {last}", header, values)


def _header(path: Path, names: list[str]) -> list[str]:
    header = [name.strip() for name in names]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise SetupError(f"{path}, line 1: the column {twice!r} stands twice; rename one.")
    return header


def _cells(place: str, header: list[str], values: list[str]) -> Row:
    if len(values) != len(header):
        return Row(place, fault=f"it has {len(values)} columns where the header has {len(header)}.")
    broken = next((name for name, text in zip(header, values, strict=True) if not text.isascii() and _lone(text)), None)
    if broken is not None:
        return Row(place, fault=f"column {broken!r}: it is not UTF-8 text.")
    return Row(place, dict(zip(header, values, strict=True)))


def _lone(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _parquet(path: Path) -> Iterator[Row]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
        broken: type[Exception] = importlib.import_module("pyarrow").ArrowException
    except ImportError as error:
        raise SetupError(
            f"Reading {path} needs pyarrow; install it with: pip install 'openstrawberry[parquet]'"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(f"row {number}", fields)
    except broken as error:
        raise SetupError(f"{path} is not a whole Parquet file ({str(error)[:120]}): make it again.") from error


_READERS = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _tsv, ".parquet": _parquet}
