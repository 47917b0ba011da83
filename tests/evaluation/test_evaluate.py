"""Whole evaluations with the scripted model, and one with the embedded model."""

import asyncio
import json
from pathlib import Path

import pytest

from openstrawberry.errors import SetupError
from openstrawberry.evaluation.config import Evaluation
from openstrawberry.evaluation.evaluate import EvalEvent, RowEnded, evaluate
from openstrawberry.evaluation.report import REPORT, Report, read_report
from openstrawberry.settings import Settings

GOOD = "rules:\n  - {question: '2.2', say: <final_answer>4</final_answer>}\nturns: [<final_answer>3</final_answer>]\n"
BAD = "turns: [<final_answer>3</final_answer>]\n"


class Place:
    """A folder with two scripted models and a file of problems; `good` knows all answers, `bad` only half."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, script in (("good", GOOD), ("bad", BAD)):
            (folder / f"{name}.yaml").write_text(script)
        self.good, self.bad = f"scripted:{folder}/good.yaml", f"scripted:{folder}/bad.yaml"
        self.problems = folder / "problems.jsonl"
        rows = [{"question": f"{n}: " + ("2+2?" if n % 2 else "1+2?"), "answer": 4 if n % 2 else 3} for n in range(16)]
        self.problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.events: list[EvalEvent] = []

    def evaluate(self, **asked: object) -> Report:
        self.events.clear()
        given = {"models": [self.bad, self.good], "methods": ["zero-shot"], "problems": str(self.problems),
                 "out": self.folder / "eval", "home": self.folder / "evals", "attempts": 1}  # fmt: skip
        config = Evaluation(**{**given, **asked})  # type: ignore[arg-type]
        return asyncio.run(evaluate(config, Settings({}), self.events.append))

    @property
    def asked(self) -> int:
        """Replies that the last evaluation asked for."""
        return sum(event.summary.replies_asked for event in self.events if isinstance(event, RowEnded))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_rows_are_measured_on_the_same_problems_and_compared(place: Place) -> None:
    report = place.evaluate()
    assert [row.name for row in report.rows] == ["bad.yaml zero-shot", "good.yaml zero-shot"]
    shares = [row.overall.accuracy.mean for row in report.rows if row.overall.accuracy]
    assert shares == [0.5, 1.0]
    (verdict,) = report.comparisons
    assert verdict.sentence.startswith("better: +50.0 points")
    assert (verdict.problems, verdict.left_out) == (16, 0)


def test_the_same_evaluation_again_costs_nothing_and_says_the_same(place: Place) -> None:
    first = place.evaluate()
    assert place.asked == 32
    again = place.evaluate()
    assert place.asked == 0
    assert again.rows == first.rows
    assert again.comparisons == first.comparisons
    assert again.created == first.created


def test_more_rows_and_samples_cost_only_the_difference(place: Place) -> None:
    place.evaluate(models=[place.bad])
    place.evaluate(models=[place.bad, place.good])
    assert place.asked == 16
    more = place.evaluate(models=[place.bad, place.good], samples=3)
    assert place.asked == 64
    assert list(more.rows[0].overall.pass_at) == [2, 3]


def test_fewer_samples_and_problems_than_there_are_count_only_what_was_asked(place: Place) -> None:
    place.evaluate(samples=3)
    report = place.evaluate(samples=1, limit=4)
    assert place.asked == 0
    assert (report.problems, report.rows[0].overall.traces) == (4, 4)


def test_what_was_cut_off_goes_on_with_the_same_settings_and_a_finished_one_stays(place: Place) -> None:
    first = Path(place.evaluate(out=None).path)
    document = json.loads((first / "evaluation.json").read_text())
    assert document["finished"]
    (first / "evaluation.json").write_text(json.dumps({**document, "finished": ""}))
    assert Path(place.evaluate(out=None, concurrency=3).path) == first
    assert place.asked == 0
    assert Path(place.evaluate(out=None).path) != first
    other = place.evaluate(out=None, seed=5)
    assert Path(other.path) != first


def test_what_cannot_be_judged_is_left_out_and_the_report_says_so(place: Place) -> None:
    broken = "rules:\n  - {question: '\\b3:', say: {error: bad_request}}\n"
    (place.folder / "good.yaml").write_text(GOOD.replace("rules:\n", broken))
    report = place.evaluate(concurrency=1)
    assert (report.failed, report.rows[1].overall.excluded) == (1, {"error": 1})
    assert report.rows[1].overall.accuracy is not None
    assert report.rows[1].overall.accuracy.mean == 1.0
    assert (report.comparisons[0].problems, report.comparisons[0].left_out) == (15, 1)
    text = (place.folder / "eval" / "report.md").read_text()
    assert "1 trace without a verdict on the model (1 error)" in text
    assert not json.loads((place.folder / "eval" / "evaluation.json").read_text())["finished"]
    (place.folder / "good.yaml").write_text(GOOD)
    healed = place.evaluate()
    assert place.asked == 1
    assert (healed.failed, healed.comparisons[0].problems) == (0, 16)


def test_an_unknown_verdict_is_no_wrong_answer(place: Place) -> None:
    place.problems.write_text('{"question": "1+2?", "answer": 3, "verifier": "numeric"}\n'
                              '{"question": "who?", "answer": "nobody", "verifier": "numeric"}\n')  # fmt: skip
    report = place.evaluate(models=[place.bad])
    assert report.rows[0].overall.excluded == {"unknown": 1}
    assert report.rows[0].overall.accuracy is not None
    assert report.rows[0].overall.accuracy.mean == 1.0
    assert report.failed == 0


def test_an_earlier_report_is_a_baseline_problem_by_problem(place: Place) -> None:
    place.evaluate(models=[place.bad])
    baseline = place.folder / "eval"
    report = place.evaluate(models=[place.bad, place.good], out=place.folder / "later", baseline=baseline, limit=12)
    assert report.baseline is not None
    same, better = report.baseline.comparisons
    assert same.verdict == "no difference seen"
    assert (better.first, better.problems, better.left_out) == ("bad.yaml zero-shot", 12, 4)
    page = (place.folder / "later" / "report.md").read_text()
    assert "Against the baseline" in page


def test_a_row_without_its_like_in_the_baseline_is_named(place: Place) -> None:
    place.evaluate()
    report = place.evaluate(
        models=[place.good], methods=["cot"], out=place.folder / "l", baseline=place.folder / "eval"
    )
    assert report.baseline is not None
    assert report.baseline.missing == ["good.yaml cot"]


def test_the_report_is_written_three_times_with_the_same_numbers(place: Place) -> None:
    report = place.evaluate(samples=2)
    folder = place.folder / "eval"
    assert read_report(folder) == report == read_report(folder / REPORT)
    lines = (folder / REPORT).read_text().splitlines()
    assert len(lines) < 400
    assert json.loads("".join(lines))["schema"] == 1
    markdown, page = (folder / "report.md").read_text(), (folder / "report.html").read_text()
    for text in ("50.0%", "pass@2", "maj@2", "better: +50.0 points"):
        assert text in markdown
        assert text in page


def test_hostile_answers_stay_text(place: Place) -> None:
    (place.folder / "bad.yaml").write_text("turns: ['<final_answer><script>alert(1)</script></final_answer>']\n")
    report = place.evaluate()
    assert report.rows[0].mistakes[0].given == "<script>alert(1)</script>"
    for name in ("report.html", "report.md"):
        text = (place.folder / "eval" / name).read_text()
        assert "<script" not in text
        assert "&lt;script&gt;alert(1)" in text


def test_the_same_numbers_give_the_same_page(place: Place) -> None:
    from openstrawberry.evaluation.page import to_html
    from openstrawberry.evaluation.story import tell

    report = place.evaluate()
    assert to_html(tell(report)) == to_html(tell(report)) == (place.folder / "eval" / "report.html").read_text()


def test_a_source_with_no_right_or_wrong_makes_a_report_all_the_same(place: Place) -> None:
    place.problems.write_text('{"question": "who?", "answer": "nobody", "verifier": "numeric"}\n')
    report = place.evaluate()
    assert report.comparisons[0].verdict == "nothing to compare"
    assert "unknown" in (place.folder / "eval" / "report.md").read_text()


def test_what_a_model_was_trained_on_is_refused_unless_asked_for(place: Place) -> None:
    trained = place.folder / "trained"
    trained.mkdir()
    place.evaluate(models=[place.good])
    seen = [outcome.problem for outcome in read_report(place.folder / "eval").rows[0].outcomes][:3]
    (trained / "trained_on.txt").write_text("".join(f"{name}\n" for name in seen))
    # A scripted model is a file, so this one only looks like a trained folder until it is opened.
    with pytest.raises(SetupError, match=r"trained on 3 of the 16 problems.* --allow-trained-on"):
        place.evaluate(models=[f"hf:{trained}"], out=place.folder / "other")
    assert not (place.folder / "other").exists()


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "unknown method": ({"methods": ["cott"]}, "did you mean 'cot'"),
    "unknown provider": ({"models": ["olama:x"]}, "did you mean 'ollama'"),
    "unknown reference": ({"against": "gpt"}, "There is no row"),
    "too large a k": ({"k": [4], "samples": 2}, "--samples 4"),
    "no k": ({"k": [0]}, "pass@0"),
    "no baseline": ({"baseline": Path("nothing.json")}, "nothing.json"),
    "missing problems": ({"problems": "nothing.jsonl"}, "nothing.jsonl"),
}


@pytest.mark.parametrize(("asked", "advice"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(
    place: Place, asked: dict[str, object], advice: str
) -> None:
    with pytest.raises(SetupError) as caught:
        place.evaluate(**asked)
    assert advice in str(caught.value)
    assert str(caught.value).endswith((".", "?"))
    assert not (place.folder / "eval").exists()


def test_a_wrong_model_in_the_last_row_is_found_before_the_first_is_asked(place: Place) -> None:
    with pytest.raises(SetupError, match="OPENAI_API_KEY"):
        place.evaluate(models=[place.good, "openai:gpt-5-mini"])
    assert not (place.folder / "eval").exists()


def test_a_folder_that_is_something_else_is_refused(place: Place) -> None:
    (place.folder / "eval").mkdir()
    (place.folder / "eval" / "thesis.tex").write_text("mine")
    with pytest.raises(SetupError, match="is no evaluation"):
        place.evaluate()
    assert [file.name for file in (place.folder / "eval").iterdir()] == ["thesis.tex"]


def test_a_file_that_is_no_report_is_no_baseline(place: Place) -> None:
    for text in ("{}", "no json", "[1]"):
        (place.folder / "b.json").write_text(text)
        with pytest.raises(SetupError, match="no report"):
            place.evaluate(baseline=place.folder / "b.json")


def test_berry_is_measured_by_size_with_clean_rates(tmp_path: Path) -> None:
    asked = Evaluation(models=["berry"], methods=["zero-shot", "strawberry"], out=tmp_path / "eval",
                       problems="builtin:add?size=1-2&n=8")  # fmt: skip
    report = asyncio.run(evaluate(asked, Settings({})))
    assert [group.label for group in report.rows[0].groups] == ["add 1", "add 2"]
    direct, steps = report.rows
    assert direct.overall.clean is None
    assert steps.overall.clean is not None
    assert steps.overall.clean.mean > 0.8
    assert steps.overall.dollars == 0  # nobody bills
    assert "By size: add" in (tmp_path / "eval" / "report.md").read_text()


def test_berry_gets_short_replies_unless_told_otherwise(tmp_path: Path) -> None:
    from openstrawberry.evaluation.methods import entries

    def tokens(**asked: object) -> list[int]:
        config = Evaluation(models=["berry", "scripted:x"], methods=["cot", "strawberry"], **asked)  # type: ignore[arg-type]
        return [config.run_config(entry, tmp_path).reply_tokens for entry in entries(config.models, config.methods)]

    assert tokens() == [512, 160, 4096, 4096]
    assert tokens(max_tokens=7) == [7] * 4


def test_the_command_of_an_evaluation_says_what_differs_from_the_defaults() -> None:
    config = Evaluation(models=["berry"], methods=["cot", "strawberry"], samples=4, k=[1, 4], all_pairs=True)
    assert config.command == (
        "strawberry eval --model berry --method cot --method strawberry --problems 'builtin:heldout?n=20' "
        "--samples 4 --k 1 --k 4 --all-pairs"
    )
