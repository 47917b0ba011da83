"""Budgets, prices and dry runs, as a user meets them."""

import asyncio
import io
import json
import shlex
from typing import Any

import pytest
from rich.console import Console

from openstrawberry.cli.generate import with_flag
from openstrawberry.cli.live import TextView
from openstrawberry.cli.render import dollars
from openstrawberry.config import RunConfig
from openstrawberry.engine.events import Event, TraceEnded
from openstrawberry.evaluation.report import read_report
from openstrawberry.generate import Run
from openstrawberry.settings import Settings
from openstrawberry.store.ledger import spent_below
from tests.cli.commands import Shell

SCRIPT = """
rules:
  - when: confident
    say: {content: <final_answer>3</final_answer>, usage: {input: 1000, cached_input: 800, output: 10}}
turns:
  - {content: s is not r., usage: {input: 1000, cached_input: 500, output: 10}}
"""


@pytest.fixture
def priced(shell: Shell) -> Shell:
    """A shell whose scripted model has a price."""
    shell.script.write_text(SCRIPT)
    (shell.folder / "prices.yaml").write_text('"scripted:*": {input: 10, output: 100, cached_input: 1}')
    return shell


def generate(shell: Shell, *flags: object) -> Any:
    return shell.generate("--prices", shell.folder / "prices.yaml", "--max-tokens", 10, *flags)


def test_the_summary_tells_the_cost_and_what_the_cache_saved_in_every_form(priced: Shell) -> None:
    done = generate(priced, "--samples", 1)
    assert done.code == 0
    assert "cost  $0.1246 (the prompt cache saved $0.0954)" in done.out
    assert "20,000 in (53% from cache)" in done.out
    again = generate(priced, "--samples", 1, "--json").events[-1]
    assert again["cost_usd"] == pytest.approx(0.1246)
    assert again["cache_saved_usd"] == pytest.approx(0.0954)
    assert again["cached_share"] == pytest.approx(0.53)
    assert (again["unpriced"], again["open_usd"], again["stopped"]) == (0, 0, "")


def test_each_trace_tells_its_cost_to_programs(priced: Shell) -> None:
    traces = [event for event in generate(priced, "--samples", 1, "--json").events if event["event"] == "trace"]
    assert [trace["cost_usd"] for trace in traces] == pytest.approx([0.0623, 0.0623])


def test_an_unknown_cost_is_called_unknown_and_models_in_process_cost_nothing(shell: Shell) -> None:
    assert "     cost  " not in shell.generate("--samples", 1).out
    assert shell.generate("--samples", 1, "--json").events[-1]["cost_usd"] == 0
    shell.run = shell.folder / "another"
    (shell.folder / "prices.yaml").write_text('"scripted:*": {input: 10, output: 100}')  # and it reports no tokens
    assert "cost  unknown for 20 replies (tell prices with --prices FILE)" in generate(shell, "--samples", 1).out
    unknown = generate(shell, "--samples", 1, "--json").events[-1]
    assert (unknown["cost_usd"], unknown["unpriced"]) == (-1, 20)


def test_a_used_up_budget_gives_exit_code_three_and_a_command_that_goes_on(priced: Shell) -> None:
    stopped = generate(priced, "--samples", 4, "--concurrency", 1, "--budget-usd", "0.2")
    assert stopped.code == 3
    assert "Stopped early: The budget of $0.2 does not cover another request" in stopped.out
    assert stopped.err.startswith(
        "strawberry: The budget is used up; everything so far is kept. Go on with: strawberry"
    )
    assert "--budget-usd 0.4" in stopped.err
    assert stopped.err.count("\n") == 1
    assert "failed" not in stopped.out
    assert json.loads((priced.run / "run.json").read_text())["finished"] == ""
    whole = generate(priced, "--samples", 4, "--budget-usd", "0.6", "--json")
    assert whole.code == 0
    assert whole.events[-1]["stops"] == {"final_answer": 8}
    assert whole.events[-1]["cost_usd"] == pytest.approx(8 * 0.0623)
    assert whole.events[-1]["replies_asked"] < 80


def test_budgets_can_stand_in_a_file_and_change_between_commands(priced: Shell) -> None:
    config = priced.folder / "run.yaml"
    config.write_text("budget-usd: 0.2\nbudget-tokens: 1000000\nsamples: 1\n")
    assert generate(priced, "--config", config).code == 0
    assert generate(priced, "--config", config, "--samples", 4).code == 3
    assert generate(priced, "--config", config, "--samples", 4, "--budget-usd", 5).code == 0


def test_sampling_that_stops_by_itself_stops_at_the_budget_as_well(priced: Shell) -> None:
    stopped = generate(priced, "--until-decided", "--budget-usd", "0.2", "--json")
    assert stopped.code == 3
    assert stopped.events[-1]["cost_usd"] <= 0.2
    assert stopped.events[-1]["stopped"]
    assert generate(priced, "--until-decided", "--budget-usd", "5", "--json").code == 0


def test_a_terminal_shows_dollars_so_far_and_what_they_will_be(priced: Shell) -> None:
    view = TextView(Console(file=io.StringIO(), force_terminal=True))
    shown: list[str] = []

    def hear(event: Event) -> None:
        view.hear(event)
        if isinstance(event, TraceEnded):
            shown.append(view.tally.money)

    async def session() -> None:
        config = RunConfig(model=f"scripted:{priced.script}", problems=str(priced.problems), samples=2, concurrency=1,
                           out=priced.run, prices=priced.folder / "prices.yaml")  # fmt: skip
        run = Run(config, Settings({}), hear)
        try:
            view.start(run)
            await run.run()
        finally:
            view.stop()
            await run.close()

    asyncio.run(session())
    assert shown[0] == "$0.0623 of about $0.2492"
    assert shown[-1] == "$0.2492 of about $0.2492"


def test_eval_shows_what_each_method_cost(priced: Shell) -> None:
    done = priced.strawberry(
        "eval", "--model", f"scripted:{priced.script}", "--method", "zero-shot", "--method", "strawberry",
        "--problems", priced.problems, "--out", priced.folder / "eval", "--prices", priced.folder / "prices.yaml",
    )  # fmt: skip
    assert done.code == 0
    report = read_report(priced.folder / "eval")
    assert [row.overall.dollars for row in report.rows] == pytest.approx([2 * 0.0065, 2 * 0.0623])
    assert "0.1246" in (priced.folder / "eval" / "report.md").read_text()


def test_a_budget_of_an_evaluation_holds_over_all_its_rows(priced: Shell) -> None:
    folder = priced.folder / "eval"

    def measure(*flags: object) -> Any:
        return priced.strawberry(
            "eval", "--model", f"scripted:{priced.script}", "--method", "zero-shot", "--method", "strawberry",
            "--problems", priced.problems, "--out", folder, "--prices", priced.folder / "prices.yaml",
            "--max-tokens", 10, "--concurrency", 1, *flags,
        )  # fmt: skip

    stopped = measure("--budget-usd", "0.1")
    assert stopped.code == 1
    assert "The budget of $0.1 does not cover another request" in stopped.err
    assert stopped.err.rstrip().endswith("Raise it with --budget-usd 0.20.")
    assert 2 * 0.0065 < (spent_below(folder).counted_usd or 0) <= 0.1
    assert measure("--budget-usd", "0.5").code == 0
    assert spent_below(folder).counted_usd == pytest.approx(2 * 0.0065 + 2 * 0.0623)


def test_a_budget_of_tokens_is_kept_too(priced: Shell) -> None:
    stopped = generate(priced, "--samples", 4, "--budget-tokens", 15_000, "--json")
    assert stopped.code == 3
    tokens = stopped.events[-1]["tokens"]
    assert tokens["input"] + tokens["output"] <= 15_000
    assert "--budget-tokens 30000" in stopped.err


@pytest.mark.parametrize(
    ("code", "flags", "told"),
    [
        (2, ["--budget-usd", "0"], "--budget-usd"),
        (2, ["--budget-usd", "nan"], "--budget-usd"),
        (2, ["--budget-tokens", "0"], "--budget-tokens"),
        (1, ["--budget-usd", "0.000001", "--prices", "prices"], "--budget-usd"),
        (1, ["--prices", "nowhere.yaml"], "check --prices"),
        (1, ["--model", "compat:x@http://127.0.0.1:9/v1", "--budget-usd", "1"], "--budget-tokens"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_sentence(priced: Shell, code: int, flags: list[str], told: str) -> None:
    flags = [str(priced.folder / "prices.yaml") if flag == "prices" else flag for flag in flags]
    done = priced.generate(*flags)
    assert done.code == code
    assert done.err.count("\n") == 1
    assert done.err.rstrip().endswith(".")
    assert told in done.err
    assert not priced.run.exists()


def test_a_dry_run_shows_the_first_prompt_and_leaves_nothing(priced: Shell) -> None:
    done = generate(priced, "--samples", 1, "--dry-run")
    assert done.code == 0
    assert "How many r in strawberry?" in done.out
    assert "nothing is sent" in done.out
    for word in ("least", "about", "most", "requests", "tokens in", "tokens out", "cost"):
        assert word in done.out
    assert not priced.run.exists()
    (event,) = generate(priced, "--samples", 1, "--dry-run", "--json").events
    assert event["messages"][0]["role"] == "system"
    assert event["least"]["requests"] == 2
    assert event["most"]["requests"] == 80
    assert event["least"]["usd"] < event["about"]["usd"] < event["most"]["usd"]
    assert not priced.run.exists()


def test_ask_has_a_budget_prices_and_a_dry_run_too(priced: Shell) -> None:
    common = ["ask", "How many r in strawberry?", "--model", f"scripted:{priced.script}", "--out", priced.run,
              "--prices", priced.folder / "prices.yaml", "--max-tokens", 10]  # fmt: skip
    dry = priced.strawberry(*common, "--dry-run")
    assert dry.code == 0
    assert "nothing is sent" in dry.out
    assert not priced.run.exists()
    stopped = priced.strawberry(*common, "--budget-usd", "0.04")
    assert stopped.code == 3
    assert "does not cover another request" in stopped.err
    priced.run = priced.folder / "another"
    done = priced.strawberry(*common[:5], priced.run, *common[6:], "--budget-usd", "1")
    assert done.code == 0
    assert "$0.0623" in done.out


def test_the_command_that_goes_on_has_the_flag_once() -> None:
    words = shlex.split("generate --budget-usd 1 --samples 4 --budget-usd=2")
    assert with_flag(words, "--budget-usd", "4") == ["generate", "--samples", "4", "--budget-usd", "4"]
    assert with_flag(["generate"], "--budget-tokens", "9") == ["generate", "--budget-tokens", "9"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "$0"), (0.00001, "under $0.0001"), (0.01234, "$0.0123"), (1.005, "$1.00"), (1234.5, "$1,234.50")],
)
def test_dollars_have_the_digits_that_matter(value: float, shown: str) -> None:
    assert dollars(value) == shown
