"""A process reward model in process: what it says, how little it reads for it, and what is refused."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.prm import RewardModel, open_reward
from openstrawberry.models.providers.berry import MODEL
from openstrawberry.trace import Node, Tree

torch = pytest.importorskip("torch", reason="the extra [hf] is not installed")
transformers = pytest.importorskip("transformers", reason="the extra [hf] is not installed")
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model's weights, with a random head for two labels."""
    home: Path = tmp_path_factory.mktemp("prm")
    torch.manual_seed(0)
    model = transformers.AutoModelForTokenClassification.from_pretrained(
        MODEL, num_labels=2, id2label={0: "good", 1: "bad"}, label2id={"good": 0, "bad": 1}
    )
    model.save_pretrained(home)
    transformers.AutoTokenizer.from_pretrained(MODEL).save_pretrained(home)
    return home


class Counting(RewardModel):
    """Notes what is read: per pass the number of conversations."""

    def __init__(self, found: RewardModel) -> None:
        self.__dict__.update(found.__dict__)
        self.passes: list[int] = []

    def _score(self, paths: Any) -> Any:
        self.passes.append(len(paths))
        return super()._score(paths)


def counting(folder: Path) -> Counting:
    return Counting(open_reward(f"prm:{folder}"))


def grown(tree: Tree, node: Node | None, *replies: str) -> list[Node]:
    """A conversation that goes on from `node`: its replies' nodes."""
    found = []
    for reply in replies:
        asked = tree.add("user", "Next step?" if node else "What is 48 + 67?", node)
        node = tree.add("assistant", reply, asked)
        found.append(node)
    return found


def test_the_score_is_the_probability_of_good_at_the_last_token_of_the_reply(folder: Path) -> None:
    *_, last = grown(Tree(), None, "Left 48+67, carry 0, got nothing", "8+7+0=15. Left 4+6, carry 1, got 5")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    talk = [{"role": node.role, "content": node.content} for node in last.path()]
    ids = tokenizer(tokenizer.apply_chat_template(talk, tokenize=False), add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids[-1:]) == "<|end|>"
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        by_hand = model(torch.tensor([ids])).logits[0, -1].softmax(-1)[0].item()  # label 0 is "good" here
    assert asyncio.run(open_reward(f"prm:{folder}")(last)) == pytest.approx(by_hand, abs=2e-6)


def test_one_pass_scores_every_step_and_no_step_is_read_twice(folder: Path) -> None:
    scorer = counting(folder)
    tree = Tree()
    steps = grown(tree, None, "One.", "Two.", "Three.")
    branch = grown(tree, steps[0], "Two b.")[0]

    async def play() -> list[float]:
        together = await asyncio.gather(*(scorer(node) for node in (*steps, branch)))
        again = await asyncio.gather(*(scorer(node) for node in (*steps, branch)))
        assert together == again
        return together

    found = asyncio.run(play())
    assert scorer.passes == [2]  # the longest conversation of each branch, in one pass
    alone = [asyncio.run(open_reward(f"prm:{folder}")(node)) for node in (*steps, branch)]
    assert found == pytest.approx(alone, abs=5e-6)  # padding and company change nothing
    assert len(set(found)) == 4


def test_requests_of_many_traces_go_together(folder: Path) -> None:
    scorer = counting(folder)
    tails = [grown(Tree(), None, "One.", f"Left {number}+{number}")[-1] for number in range(20)]

    async def play() -> None:
        await asyncio.gather(*(scorer(node) for node in tails))

    asyncio.run(play())
    assert scorer.passes == [16, 4]


def test_a_user_turn_has_the_score_of_the_reply_before_it(folder: Path) -> None:
    scorer = open_reward(f"prm:{folder}")
    tree = Tree()
    (step,) = grown(tree, None, "One.")
    asked = tree.add("user", "Are you sure?", step)
    assert asyncio.run(scorer(asked)) == asyncio.run(scorer(step))
    with pytest.raises(ValueError, match="no process reward"):
        asyncio.run(scorer(tree.nodes[0]))


def test_a_cancelled_request_leaves_the_others_their_scores(folder: Path) -> None:
    scorer = counting(folder)
    tails = [grown(Tree(), None, f"Left {number}+1")[-1] for number in range(4)]

    async def play() -> list[float]:
        tasks = [asyncio.create_task(scorer(node)) for node in tails]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[2].cancel()
        return [await tasks[1], await tasks[3]]

    assert all(0 <= score <= 1 for score in asyncio.run(play()))


def test_what_is_too_long_costs_its_own_trace_and_no_other(folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    shutil.copytree(folder, small)
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 40}))
    scorer = open_reward(f"prm:{small}")
    long = grown(Tree(), None, "One.", "Left 1234567+1234567, carry 0, got nothing" * 3)
    short = grown(Tree(), None, "Left 1+1")[-1]

    async def play() -> list[Any]:
        return await asyncio.gather(scorer(short), scorer(long[1]), scorer(long[0]), return_exceptions=True)

    good, bad, beginning = asyncio.run(play())
    assert 0 <= good <= 1
    assert 0 <= beginning <= 1
    assert isinstance(bad, ProviderError)
    assert bad.kind == "context"
    assert "Lower --max-turns" in str(bad)


def test_other_weights_have_another_fingerprint(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    same = open_reward(f"prm:{other}").fingerprint
    assert same == open_reward(f"prm:{folder}").fingerprint
    model = transformers.AutoModelForTokenClassification.from_pretrained(other)
    with torch.no_grad():
        model.score.bias += 1e-3
    model.save_pretrained(other)
    assert open_reward(f"prm:{other}").fingerprint != same


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (f"prm:{MODEL}", r"no process reward model \(MistralForCausalLM\): train one with `strawberry train-prm"),
        ("prm:", "write it as --prm prm:PATH"),
        ("berry", "write it as --prm prm:PATH"),
        ("prm:/nowhere/at/all", "check the folder or the name after prm:"),
    ],
)
def test_what_is_no_process_reward_model_is_one_sentence(spec: str, told: str) -> None:
    with pytest.raises(SetupError, match=told):
        open_reward(spec)
