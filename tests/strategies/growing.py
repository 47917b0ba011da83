"""A small world for searches: a walk of digits, some of which are wrong turns.

Every reply appends one digit to the walk. A walk that follows `RIGHT` is good, any other step is bad; after five steps
it answers: right on the good walk, and on any other the number that was walked, so that few wrong ones agree.
"""

from openstrawberry.chat import Reply, Request
from openstrawberry.strategies.strategy import Ask
from openstrawberry.trace import Node

RIGHT = "31415"


def steps(node: Node) -> str:
    """The digits of the path to `node`."""
    return "".join(each.content[0] for each in node.path() if each.role == "assistant")


def reply(walked: str, draw: int) -> str:
    """The next step after `walked`: the right one in two draws of three, and the answer with the fifth."""
    right = RIGHT[len(walked) % 5]
    digit = right if draw % 3 != 1 else str((int(right) + 5) % 10)
    done = len(walked) + 1 >= 5
    answer = "3" if (walked + digit)[:5] == RIGHT else walked + digit
    return f"{digit} is next." + (f" <final_answer>{answer}</final_answer>" if done else "")


class World:
    """Answers by hand; the n-th ask after equal conversations is draw n."""

    def __init__(self) -> None:
        self.draws: dict[str, int] = {}

    def __call__(self, ask: Ask) -> str:
        draw = self.draws[ask.node.chain] = self.draws.get(ask.node.chain, -1) + 1
        if ask.role == "judge":
            walked = "".join(line[4] for line in ask.node.content.splitlines() if line.startswith("["))
            return f'{{"reason": "r", "score": {10 * share(walked):.1f}}}'
        return reply(steps(ask.node), draw)


def share(walked: str) -> float:
    """How far a walk keeps to the right way, from 0 to 1."""
    good = next((at for at, digit in enumerate(walked) if digit != RIGHT[at % 5]), len(walked))
    return good / max(1, len(walked))


def score(node: Node) -> float:
    """A process reward that knows."""
    return share(steps(node))


def by_seed(request: Request) -> Reply:
    """The same world behind a model: the seed decides the draw."""
    walked = "".join(message.content[0] for message in request.messages if message.role == "assistant")
    return Reply(content=reply(walked, request.seed or 0), finish_reason="stop", model="m", logprobs=(-0.1, 0.0))
