"""Critic and judge by models of their own: a whole run against loopback servers through a real SDK."""

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.config import RunConfig
from openstrawberry.errors import SetupError
from openstrawberry.estimate import CRITIQUE, NO_ANSWER, estimate
from openstrawberry.evaluation.config import _FREE, Evaluation
from openstrawberry.evaluation.methods import entries
from openstrawberry.generate import Run
from openstrawberry.problems.problem import Problem
from openstrawberry.settings import Settings
from openstrawberry.store.reading import read_run, read_traces
from openstrawberry.store.run import digest_of
from openstrawberry.store.summary import Summary
from openstrawberry.trace import Trace
from tests.engine.batch_runs import finish, open_run
from tests.servers.batches import BatchServer, Conversation, stepping
from tests.servers.dialects import Said, failure, openai
from tests.servers.http import Answer, Received, Server

PROBLEMS = [Problem(question=f"Question {number}?", answer="3", verifier="exact") for number in range(4)]
PRICES = "'compat:solver': {input: 1, output: 1}\n'compat:critic': {input: 10, output: 10}\n"
USAGE = (100, 0, 0, 10, 0)
LOW = "<critique>Look again.</critique><score>1</score>"
Handler = Callable[[Received], Answer]


def say(text: str) -> Answer:
    return openai(Said(text, usage=USAGE), stream=False)


def solver(received: Received) -> Answer:
    replies = sum(message["role"] == "assistant" for message in received.json["messages"])
    return say("<final_answer>three</final_answer>" if replies == 2 else "A step.")


class Session:
    """Runs against two servers: `solver` and another, whose handler plays critic or judge."""

    def __init__(self, folder: Path, other: Handler) -> None:
        self.folder = folder
        self._other = other
        (folder / "prices.yaml").write_text(PRICES)

    def run(self, problems: Sequence[Problem] = PROBLEMS, **given: Any) -> Summary:
        """One command. `{other}` in a setting is the address of the other server."""

        async def session() -> Summary:
            async with Server(solver) as mine, Server(self._other) as other:
                self.asked, self.said = mine.requests, other.requests
                settings = {
                    name: value.replace("{other}", f"{other.url}/v1").replace("{mine}", f"{mine.url}/v1")
                    if isinstance(value, str) else value
                    for name, value in given.items()
                }  # fmt: skip
                config = RunConfig(**{"model": f"compat:solver@{mine.url}/v1", "samples": 1, "out": self.folder / "run",
                                      "concurrency": 2, "attempts": 1, **settings})  # fmt: skip
                run = Run(config, Settings({}), problems=problems)
                try:
                    self.identity = read_run(run.directory.path)["identity"]
                    return await run.run()
                finally:
                    await run.close()

        return asyncio.run(session())

    @property
    def traces(self) -> list[Trace]:
        return list(read_traces(self.folder / "run"))


def models(trace: Trace, channel: str) -> set[str]:
    return {turn.model for turn in trace.messages if turn.model and turn.channel == channel}


def test_a_critic_of_its_own_is_asked_recorded_priced_and_named_in_its_turns(tmp_path: Path) -> None:
    here = Session(tmp_path, lambda received: say(LOW))
    asked = {"strategy": "critic", "critic_model": "compat:critic@{other}", "prices": tmp_path / "prices.yaml"}
    summary = here.run(**asked)
    assert summary.statuses == {"incorrect": 4}
    assert (len(here.asked), len(here.said)) == (4 * 3, 4 * 2)
    assert {received.json["model"] for received in here.said} == {"critic"}
    assert summary.replies_asked == 20
    assert summary.tokens == {"input": 2000, "cached": 0, "output": 200}
    assert summary.cost_usd == pytest.approx((12 * 110 * 1 + 8 * 110 * 10) / 1e6)
    assert all(trace.cost_usd == pytest.approx((3 * 110 + 2 * 1100) / 1e6) for trace in here.traces)
    assert "Look again." in "".join(turn.content for turn in here.traces[0].messages if turn.role == "user")
    again = here.run(**asked, samples=2)
    assert (len(here.asked), len(here.said)) == (12, 8)  # the first samples are there
    assert again.cost_usd == pytest.approx(2 * summary.cost_usd)


def test_a_role_is_part_of_the_identity_only_where_it_has_a_model_of_its_own(tmp_path: Path) -> None:
    here = Session(tmp_path, lambda received: say(LOW))
    here.run(strategy="critic", max_turns=3)
    assert set(here.identity) == {"model", "strategy", "options", "prompts", "prompt_digest", "temperature", "top_p",
                                  "max_tokens", "reasoning", "seed", "num_ctx", "weights"}  # fmt: skip
    plain = digest_of(here.identity)
    here.run(strategy="critic", max_turns=3, critic_model="compat:solver@{mine}")  # the solver, spelt out
    assert digest_of(here.identity) == plain
    assert here.said == []
    with pytest.raises(SetupError, match="--critic-model unset -> compat:critic"):
        here.run(strategy="critic", max_turns=3, critic_model="compat:critic@{other}")


def test_one_model_for_both_roles_is_opened_once(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text("turns: [hm]")
    spec = f"scripted:{tmp_path / 'script.yaml'}"
    run = Run(RunConfig(critic_model=spec, judge_model=spec, out=tmp_path / "run"), Settings({}))
    asyncio.run(run.close())
    assert set(run.models) == {"solver", "critic", "judge"}
    assert run.models["critic"] is run.models["judge"]


def test_a_budget_covers_all_roles_and_is_refused_where_one_has_no_price(tmp_path: Path) -> None:
    here = Session(tmp_path, lambda received: say(LOW))
    asked = {"strategy": "critic", "critic_model": "compat:critic@{other}", "max_tokens": 20}
    with pytest.raises(SetupError, match="The price of compat:nobody is not known"):
        here.run(**{**asked, "critic_model": "compat:nobody@{other}"}, budget_usd=1, prices=tmp_path / "prices.yaml")
    assert not (tmp_path / "run").exists()
    assert here.asked == []
    stopped = here.run(**asked, samples=4, budget_usd=0.03, prices=tmp_path / "prices.yaml", concurrency=1)
    assert stopped.stopped.startswith("The budget of $0.03")
    assert 0 < stopped.cost_usd <= 0.03
    assert here.said  # and most of it is the critic's, who is ten times as dear


def test_a_critic_that_never_answers_ends_the_command_while_the_solver_works(tmp_path: Path) -> None:
    here = Session(tmp_path, lambda received: failure("openai", 401, "Invalid key."))
    with pytest.raises(SetupError, match="key"):
        here.run(strategy="critic", critic_model="compat:critic@{other}")
    assert len(here.asked) <= 2  # one turn of each trace at a time, and not the whole run
    healed = Session(tmp_path, lambda received: say(LOW))
    assert healed.run(strategy="critic", critic_model="compat:critic@{other}").traces == 4
    assert len(healed.asked) == 12 - len(here.asked)  # what was paid for is there


def test_a_critic_that_breaks_down_later_costs_its_traces_only(tmp_path: Path) -> None:
    asks = itertools.count()
    here = Session(tmp_path, lambda received: say(LOW) if next(asks) < 3 else failure("openai", 500, "Down."))
    summary = here.run(strategy="critic", critic_model="compat:critic@{other}", attempts=1, concurrency=1)
    assert (summary.failed, summary.traces) == (3, 4)
    assert all(trace.owed for trace in here.traces if trace.stop == "error")


def test_the_verifier_judge_gives_the_verdicts_of_a_run_and_equal_answers_are_asked_about_once(tmp_path: Path) -> None:
    here = Session(tmp_path, lambda received: say("The same. <verdict>right</verdict>"))
    asked = {"verifier": "judge", "judge_model": "compat:critic@{other}", "prices": tmp_path / "prices.yaml"}
    summary = here.run(**asked, samples=5)
    assert summary.statuses == {"correct": 20}
    assert len(here.said) == 8  # four problems, one answer each, two orders
    assert {received.json["max_tokens"] for received in here.said} == {4096}
    assert summary.cost_usd == pytest.approx((60 * 110 + 8 * 1100) / 1e6)
    assert {trace.verdict.verifier for trace in here.traces} == {"judge"}


def test_without_a_judge_model_the_solver_judges_and_what_it_cannot_decide_is_unknown(tmp_path: Path) -> None:
    here = Session(tmp_path, lambda received: say(""))
    assert here.run(verifier="judge").statuses == {"unknown": 4}
    assert len(here.asked) == 4 * 3 + 4 * 2
    assert here.said == []


def test_a_judge_that_cannot_be_asked_leaves_the_trace_owed_and_the_next_command_asks_only_the_judge(
    tmp_path: Path,
) -> None:
    asks = itertools.count()
    late = Session(tmp_path, lambda received: say("<verdict>right</verdict>") if next(asks) < 2 else
                   failure("openai", 500, "Down."))  # fmt: skip
    asked = {"verifier": "judge", "judge_model": "compat:critic@{other}", "concurrency": 1}
    summary = late.run(**asked)
    assert (summary.statuses, summary.failed) == ({"correct": 1}, 3)
    healed = Session(tmp_path, lambda received: say("<verdict>wrong</verdict>"))
    assert healed.run(**asked).statuses == {"correct": 1, "incorrect": 3}
    assert healed.asked == []


def test_a_dry_run_counts_the_critic_at_its_own_price(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    asked = {"model": "compat:solver@http://127.0.0.1:9/v1", "strategy": "critic", "samples": 1, "max_turns": 30,
             "prices": tmp_path / "prices.yaml"}  # fmt: skip
    alone = estimate(RunConfig(**asked), Settings({}), PROBLEMS)
    paired = estimate(RunConfig(**asked, critic_model="compat:critic@http://127.0.0.1:9/v1"), Settings({}), PROBLEMS)
    assert paired.roles == {"critic": "compat:critic@http://127.0.0.1:9/v1"}
    assert (alone.least.requests, alone.about.requests) == (4, 4 * 20)
    assert alone.most is not None
    assert 4 * 59 <= alone.most.requests <= 4 * 60
    assert paired.about.requests == alone.about.requests
    assert (paired.least.usd, alone.about.input) == (alone.least.usd, paired.about.input)
    assert paired.about.usd is not None
    assert alone.about.usd is not None
    assert alone.about.usd < paired.about.usd < 10 * alone.about.usd
    unpriced = estimate(RunConfig(**asked, critic_model="compat:x@http://127.0.0.1:9/v1"), Settings({}), PROBLEMS)
    assert (unpriced.about.usd, unpriced.least.usd is None) == (None, False)


def test_a_dry_run_counts_the_judge_twice_for_each_trace(tmp_path: Path) -> None:
    asked = {"strategy": "zero-shot", "samples": 3, "model": "compat:solver@http://127.0.0.1:9/v1"}
    plain = estimate(RunConfig(**asked), Settings({}), PROBLEMS)
    judged = estimate(RunConfig(**asked, verifier="judge"), Settings({}), PROBLEMS)
    assert plain.most is not None
    assert judged.most is not None
    assert (plain.most.requests, judged.most.requests) == (12, 36)
    assert judged.most.input > 5 * plain.most.input  # the rubric is longer than the question
    assert judged.least == plain.least


def test_the_critics_prompts_are_measured_as_they_are_sent(tmp_path: Path) -> None:
    def never(received: Received) -> Answer:
        critic = "<score>" in received.json["messages"][0]["content"]
        return say(f"<critique>{CRITIQUE}</critique><score>0</score>" if critic else NO_ANSWER)

    async def session() -> None:
        async with Server(never) as server:
            config = RunConfig(model=f"compat:solver@{server.url}/v1", strategy="critic", max_turns=12, samples=1,
                               max_tokens=6, out=tmp_path / "run")  # fmt: skip
            run = Run(config, Settings({}), problems=PROBLEMS[:1])
            await run.run()
            await run.close()
            found = estimate(config, Settings({}), PROBLEMS[:1])
            sent = sum(len(m["content"].encode()) for r in server.requests for m in r.json["messages"]) / 4
            assert found.most is not None
            assert found.most.input == pytest.approx(sent, rel=0.1)
            assert (found.most.requests, len(server.requests)) == (24, 23)  # nobody criticises the last reply

    asyncio.run(session())


@pytest.mark.parametrize("named", [True, False])
def test_in_batch_runs_a_critic_of_its_own_is_asked_live_and_the_solver_as_critic_in_batches(
    tmp_path: Path, named: bool
) -> None:
    handler = BatchServer("openai", stepping(3))

    async def session() -> tuple[Summary, int]:
        async with Server(handler, keep=False) as server, Server(lambda received: say(LOW)) as other:
            mine = {"critic_model": f"compat:critic@{other.url}/v1"} if named else {}
            run = open_run(tmp_path, "openai", server.url, 5, strategy="critic", **mine)
            return await finish(run), len(other.requests)

    summary, live = asyncio.run(session())
    assert summary.statuses == {"correct": 5}
    assert live == (5 * 2 if named else 0)
    assert len(handler.live) == 1  # the very first
    assert handler.sizes == ([4, 5, 5] if named else [4, 5, 5, 5, 5])


def test_in_batch_runs_the_solver_judges_in_batches_too(tmp_path: Path) -> None:
    def answer(conversation: Conversation, key: str) -> Said:
        judging = conversation[0]["role"] == "system"
        return Said("<verdict>right</verdict>" if judging else "<final_answer>three</final_answer>")

    handler = BatchServer("openai", answer)

    async def session() -> Summary:
        async with Server(handler, keep=False) as server:
            asked = {"strategy": "zero-shot", "verifier": "judge"}
            return await finish(open_run(tmp_path, "openai", server.url, 5, **asked))

    assert asyncio.run(session()).statuses == {"correct": 5}
    assert (handler.sizes, len(handler.live)) == ([4, 10], 1)


def test_a_small_solver_does_not_shorten_the_replies_of_a_large_critic() -> None:
    config = RunConfig(model="berry", critic_model="openai:gpt-5-mini", strategy="critic")
    assert [config.longest_reply(role) for role in ("solver", "critic", "judge")] == [160, 4096, 160]
    assert config.model_copy(update={"max_tokens": 9}).longest_reply("critic") == 9
    assert json.loads(config.model_dump_json())["critic_model"] == "openai:gpt-5-mini"


def test_an_evaluation_hands_its_roles_on_and_without_any_is_the_one_it_was() -> None:
    plain = Evaluation(models=["berry"], methods=["critic"])
    known = plain.model_dump(mode="json", exclude={*_FREE, "critic_model", "judge_model"})
    assert plain.digest == digest_of(known)
    named = plain.model_copy(update={"critic_model": "openai:gpt-5-mini"})
    assert named.digest != plain.digest
    (entry,) = entries(named.models, named.methods)
    assert named.run_config(entry, Path("x")).roles == {"critic": "openai:gpt-5-mini"}
    assert "--critic-model openai:gpt-5-mini" in named.command
