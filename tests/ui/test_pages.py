"""The pages without a browser: what they show, and what a click changes."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.doctor import Finding
from openstrawberry.models.registry import ProviderState
from openstrawberry.store.run import RunDirectory
from openstrawberry.trace import Trace
from openstrawberry.ui.summaries import FILE
from tests.making import make_trace
from tests.ui.test_reading import search
from tests.ui.test_session import PATIENCE, endless, script
from tests.ui.test_summaries import walked

testing = pytest.importorskip("streamlit.testing.v1", reason="streamlit is not installed")
frame = pytest.importorskip("openstrawberry.ui.frame", reason="streamlit is not installed")


def run_page(name: str, home: str, public: bool) -> None:
    import importlib
    from pathlib import Path

    from openstrawberry.ui.frame import Place

    importlib.import_module(f"openstrawberry.ui.views.{name}").page(Place(Path(home), public))


@pytest.fixture(autouse=True)
def without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def page(name: str, home: Path, public: bool = False) -> Any:
    found = testing.AppTest.from_function(
        run_page, default_timeout=PATIENCE, kwargs={"name": name, "home": str(home), "public": public}
    )
    found.session_state["findings"] = []  # nobody is looked for: these tests reach no server
    return well(found.run())


def well(app: Any) -> Any:
    assert not app.exception
    return app


def told(app: Any) -> str:
    """All that is written as HTML or text."""
    return "\n".join(str(each.proto.body) for each in app.get("html")) + "\n".join(text.value for text in app.text)


def fill(path: Path, *traces: Trace) -> None:
    async def write() -> None:
        directory = RunDirectory(
            path, {"model": "m"}, {"model": "m", "strategy": "strawberry", "samples": 2, "total": 5}
        )
        for trace in traces:
            await directory.add(trace)
        await directory.close()

    asyncio.run(write())


def asked(tmp_path: Path, model: str, public: bool = False, **fields: Any) -> Any:
    app = page("ask", tmp_path / "traces", public)
    provider, _, name = model.partition(":")
    state = ProviderState(provider, ("X_KEY",), True, True, "", (), True)  # offered in public too, to see it refused
    app.session_state["findings"] = [Finding(state, "ready", (name,))] if name else []
    app = well(app.run())
    app.session_state["ask-model"] = model
    for key, value in fields.items():
        app.session_state[f"ask-{key}"] = value
    return well(app.button(key="go").click().run())


def ended(app: Any) -> Any:
    assert app.session_state["talk"].wait(PATIENCE)
    return well(app.run())


def test_the_right_and_the_wrong_answer_are_told_apart(tmp_path: Path) -> None:
    model = script(tmp_path, turns=["<final_answer>3</final_answer>"])
    assert "right" in told(ended(asked(tmp_path, model)))
    other = told(ended(asked(tmp_path, model, answer="4")))
    assert "wrong" in other
    assert "the right answer is 4" in other
    assert "unchecked" in told(ended(asked(tmp_path, model, answer="")))


def test_asked_several_times_the_vote_is_told(tmp_path: Path) -> None:
    model = script(tmp_path, turns=["<final_answer>3</final_answer>"])
    app = ended(asked(tmp_path, model, samples=3))
    assert "The vote: 3 ✓ right" in told(app)
    assert "3 of 3" in told(app)
    assert well(app.selectbox(key="sample").select(2).run()).selectbox(key="sample").value == 2


def test_options_that_were_changed_reach_the_strategy(tmp_path: Path) -> None:
    model = script(tmp_path, turns=["One more step."])
    app = asked(tmp_path, model, turns=3, **{"strawberry-final_every": 2})
    ended(app)
    (trace,) = app.session_state["talk"].view().traces
    assert json.loads(trace.params)["final_every"] == 2
    assert json.loads(trace.params)["max_turns"] == 3


def test_an_option_that_is_left_alone_is_not_sent(tmp_path: Path) -> None:
    app = asked(tmp_path, script(tmp_path, turns=["<final_answer>3</final_answer>"]))
    assert app.session_state["talk"].config.set == {}


def test_every_strategy_has_a_form_for_its_options(tmp_path: Path) -> None:
    app = page("ask", tmp_path / "traces")
    for name in app.selectbox(key="ask-strategy").options:
        well(app.selectbox(key="ask-strategy").select(name).run())


def test_a_new_question_closes_the_old_one(tmp_path: Path) -> None:
    app = asked(tmp_path, endless(tmp_path))
    talking = app.session_state["talk"]
    well(app.button(key="restart").click().run())
    assert talking.wait(PATIENCE)
    assert "talk" not in app.session_state
    assert app.button(key="go").label == "Ask"


def test_what_cannot_be_asked_is_said_and_the_form_stays(tmp_path: Path) -> None:
    nowhere = ended(asked(tmp_path, "no-such-provider:x"))
    assert "no-such-provider" in told(nowhere)
    empty = asked(tmp_path, "berry", question="  ")
    assert "There is no question" in told(empty)
    assert empty.button(key="go")
    cat = ended(asked(tmp_path, "berry", question="Why is the sky blue?", answer=""))
    assert "berry, the embedded model, only knows" in told(cat)


def test_in_public_no_file_and_no_address_of_this_machine_is_reached(tmp_path: Path) -> None:
    for model in ("scripted:/etc/passwd", "hf:/models/secret", "compat:x@http://127.0.0.1:80/v1", "ollama:x",
                  "openai:gpt@http://169.254.169.254/v1", "vllm:x"):  # fmt: skip
        app = asked(tmp_path, model, public=True)
        assert "cannot be asked from a public page" in told(app), model
        assert "talk" not in app.session_state
    assert page("ask", tmp_path / "traces", public=True).selectbox(key="ask-model").options == ["berry"]


def test_in_public_the_keys_of_the_place_are_not_used(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-of-the-owner\n")
    app = ended(asked(tmp_path, "openai:gpt-5-mini", public=True))
    assert "openai needs a key" in told(app)


def test_an_empty_place_says_what_to_do(tmp_path: Path) -> None:
    assert "strawberry generate" in told(page("runs", tmp_path / "traces"))
    assert "strawberry generate" in told(page("compare", tmp_path / "traces"))


def test_a_run_is_filtered_and_a_trace_opened(tmp_path: Path) -> None:
    statuses = ("correct", "incorrect", "no_answer")
    traces = [make_trace(number, status=statuses[number % 3]) for number in range(12)]
    fill(tmp_path / "traces" / "run", *traces, make_trace(50, stop="error", error="The server went away."))
    app = page("runs", tmp_path / "traces")
    assert "8 of 13" in told(app)
    assert app.get("button_group")[0].options
    app.session_state["filter-status"] = ["wrong"]
    app = well(app.run())
    rows = [button for button in app.button if button.key.startswith("open-")]
    assert [button.key for button in rows] == [f"open-{number:016x}" for number in (1, 4, 7, 10)]
    app = well(rows[2].click().run())
    assert "<dt>made by</dt><dd>scripted:test · strawberry · sample 7</dd>" in told(app)
    app.session_state["filter-status"] = ["error"]
    assert "The server went away." in told(well(app.run()))
    app.session_state["filter-text"] = "no such words"
    assert "No trace fits" in told(well(app.run()))


def test_the_other_verdict_is_offered_first_beside_a_trace(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "one", make_trace(0), make_trace(1), make_trace(2, status="incorrect"))
    fill(tmp_path / "traces" / "two", make_trace(7, status="incorrect", text="Quite another."))
    app = page("runs", tmp_path / "traces")
    app = well(app.selectbox(key="run").select("one").run())
    assert [text[:1] for text in app.selectbox(key="beside").options] == ["n", "✗", "✓"]
    app = well(app.selectbox(key="beside-run").select_index(1).run())
    app = well(app.selectbox(key="beside").select_index(1).run())
    assert "Quite another." in told(app)


def test_a_damaged_run_costs_no_other(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "good", make_trace(0))
    bad = tmp_path / "traces" / "bad"
    bad.mkdir()
    (bad / "run.json").write_text("{")
    assert page("runs", tmp_path / "traces").selectbox(key="run").options == ["good"]


def test_models_and_strategies_are_counted_over_runs(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "one", make_trace(0), make_trace(1, status="incorrect"))
    fill(tmp_path / "traces" / "two", make_trace(2), make_trace(3), search()[0].model_copy(update={"strategy": "mcts"}))
    text = told(page("compare", tmp_path / "traces"))
    assert (
        '<td>scripted:test · strawberry</td><td class="number">4</td><td class="number">75% (30%\u00a0to\u00a095%)'
        in text
    )
    assert '<td>scripted:test · mcts</td><td class="number">1</td>' in text


def test_the_rounds_of_a_loop_are_told(tmp_path: Path) -> None:
    def score(share: float) -> dict[str, Any]:
        return {"family": "add", "size": "3", "share": share, "low": share - 0.1, "high": share, "steps": 4.5}

    attempt = {"accepted": True, "reason": "it gained", "trained": [{"method": "dpo"}], "scores": [score(0.75)]}
    rows = {"pairs": {"rows": 31}, "conversations": {"rows": 8}}
    round_ = {"round": 1, "from": "berry", **rows, "attempts": [attempt]}
    loop = tmp_path / "traces" / "loop"
    loop.mkdir(parents=True)
    (loop / "lineage.json").write_text(json.dumps({"student": {"scores": [score(0.5)]}, "rounds": [round_]}))
    text = told(page("compare", tmp_path / "traces"))
    assert '<td>add 3</td><td class="number">50%, 4.5 steps</td><td class="number">75%, 4.5 steps</td>' in text
    assert "31 pairs, 8 traces" in text
    (loop / "lineage.json").write_text("[]")
    assert "is damaged" in told(page("compare", tmp_path / "traces"))


def test_the_steps_of_a_trace_fold_to_their_titles(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "run", search()[0])
    app = page("runs", tmp_path / "traces")
    assert 'class="step" open' in told(app)
    app = well(app.toggle(key="titles-one").set_value(True).run())
    assert 'class="step" open' not in told(app)
    assert 'class="step"' in told(app)


def test_the_public_page_has_berry_a_folder_for_each_visit_and_all_pages() -> None:
    folders = set()
    for _ in range(2):
        app = well(
            testing.AppTest.from_file(str(Path(frame.__file__).parent / "space.py"), default_timeout=PATIENCE).run()
        )
        assert app.selectbox(key="ask-model").options == ["berry"]
        folders.add(app.session_state["folder"])
    assert len(folders) == 2
    assert all(folder.is_dir() for folder in folders)


def test_a_model_summarises_the_steps_of_a_trace_on_request_and_only_then(tmp_path: Path) -> None:
    run = tmp_path / "traces" / "run"
    fill(run, walked(7))
    model = script(tmp_path, replies=["<b>They spelt it.</b>"])
    app = page("runs", tmp_path / "traces")
    assert not (run / FILE).exists()
    state = ProviderState("scripted", (), False, True, "", (), True)
    app.session_state["findings"] = [Finding(state, "ready", (model.partition(":")[2],))]
    app = well(app.toggle(key="summaries-one").set_value(True).run())
    assert app.selectbox(key="by-one").options == [model]
    assert app.button(key="write-one").disabled
    app = well(app.selectbox(key="by-one").select(model).run())
    assert not (run / FILE).exists()
    app = well(app.button(key="write-one").click().run())
    told_now = told(app)
    assert "<b>Steps 1 to 5</b> &lt;b&gt;They spelt it.&lt;/b&gt;" in told_now
    assert told_now.index("Steps 6 to 7") > told_now.index("step 5")
    app = well(app.button(key="write-one").click().run())
    assert "summarised all of them before" in told(app)
    assert "They spelt it." in told(page("runs", tmp_path / "traces"))


def test_a_model_that_cannot_summarise_is_a_sentence_and_the_trace_stays(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "run", walked(3))
    model = script(tmp_path, replies=[{"error": "auth", "status": 401}])
    for spec, public, sentence in ((model, False, "could not be summarised"), (model, True, "from a public page"),
                                   ("openai:gpt-5-mini", True, "needs a key")):  # fmt: skip
        app = page("runs", tmp_path / "traces", public)
        state = ProviderState(spec.partition(":")[0], ("X_KEY",), True, True, "", (), True)
        app.session_state["findings"] = [Finding(state, "ready", (spec.partition(":")[2],))]
        app = well(app.toggle(key="summaries-one").set_value(True).run())
        app = well(app.selectbox(key="by-one").select(spec).run())
        shown = told(well(app.button(key="write-one").click().run()))
        assert sentence in shown
        assert "step 3" in shown


def test_a_long_trace_is_read_in_parts(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "run", walked(250))
    app = page("runs", tmp_path / "traces")
    assert told(app).count('class="step"') == 100
    assert app.selectbox(key="part-one").options == ["1 to 100 of 250", "101 to 200 of 250", "201 to 250 of 250"]
    app = well(app.selectbox(key="part-one").select_index(2).run())
    assert told(app).count('class="step"') == 50
    assert "step 250" in told(app)


def test_a_text_of_many_megabytes_is_cut_before_a_browser_gets_it(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "run", make_trace(0, text="begin " + "x" * 6_000_000 + " end"))
    shown = told(page("runs", tmp_path / "traces"))
    assert len(shown) < 3_000_000
    assert "characters left out]" in shown
    assert "begin" in shown
    assert "end</pre>" in shown


def test_a_run_that_is_deleted_while_it_is_looked_at_is_a_sentence(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fill(tmp_path / "traces" / name, make_trace(0))
    app = page("runs", tmp_path / "traces")
    app = well(app.selectbox(key="run").select("one").run())
    shutil.rmtree(tmp_path / "traces" / "one")
    app = well(app.run())
    assert app.selectbox(key="run").value == "two"
    shutil.rmtree(tmp_path / "traces")
    assert "strawberry generate" in told(well(app.run()))


def test_a_run_is_looked_at_while_it_is_written(tmp_path: Path) -> None:
    async def watch() -> None:
        directory = RunDirectory(tmp_path / "traces" / "run", {"model": "m"}, {"samples": 1, "total": 4})
        await directory.add(make_trace(0))
        app = await asyncio.to_thread(page, "runs", tmp_path / "traces")
        assert "going on" in told(app)
        assert "1 to 1 of 1" in told(app)
        await directory.add(make_trace(1))
        app = well(await asyncio.to_thread(app.run))
        assert "1 to 2 of 2" in told(app)
        assert "<b>50%</b><span>going on</span>" in told(app)
        await directory.close()

    asyncio.run(watch())


def test_a_folder_whose_name_is_markup_or_no_text_is_a_name(tmp_path: Path) -> None:
    names = [os.fsdecode(b"odd-\xff"), "<script>alert(1)<|script>", "**b** [l](javascript:alert(1))"]
    for number, name in enumerate(names):
        fill(tmp_path / "traces" / name, make_trace(number))
    app = page("runs", tmp_path / "traces")
    assert sorted(app.selectbox(key="run").options) == sorted(["odd-?", *names[1:]])
    for name in app.selectbox(key="run").options:
        app = well(app.selectbox(key="run").select(name).run())
        assert "<script>alert(1)" not in told(app)
    assert "<script>alert(1)" not in told(page("compare", tmp_path / "traces"))


def test_single_questions_are_compared_only_when_they_are_chosen(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "run", make_trace(0))
    ended(asked(tmp_path, script(tmp_path, turns=["<final_answer>3</final_answer>"]))).session_state["talk"].close()
    app = page("compare", tmp_path / "traces")
    assert app.multiselect(key="compared").value == ["run"]
    assert len(app.multiselect(key="compared").options) == 2
    shutil.rmtree(tmp_path / "traces" / "run")
    assert len(page("compare", tmp_path / "traces").multiselect(key="compared").value) == 1


def test_traces_without_a_verdict_are_not_counted_as_wrong(tmp_path: Path) -> None:
    fill(tmp_path / "traces" / "run", make_trace(0), make_trace(1, status="unknown"), make_trace(2, status="timeout"))
    assert '<td class="number">1</td><td class="number">100%' in told(page("compare", tmp_path / "traces"))
    fill(tmp_path / "other" / "run", make_trace(1, status="unknown"))
    assert "has a verdict yet" in told(page("compare", tmp_path / "other"))
