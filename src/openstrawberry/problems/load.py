"""Opens a problem source by its name: a file, `hub:`, `gym:`, `builtin:`, or a public benchmark.

What always holds: problems are made one at a time, in a stable order; what is wrong with the source shows before the
first problem is handed out; a broken row ends the load with one sentence that names file, place and column, or is left
out and counted where that was asked for.

Other packages add a source through an entry point in the group `openstrawberry.problems`: a function from a `Request`
to an iterator of problems, called for `NAME:place`.
"""

import itertools
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from openstrawberry.errors import SetupError, UsageError
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.source import Request
from openstrawberry.registry import Registry, unknown

DEFAULT_SOURCE = "builtin:demo"

PRESET_NAMES = ("gsm8k", "math", "math500", "aime", "gpqa", "mmlu-pro", "humaneval", "mbpp")

SOURCES = Registry(
    kind="problem source",
    group="openstrawberry.problems",
    table={
        "builtin": "openstrawberry.problems.builtin:builtin_problems",
        "hub": "openstrawberry.problems.hub:hub_problems",
        "gym": "openstrawberry.problems.gym:gym_problems",
        "file": "openstrawberry.problems.files:file_problems",
        "preset": "openstrawberry.problems.presets:preset_problems",
    },
)


def load_problems(
    source: str,
    *,
    question_column: str | None = None,
    answer_column: str | None = None,
    verifier: str | None = None,
    known_verifiers: Collection[str] = (),
    limit: int | None = None,
    seed: int = 0,
    skip_bad_rows: bool = False,
    on_bad_row: Callable[[str], None] | None = None,
) -> Iterator[Problem]:
    """The problems of `source`, lazily.

    Args:
        source: a path, `hub:owner/name[:config[:split]]`, `gym:NAME?key=value`, `builtin:NAME`, a benchmark such as
            `gsm8k`, or a benchmark read from a file, `gsm8k@PATH`.
        question_column: the column that holds the question; found by the usual names otherwise.
        answer_column: the same for the answer.
        verifier: used for every problem, whatever the row says.
        known_verifiers: names that a row may use; empty allows any.
        limit: at most so many problems.
        seed: for the sources that draw.
        skip_bad_rows: leave broken rows out instead of stopping at the first.
        on_bad_row: told one sentence for each row that is left out.

    Raises:
        SetupError: the source cannot be opened or its first problem cannot be made (at once), or a later row is broken
            (while iterating).
    """
    if limit is not None and limit < 1:
        raise UsageError(f"The limit is {limit}, which leaves no problems: write --limit 1 or more, or leave it out.")
    kind, place = split_source(source)
    request = Request(
        place=place,
        question_column=question_column,
        answer_column=answer_column,
        verifier=verifier,
        known_verifiers=known_verifiers,
        limit=limit,
        seed=seed,
        on_bad_row=(on_bad_row or _ignore) if skip_bad_rows else None,
    )
    opener: Callable[[Request], Iterator[Problem]] = SOURCES.load(kind)
    problems = opener(request)
    first = next(problems, None)
    if first is None:
        raise SetupError(f"{source} holds no problems: use another source.")
    every = itertools.chain([first], problems)
    chosen = every if verifier is None else (one.model_copy(update={"verifier": verifier}) for one in every)
    return itertools.islice(chosen, limit)


def is_local(source: str) -> bool:
    """Whether reading `source` to its end costs only time on this machine: a file or a generator, not the network."""
    kind, place = split_source(source)
    return kind in ("file", "builtin", "gym") or (kind == "preset" and "@" in place)


def split_source(source: str) -> tuple[str, str]:
    """`source` as the name of its kind and what that kind is asked for.

    Raises:
        UsageError: it is neither a known kind, a benchmark, nor the path of a file.
    """
    source = source.strip()
    if not source:
        raise UsageError(f"No problems are named: write --problems {DEFAULT_SOURCE}, or the path of a file.")
    if _exists(source):
        return "file", source
    preset = source.partition("@")[0]
    if preset in PRESET_NAMES:
        return "preset", source
    kind, colon, place = source.partition(":")
    if colon and kind in SOURCES.names():
        return kind, place
    if "/" in source or Path(source).suffix:
        return "file", source
    if colon:
        raise UsageError(unknown("problem source", kind, [name for name in SOURCES.names() if name != "preset"]))
    if f"builtin:{source.partition('?')[0]}" in _BUILTIN_NAMES:
        raise UsageError(f"There is no file called {source!r}: did you mean 'builtin:{source}'?")
    raise UsageError(unknown("file, benchmark or built-in set", source, [*PRESET_NAMES, *_BUILTIN_NAMES]))


_BUILTIN_NAMES = tuple(f"builtin:{name}" for name in ("demo", "heldout", "count", "add", "puzzles"))


def _exists(source: str) -> bool:
    try:
        return Path(source).expanduser().exists()
    except (OSError, RuntimeError):  # too long for a name, no permission, no home
        return False


def _ignore(sentence: str) -> None:
    """Leaves a broken row out without a word."""
