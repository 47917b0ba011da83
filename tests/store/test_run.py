"""The run directory: what is promised on disk."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.store.fitting import differences
from openstrawberry.store.reading import new_path, newest, read_traces, unfinished
from openstrawberry.store.run import RunDirectory, digest_of
from tests.making import make_reply, make_trace

CONFIG = {"problems": "p.jsonl", "samples": 4, "limit": None}
IDENTITY = {"model": "scripted:test", "strategy": "strawberry", "seed": 0}


def using(
    path: Path,
    work: Callable[[RunDirectory], Coroutine[Any, Any, Any]],
    identity: dict[str, Any] = IDENTITY,
    config: dict[str, Any] = CONFIG,
) -> Any:
    """Opens the directory, does `work`, closes it."""

    async def session() -> Any:
        run = RunDirectory(path, identity, config)
        try:
            return await work(run)
        finally:
            await run.close()

    return asyncio.run(session())


async def nothing(run: RunDirectory) -> None:
    pass


def adding(*numbers: int, **fields: Any) -> Callable[[RunDirectory], Coroutine[Any, Any, None]]:
    async def work(run: RunDirectory) -> None:
        await asyncio.gather(*(run.add(make_trace(number, **fields)) for number in numbers))

    return work


def test_a_directory_without_anything_worth_keeping_is_taken_away(tmp_path: Path) -> None:
    using(tmp_path / "home" / "run", nothing)
    assert not (tmp_path / "home").exists()
    using(tmp_path / "home" / "run", adding(1, stop="error", error="down"))
    assert not (tmp_path / "home").exists()
    using(tmp_path / "home" / "run", lambda run: run.keep("key", make_reply()))
    assert (tmp_path / "home" / "run").exists()


def test_a_trace_is_one_whole_line_and_reads_back_equal(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(*range(100)))
    lines = (tmp_path / "run" / "traces-00000.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 100
    assert {json.loads(line)["id"] for line in lines} == {make_trace(n).id for n in range(100)}
    assert next(iter(read_traces(tmp_path / "run"))) == make_trace(int(json.loads(lines[0])["id"], 16))


def test_a_finished_trace_is_not_owed_and_a_failed_one_is(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> list[bool]:
        await run.add(make_trace(1))
        await run.add(make_trace(2, stop="error", error="down"))
        return [run.owed(make_trace(number).id, 40) for number in (1, 2, 3)]

    assert using(tmp_path / "run", work) == [False, True, True]
    assert using(
        tmp_path / "run", lambda run: asyncio.sleep(0, [run.owed(make_trace(n).id, 40) for n in (1, 2, 3)])
    ) == [False, True, True]


def test_a_retried_failure_counts_once_with_its_newest_line(tmp_path: Path) -> None:
    using(tmp_path / "run", lambda run: run.keep("key", make_reply()))
    using(tmp_path / "run", adding(1, stop="error", error="down"))
    using(tmp_path / "run", adding(1))
    assert [trace.stop for trace in read_traces(tmp_path / "run")] == ["final_answer"]
    (tmp_path / "run" / "index.sqlite").unlink()
    assert [trace.stop for trace in read_traces(tmp_path / "run")] == ["final_answer"]


def test_more_turns_are_owed_to_a_trace_that_ran_out_of_them(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(1, stop="max_turns", max_turns=40))
    owed = using(tmp_path / "run", lambda run: asyncio.sleep(0, [run.owed(make_trace(1).id, n) for n in (40, 60)]))
    assert owed == [False, True]


def test_a_torn_last_line_is_owed_again_and_dropped(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(1, 2))
    file = tmp_path / "run" / "traces-00000.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    torn = json.loads(file.read_text().splitlines()[0])["id"]
    kept = [trace.id for trace in read_traces(tmp_path / "run")]
    assert kept == [torn]
    using(tmp_path / "run", adding(3))
    assert len(file.read_text().splitlines()) == 2
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_damaged_line_in_the_middle_costs_only_itself_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2, 3):
        using(tmp_path / "run", adding(number))
    file = tmp_path / "run" / "traces-00000.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"{broken\n" + lines[2])
    assert [trace.sample for trace in read_traces(tmp_path / "run")] == [1, 3]
    assert f"traces-00000.jsonl: the line at byte {len(lines[0])} is damaged and left out; run" in caplog.text


def test_a_line_that_is_damaged_after_it_was_counted_is_one_sentence(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(1, 2))
    assert len(list(read_traces(tmp_path / "run"))) == 2
    file = tmp_path / "run" / "traces-00000.jsonl"
    file.write_bytes(b"x" * 50 + file.read_bytes()[50:])
    with pytest.raises(SetupError, match=r"line at byte 0 can no longer be read: delete index\.sqlite beside it"):
        list(read_traces(tmp_path / "run"))


def test_a_missing_or_damaged_index_is_made_anew(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(1, 2))
    for junk in (None, b"not a database, but long enough to be read as one" * 100):
        for file in (tmp_path / "run").glob("index.sqlite*"):
            file.unlink()
        if junk:
            (tmp_path / "run" / "index.sqlite").write_bytes(junk)
        assert len(list(read_traces(tmp_path / "run"))) == 2


def test_a_reply_is_found_by_its_key_in_a_later_process(tmp_path: Path) -> None:
    reply = make_reply("thought", reasoning="hm", token_ids=(1, 2))
    using(tmp_path / "run", lambda run: run.keep("key", reply))
    assert using(tmp_path / "run", lambda run: asyncio.sleep(0, run.find("key"))) == reply
    assert using(tmp_path / "run", lambda run: asyncio.sleep(0, run.find("other"))) is None


def test_other_settings_are_refused_with_the_flags_that_differ(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(1))
    with pytest.raises(SetupError, match=r"\(--seed 0 -> 1\).*--out"):
        RunDirectory(tmp_path / "run", {**IDENTITY, "seed": 1}, {})


def test_what_follows_from_another_model_is_not_told_and_what_was_asked_for_is(tmp_path: Path) -> None:
    small = {**IDENTITY, "max_tokens": 160, "prompts": "strawberry/brief", "prompt_digest": "b", "weights": "w"}
    large = {**small, "model": "openai:x", "max_tokens": 4096, "prompts": "strawberry/full", "prompt_digest": "f"}
    run = {"identity": small, "config": CONFIG}
    assert differences(run, large, CONFIG) == ["--model scripted:test -> openai:x"]
    asked = {**CONFIG, "prompt_set": "full", "max_tokens": 4096}
    assert differences(run, large, asked) == [
        "--model scripted:test -> openai:x",
        "--max-tokens 160 -> 4096",
        "--prompt-set brief -> full",
    ]
    assert differences(run, {**small, "prompt_digest": "x", "weights": "v"}, CONFIG) == [
        "the texts of the prompts",
        "the weights of the model",
    ]


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        await run.add(make_trace(1))
        with pytest.raises(SetupError, match="Another process is writing"):
            RunDirectory(tmp_path / "run", IDENTITY, {})
        assert unfinished(tmp_path, run.digest, "p.jsonl") is None

    using(tmp_path / "run", work)
    using(tmp_path / "run", adding(2))


def test_a_folder_that_is_no_run_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(SetupError, match="no run directory"):
        RunDirectory(tmp_path, IDENTITY, {})


def test_the_newest_unfinished_run_with_the_same_identity_is_found(tmp_path: Path) -> None:
    using(tmp_path / "done", finishing)
    using(tmp_path / "open", adding(1))
    using(tmp_path / "other", adding(1), {**IDENTITY, "seed": 7})
    digest = digest_of(IDENTITY)
    assert unfinished(tmp_path, digest, "p.jsonl") == tmp_path / "open"
    assert unfinished(tmp_path, digest, "q.jsonl") is None
    assert newest(tmp_path) in {tmp_path / "done", tmp_path / "open", tmp_path / "other"}


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(1))
    (tmp_path / "run" / "traces-00001.jsonl").symlink_to("/dev/full")
    with pytest.raises(SetupError, match=r"Cannot write to .*no space left.*run the same command again"):
        using(tmp_path / "run", adding(2))
    (tmp_path / "run" / "traces-00001.jsonl").unlink()
    assert [trace.sample for trace in read_traces(tmp_path / "run")] == [1]


def test_later_verdicts_are_laid_over_the_first_ones(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(1, 2))
    row = {"id": make_trace(2).id, "status": "incorrect", "verifier": "exact", "detail": "", "method": "whole"}
    (tmp_path / "run" / "verdicts-exact.jsonl").write_text(json.dumps(row) + "\n")
    assert {t.sample: t.verdict.status for t in read_traces(tmp_path / "run")} == {1: "correct", 2: "incorrect"}


async def finishing(run: RunDirectory) -> None:
    await run.add(make_trace(1))
    run.finish()


@pytest.mark.parametrize("less", [{"problems": "q.jsonl"}, {"samples": 2}, {"limit": 3}])
def test_a_command_that_asks_for_less_does_not_finish_the_run_of_one_that_asked_for_more(
    tmp_path: Path, less: dict[str, Any]
) -> None:
    using(tmp_path / "run", adding(1))
    using(tmp_path / "run", finishing, config={**CONFIG, **less})
    assert unfinished(tmp_path, digest_of(IDENTITY), "p.jsonl") == tmp_path / "run"
    using(tmp_path / "run", finishing, config={**CONFIG, "samples": 9})
    assert unfinished(tmp_path, digest_of(IDENTITY), "p.jsonl") is None


def test_a_new_directory_is_taken_from_the_first_moment(tmp_path: Path) -> None:
    async def work(run: RunDirectory) -> None:
        with pytest.raises(SetupError, match="Another process is writing"):
            RunDirectory(tmp_path / "run", IDENTITY, CONFIG)

    using(tmp_path / "run", work)


def test_two_runs_of_one_second_get_two_names(tmp_path: Path) -> None:
    assert len({new_path(tmp_path, "berry", "strawberry") for _ in range(5)}) == 5


def test_what_a_kill_at_the_very_start_leaves_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "run.lock").touch()
    (tmp_path / "run.tmp").write_text("{")
    using(tmp_path, adding(1))
    assert len(list(read_traces(tmp_path))) == 1


def test_a_place_that_cannot_be_written_to_is_found_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "run", Path("/proc/none/run"), tmp_path / ("x" * 300)):
        with pytest.raises(SetupError, match="Cannot write to"):
            RunDirectory(place, IDENTITY, CONFIG)


def test_a_damaged_record_of_replies_is_one_sentence(tmp_path: Path) -> None:
    using(tmp_path / "run", adding(1))
    for file in (tmp_path / "run").glob("replies.sqlite*"):
        file.unlink()
    (tmp_path / "run" / "replies.sqlite").write_bytes(b"junk" * 1000)
    with pytest.raises(SetupError, match=r"replies.sqlite in .* is damaged \(file is not a database\): restore it, or"):
        RunDirectory(tmp_path / "run", IDENTITY, CONFIG)
