"""The two files of an evolution: each candidate stands in one of them, and a torn line is owed again."""

from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.evolve.book import Book, Candidate, Evidence
from openstrawberry.problems.load import load_problems
from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.catalogue import VERIFIERS

NEW = Problem(question="How much is\n7 × 8?", answer="56", verifier="numeric", source="evolve", metadata='{"a": 1}')
EVIDENCE = Evidence(answered="agreement", solver="scripted:s", solver_strategy="cot", solvers=5, votes=4)
KEPT = Candidate(line="l", round=1, operator="deepen", parent="p", root="l", writer="w", problem=NEW, evidence=EVIDENCE)
EASY = KEPT.but(round=2, reason="always right", problem=NEW.model_copy(update={"question": "How much is 6 × 7?"}))
LOST = Candidate(line="m", round=1, operator="fresh", examples=("l",), writer="w", reason="refused")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    work = tmp_path / "new.work"
    work.mkdir()
    return tmp_path / "new.jsonl", work


def test_what_was_added_is_found_again(files: tuple[Path, Path]) -> None:
    book = Book(*files)
    for candidate in (KEPT, EASY, LOST):
        book.add(candidate)
    again = Book(*files)
    assert {each.but(problem=None) for each in again.all()} == {each.but(problem=None) for each in book.all()}
    found = again.find("l", 1)
    assert found is not None
    assert found.problem is not None
    assert (found.problem.id, found.evidence.votes, found.kept, found.advances) == (NEW.id, 4, True, True)
    assert again.find("l", 2) == EASY
    assert (EASY.kept, EASY.advances, LOST.advances) == (False, True, False)
    assert again.reasons == {"": 1, "always right": 1, "refused": 1}


def test_the_output_is_a_file_of_problems_with_their_lineage(files: tuple[Path, Path]) -> None:
    Book(*files).add(KEPT)
    (read,) = load_problems(str(files[0]), known_verifiers=VERIFIERS.names())
    assert (read.id, read.question, read.answer, read.verifier) == (NEW.id, NEW.question, "56", "numeric")
    told = read.meta()
    assert told["a"] == 1
    assert told["evolved"]["parent"] == "p"
    assert told["evolved"]["operator"] == "deepen"
    assert told["evolved"]["evidence"] == EVIDENCE.model_dump()


def test_a_torn_last_line_is_owed_again(files: tuple[Path, Path]) -> None:
    book = Book(*files)
    book.add(KEPT)
    book.add(LOST)
    for file in (files[0], files[1] / "others.jsonl"):
        whole = file.read_bytes()
        file.write_bytes(whole + whole[: len(whole) // 2])
        assert len(list(Book(*files).all())) == 2
        assert file.read_bytes() == whole


def test_lines_that_no_evolution_wrote_are_refused_and_left_alone(files: tuple[Path, Path]) -> None:
    mine = '{"question": "What is mine?", "answer": 1}\n{"question": "and this"'
    files[0].write_text(mine)
    with pytest.raises(SetupError, match="--out"):
        Book(*files)
    assert files[0].read_text() == mine
