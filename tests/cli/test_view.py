"""`strawberry view`, as a person uses it."""

from pathlib import Path

from tests.cli.commands import Shell


def test_the_list_counts_and_filters_and_says_how_to_go_on(shell: Shell) -> None:
    shell.generate("--samples", 3)  # of two problems one is solved
    told = shell.strawberry("view", shell.run, "--limit", 2)
    assert told.code == 0
    assert "2 of 6" in told.out
    assert "--trace 1" in told.out
    wrong = shell.strawberry("view", shell.run, "--status", "wrong", "--json")
    assert [(row["question"], row["status"]) for row in wrong.events] == [("2+2?", "incorrect")] * 3
    assert len(shell.strawberry("view", shell.run, "--text", "STRAWBERRY", "--json").events) == 3
    assert "No trace fits" in shell.strawberry("view", shell.run, "--status", "timeout").out


def test_a_trace_is_read_step_by_step(shell: Shell) -> None:
    shell.generate("--samples", 1)
    told = shell.strawberry("view", shell.run, "--trace", 1, "--status", "right").out
    assert told.index("s is not r.") < told.index("t is not r.") < told.index("✓ 3 (right")
    (whole,) = shell.strawberry("view", shell.run, "--trace", 1, "--status", "right", "--json").events
    by_id = shell.strawberry("view", shell.run, "--trace", whole["id"]).out
    assert by_id == told


def test_what_is_not_there_is_one_sentence(shell: Shell) -> None:
    shell.generate("--samples", 1)
    for which in ("3", "0", "zz", "99999999999999"):
        told = shell.strawberry("view", shell.run, "--trace", which)
        assert told.code == 1
        assert "name a number from 1 to 2" in told.err
    assert "choose of right, wrong" in shell.strawberry("view", shell.run, "--status", "good").err
    assert "no run directory" in shell.strawberry("view", shell.folder / "nothing").err


def test_the_page_is_written_where_it_is_asked_for(shell: Shell) -> None:
    shell.generate("--samples", 1)
    file = shell.folder / "new folder" / "run.html"
    told = shell.strawberry("view", shell.run, "--html", file)
    assert str(file) in told.out
    assert "s is not r." in Path(file).read_text()
