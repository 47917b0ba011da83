"""The step game with a critic, answered by hand and by two models."""

import asyncio
import itertools
from collections.abc import Callable
from random import Random

import pytest

from openstrawberry.chat import Reply, Request
from openstrawberry.engine.drive import Setting, drive
from openstrawberry.errors import ProviderError
from openstrawberry.models.providers.scripted import ScriptedModel
from openstrawberry.models.replies import Recorded
from openstrawberry.prompts import PromptSet, load_prompts
from openstrawberry.strategies.critic import Critic, critique_in, score_in
from openstrawberry.strategies.strategy import Answer, Ask, Task
from openstrawberry.trace import Node, Trace
from openstrawberry.verifiers.catalogue import Verifiers
from tests.making import PROBLEM, Memory
from tests.strategies.playing import hostile, play

FULL, BRIEF = (load_prompts("critic", name, uses=["strawberry"]) for name in ("full", "brief"))
GOOD = "<critique>Right.</critique><score>5</score>"
BAD = "<critique>You skipped a letter.</critique><score>-2</score>"


def players(solver: Callable[[int], Reply | str], critic: Callable[[int], Reply | str]) -> Callable[[Ask], Reply | str]:
    """Answers each role by how often it was asked."""
    counts = {"solver": itertools.count(), "critic": itertools.count()}

    def says(ask: Ask) -> Reply | str:
        number = next(counts[ask.role])
        return solver(number) if ask.role == "solver" else critic(number)

    return says


def game(
    task: Task, critic: Callable[[int], Reply | str], strategy: Critic | None = None, final_at: int = 99
) -> tuple[Answer, list[Ask]]:
    """A solver that answers at its reply number `final_at`; the answer and everything that was asked."""
    asked: list[Ask] = []
    solver = lambda n: "<final_answer>3</final_answer>" if n == final_at else f"Step {n}."  # noqa: E731
    answer = play(strategy or Critic(max_turns=8), task, players(solver, critic), asked=asked)
    return answer, asked


def main(task: Task) -> list[Node]:
    return [node for node in task.tree.nodes if node.channel == "main"]


def test_a_golden_trace() -> None:
    texts = {
        "system": "Small steps.", "first": "{question} Go.", "next": "Next?", "final": "Sure? Then answer.",
        "schedule": [{"every": 2, "pool": "final"}, {"chance": 1, "pool": "next"}],
    }  # fmt: skip
    mine = {"system": "You judge.", "user": "{question}\n{steps}", "revise": "They say: {critique} {turn}"}
    task = Task(PROBLEM, PromptSet("critic/own", mine, {"strawberry": PromptSet("strawberry/own", texts)}))
    answer, _ = game(task, lambda n: (GOOD, BAD)[n], Critic(final_every=2), final_at=2)
    question = PROBLEM.question
    assert (answer.text, answer.stop, answer.method) == ("3", "final_answer", "final_answer")
    assert [(node.role, node.channel, node.content) for node in task.tree.nodes] == [
        ("system", "main", "Small steps."),
        ("user", "main", f"{question} Go."),
        ("assistant", "main", "Step 0."),
        ("system", "critic", "You judge."),
        ("user", "critic", f'{question}\n<step number="1">\nStep 0.\n</step>'),
        ("assistant", "critic", GOOD),
        ("user", "main", "Next?"),
        ("assistant", "main", "Step 1."),
        ("user", "critic", f'{question}\n<step number="2">\nStep 1.\n</step>'),
        ("assistant", "critic", BAD),
        ("user", "main", "They say: You skipped a letter. Sure? Then answer."),
        ("assistant", "main", "<final_answer>3</final_answer>"),
    ]
    assert [node.index for node in answer.node.path()] == [0, 1, 2, 6, 7, 10, 11]
    assert [(node.value, node.visits) for node in task.tree.nodes if node.channel == "critic" and node.reply] == [
        (5, 1),
        (-2, 1),
    ]


@pytest.mark.parametrize(("threshold", "heard"), [(5, True), (0, False), (-2, False), (-1.5, True)])
def test_the_critique_is_heard_below_the_threshold_only(threshold: float, heard: bool) -> None:
    task = Task(PROBLEM, FULL)
    game(task, lambda n: BAD.replace("-2", "-2" if threshold != 0 else "0"), Critic(max_turns=3, threshold=threshold))
    assert any("You skipped a letter." in node.content for node in main(task)) == heard


def test_a_critic_who_is_never_content_cannot_keep_the_game_from_asking_for_the_answer() -> None:
    task = Task(PROBLEM, FULL)
    game(task, lambda n: BAD, Critic(max_turns=20, final_every=4))
    users = [node.content for node in main(task) if node.role == "user"]
    final = FULL.others["strawberry"].text("final")
    assert [turn for turn, text in enumerate(users) if final in text] == [4, 8, 12, 16]
    assert all("You skipped a letter." in text for text in users[1:])


def test_small_models_are_asked_to_look_again_and_then_go_on_as_scheduled() -> None:
    task = Task(PROBLEM, BRIEF)
    _, asked = game(task, lambda n: BAD, Critic(max_turns=21, final_every=4))
    users = [node.content for node in main(task) if node.role == "user"]
    assert all(text in BRIEF.pool("revise") for text in users[1::2])
    rules = BRIEF.others["strawberry"]
    assert all(text in rules.pool("next") + rules.pool("sure") + rules.pool("final") for text in users[2::2])
    assert [turn for turn, text in enumerate(users) if text == rules.text("final")] == [
        8,
        16,
    ]  # the 4th and 8th of them
    assert sum(ask.role == "critic" for ask in asked) == 10


@pytest.mark.parametrize("said", ["", "hm", "<score>high</score>", "<score>95</score>", "<critique>No.</critique>"])
def test_a_score_that_cannot_be_read_is_unknown_and_says_nothing(said: str) -> None:
    plain, critic = Task(PROBLEM, BRIEF), Task(PROBLEM, BRIEF)
    game(plain, lambda n: GOOD)
    _, asked = game(critic, lambda n: said)
    assert [node.content for node in main(critic)] == [node.content for node in main(plain)]
    assert not any(node.visits or node.value for node in critic.tree.nodes)
    assert sum(ask.role == "critic" for ask in asked) == 3  # and who cannot be understood is asked no more


def test_one_readable_score_keeps_the_critic_in_the_game() -> None:
    _, asked = game(Task(PROBLEM, BRIEF), lambda n: GOOD if n % 3 == 2 else "hm", Critic(max_turns=20))
    assert sum(ask.role == "critic" for ask in asked) == 19


def test_a_low_score_without_a_critique_changes_nothing() -> None:
    plain, silent = Task(PROBLEM, BRIEF), Task(PROBLEM, BRIEF)
    game(plain, lambda n: GOOD)
    game(silent, lambda n: "<critique> </critique><score>-5</score>")
    assert [node.content for node in main(silent)] == [node.content for node in main(plain)]


def test_the_critic_reads_the_last_step_or_a_drawn_stretch_of_the_history() -> None:
    def read(task: Task, strategy: Critic) -> list[list[str]]:
        _, asked = game(task, lambda n: GOOD, strategy)
        texts = [ask.node.content for ask in asked if ask.role == "critic"]
        return [[f"Step {n}." for n in range(40) if f"Step {n}.\n" in text] for text in texts]

    last = read(Task(PROBLEM, FULL), Critic(max_turns=6))
    assert last == [[f"Step {n}."] for n in range(5)]
    drawn = read(Task(PROBLEM, FULL), Critic(max_turns=40, window=3))
    assert [len(steps) for steps in drawn[:4]] == [1, 2, 3, 3]
    starts = [int(steps[0][5:-1]) for steps in drawn]
    assert all(
        steps == [f"Step {n}." for n in range(at, at + len(steps))] for at, steps in zip(starts, drawn, strict=True)
    )
    assert len(set(starts)) > 10  # all over the history
    assert read(Task(PROBLEM, FULL), Critic(max_turns=40, window=3)) == drawn
    assert read(Task(PROBLEM, FULL, sample=1), Critic(max_turns=40, window=3)) != drawn


def test_the_critic_never_sees_the_known_answer_and_its_talk_never_enters_the_game() -> None:
    secret = PROBLEM.model_copy(update={"answer": "four score and seven"})
    task = Task(secret, FULL)
    _, asked = game(task, lambda n: BAD, Critic(max_turns=6, window=4))
    for ask in asked:
        text = "\n".join(message.content for message in ask.node.messages)
        assert secret.answer not in text
        assert {node.channel for node in ask.node.path()} == {"main" if ask.role == "solver" else "critic"}
        assert ("<score>" in text) == (ask.role == "critic")
    replies = [node for node in main(task) if node.reply]
    for before, after in itertools.pairwise(replies):
        assert after.messages[: len(before.messages)] == before.messages


def test_more_turns_go_on_with_what_was_asked_before() -> None:
    few, many = Task(PROBLEM, FULL), Task(PROBLEM, FULL)
    game(few, lambda n: BAD, Critic(max_turns=5, window=2))
    game(many, lambda n: BAD, Critic(max_turns=9, window=2))
    assert [node.content for node in few.tree.nodes] == [
        node.content for node in many.tree.nodes[: len(few.tree.nodes)]
    ]
    assert sum(node.reply is not None for node in few.tree.nodes) == 5 + 4


def test_refusals_and_replies_cut_again_and_again_end_it() -> None:
    cut = lambda n: Reply(content="and and", finish_reason="length")  # noqa: E731
    answer = play(Critic(), Task(PROBLEM, BRIEF), players(cut, lambda n: GOOD))
    assert (answer.text, answer.stop) == ("", "truncated")
    no = Reply(content="I cannot.", finish_reason="filter")
    assert play(Critic(), Task(PROBLEM, BRIEF), players(lambda n: no, lambda n: GOOD)).stop == "refused"
    silent = play(Critic(max_turns=4), Task(PROBLEM, BRIEF), players(lambda n: "Step.", lambda n: no))
    assert silent.stop == "max_turns"  # a critic who refuses ends nothing


@pytest.mark.parametrize("strategy", [Critic(window=5), Critic(threshold=-5), Critic(max_unknown=1, final_every=0)])
def test_no_sequence_of_replies_makes_any_options_raise_or_loop(strategy: Critic) -> None:
    for seed in range(30):
        random = Random(seed)
        task = Task(PROBLEM, random.choice((FULL, BRIEF)), seed=seed)
        answer = play(strategy, task, hostile(random), order=random)
        assert answer.node.channel == "main"
        assert sum(node.reply is not None for node in main(task)) <= strategy.max_turns


SCORES = {
    "<score>3</score>": 3, "<score> -5 </score>": -5, "<SCORE>+2</SCORE>": 2, "<score>−4</score>": -4,
    "<score>4/5</score>": 4, "<score>2.5</score>": 2.5, "<score>1</score> no: <score>-1</score>": -1, "<score>3": 3,
    "<think><score>5</score></think>hm": None, "<score>6</score>": None, "<score></score>": None, "5": None,
    "<score>nan</score>": None, f"<score>{'9' * 5000}</score>": None, "<score>5 or 4</score>": None, "<score>": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "score"), SCORES.items(), ids=lambda each: str(each)[:30])
def test_scores_are_read_where_a_reader_would_see_one(text: str, score: float | None) -> None:
    assert score_in(text) == score


def test_critiques_are_read_whole_or_cut() -> None:
    assert critique_in("<critique> a\nb </critique><score>1</score>") == "a\nb"
    assert critique_in("<critique>never closed <score>1</score>") == "never closed"
    assert critique_in("<think><critique>x</critique></think>") == ""
    assert critique_in("<critique>x" * 20_000) == "x"


def driven(critic: Callable[[Request], Reply | str]) -> Trace:
    """A trace of two scripted models."""

    def solver(request: Request) -> Reply:
        turn = sum(message.role == "assistant" for message in request.messages)
        text = "<final_answer>3</final_answer>" if turn == 3 else f"Step {turn}."
        return Reply(content=text, reasoning=f"thought {turn}", finish_reason="stop", model="scripted:solver")

    record = Memory()
    models = {
        "solver": Recorded(ScriptedModel(answer=solver, spec="scripted:solver"), record),
        "critic": Recorded(ScriptedModel(answer=critic, spec="scripted:critic"), record),
    }
    setting = Setting(Critic(), FULL, models, Verifiers(), identity="run", longest={"critic": 77})  # type: ignore[arg-type]
    return asyncio.run(drive(setting, PROBLEM))


def test_another_model_criticises_and_the_final_turns_reasoning_is_kept() -> None:
    asked: list[Request] = []

    def critic(request: Request) -> str:
        asked.append(request)
        return BAD

    trace = driven(critic)
    assert (trace.verdict.status, trace.turns) == ("correct", 4)
    assert [turn.model for turn in trace.messages if turn.model] == ["scripted:solver", "scripted:critic"] * 3 + [
        "scripted:solver"
    ]
    assert trace.messages[trace.path[-1]].reasoning == "thought 3"
    assert {trace.messages[index].channel for index in trace.path} == {"main"}
    assert {(request.max_tokens, request.temperature) for request in asked} == {(77, 0.3)}


def test_a_critic_that_cannot_be_reached_ends_the_trace_which_is_then_owed() -> None:
    calls = itertools.count()

    def critic(request: Request) -> str:
        if next(calls) == 0:
            return GOOD
        raise ProviderError("down", provider="scripted", kind="server", status=500)

    trace = driven(critic)
    assert (trace.stop, trace.owed, trace.error.status) == ("error", True, 500)
    assert next(calls) == 2  # asked once more, and not to the cap
