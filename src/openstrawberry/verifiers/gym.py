"""The verifier `gym`: reasoning-gym's own scorer, asked in a process that can be killed.

Only its full score counts as right: many scorers give part marks for an answer that merely contains the solution. The
scorer is rebuilt from what the problem source `gym:` kept in the problem's metadata.
"""

import importlib.util
import json

from openstrawberry.problems.problem import Problem
from openstrawberry.verifiers.verifier import Verdict
from openstrawberry.verifiers.workers import WorkerDied, Workers, WorkerTimeout

MAX_CHARS = 20_000


class Gym:
    """Scores answers to problems that came from `gym:NAME`.

    Args:
        workers: the most processes alive at once.
        deadline_s: seconds one scoring may take.
    """

    def __init__(self, *, workers: int = 2, deadline_s: float = 15.0) -> None:
        self._workers = Workers("gym", size=workers, deadline_s=deadline_s)

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        answer = answer.strip()
        if not answer:
            return Verdict(status="no_answer", verifier="gym")
        if importlib.util.find_spec("reasoning_gym") is None:
            return _unknown("reasoning-gym is not installed; run: pip install 'openstrawberry[gym]'")
        try:
            kept = json.loads(problem.metadata)["gym"]
            task, config, metadata = kept["task"], kept["config"], kept["metadata"]
        except (ValueError, KeyError, TypeError):
            return _unknown("the problem did not come from gym:NAME; use another --verifier")
        if len(answer) > MAX_CHARS:
            return Verdict(status="incorrect", verifier="gym", detail=f"the answer has {len(answer)} characters")
        entry = {"question": problem.question, "answer": problem.answer, "metadata": metadata}
        try:
            status, detail = await self._workers.run(task, config, entry, answer)
        except WorkerTimeout as error:
            return Verdict(status="timeout", verifier="gym", detail=str(error))
        except WorkerDied as error:
            return _unknown(str(error))
        return Verdict.model_validate({"status": status, "verifier": "gym", "detail": detail})

    async def close(self) -> None:
        await self._workers.close()


def _unknown(detail: str) -> Verdict:
    return Verdict(status="unknown", verifier="gym", detail=detail)
