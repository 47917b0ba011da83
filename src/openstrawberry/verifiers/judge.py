"""The verifier `judge`: a language model decides, by a rubric, whether an answer is right.

It is asked twice, with the known answer and the given one in both orders, and not told which is which: judges prefer a
place, mostly the first (Wang et al. 2023, "Large Language Models are not Fair Evaluators"; Zheng et al. 2023, "Judging
LLM-as-a-Judge"). Where the two replies disagree, or one cannot be read, the verdict is `unknown`. A problem without a
known answer is judged against the rubric alone, with the two possible verdicts named in both orders, and `detail` says
so. The rubric and all that is said stand in `prompts/judge.yaml`.

What always holds: no answer, however it is written, makes it raise. A call that fails raises, as the verdict is then
owed. Equal answers to one problem are equal requests, so that a run's record has to pay for one of them only.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from openstrawberry.chat import Message, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.model import Model, without_address
from openstrawberry.models.replies import reply_key
from openstrawberry.problems.problem import Problem
from openstrawberry.prompts import PromptSet, filled
from openstrawberry.verifiers.exact import known_answers
from openstrawberry.verifiers.extract import without_thoughts
from openstrawberry.verifiers.verifier import Verdict

MAX_CHARS = 20_000
"""Answers longer than this are not shown to the judge: nobody can tell what stands in them."""

MAX_TOKENS = 4096
_TAG = re.compile(r"<(?=\s*+/?\s*+(?:question|answer|verdict)\b)", re.IGNORECASE)
_VERDICT = re.compile(r"<verdict>[\s*_]*(right|wrong)[\s*_.]*(?:</verdict>|\Z)", re.IGNORECASE)


class Judge:
    """Asks `model`, which belongs to whoever made it: it is not closed here.

    Args:
        prompts: the set of `prompts/judge.yaml`.
        max_tokens: of a reply, a reasoning model's thoughts included.
    """

    def __init__(self, model: Model, prompts: PromptSet, max_tokens: int = MAX_TOKENS) -> None:
        self._model = model
        self._prompts = prompts
        self._max_tokens = max_tokens

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        """The verdict on `answer`.

        Raises:
            ProviderError: a call failed.
        """
        answer = answer.strip()
        if not answer:
            return Verdict(status="no_answer", verifier="judge")
        if len(answer) > MAX_CHARS:
            return _unknown(f"the answer has {len(answer):,} characters")
        asked = (self._ask(problem, messages) for messages in conversations(self._prompts, problem, answer))
        replies = await asyncio.gather(*asked, return_exceptions=True)  # to their ends: what is paid for is recorded
        for reply in replies:
            if (
                isinstance(reply, ProviderError) and reply.kind == "context"
            ):  # too long for this judge, tomorrow as well
                return _unknown("question and answers do not fit the judge's context")
            if isinstance(reply, BaseException):
                raise reply
        said = [verdict_in(str(text)) for text in replies]
        if None in said:
            return _unknown("no verdict can be read in a reply of the judge")
        if len(set(said)) > 1:
            return _unknown("the judge decides otherwise when the order is swapped")
        alone = "" if problem.answer.strip() else "no known answer: judged against the rubric alone"
        return Verdict(status="correct" if said[0] == "right" else "incorrect", verifier="judge", detail=alone)

    async def close(self) -> None:
        """Nothing to end: the model is not ours."""

    async def _ask(self, problem: Problem, messages: tuple[Message, ...]) -> str:
        chain = hashlib.sha256(repr([(each.role, each.content) for each in messages]).encode("utf-8", "replace"))
        request = Request(
            messages,
            temperature=0.0,
            max_tokens=self._max_tokens,
            seed=int(chain.hexdigest()[:8], 16) >> 1,
            cache_key=f"judge-{problem.id}",
        )
        key = reply_key(without_address(self._model.spec), "judge", request, chain.hexdigest(), 0, 0)
        reply = await self._model.complete(replace(request, key=key))
        return "" if reply.finish_reason == "length" else reply.content  # it was still thinking


def conversations(prompts: PromptSet, problem: Problem, answer: str) -> list[tuple[Message, ...]]:
    """What the judge is asked, in both orders."""
    known = [text for text in known_answers(problem) if text.strip()]
    if known:
        entry, sides = "compare", (" or ".join(known), answer)
    else:
        entry, sides = "alone", ("right", "wrong")
    orders: Sequence[tuple[str, str]] = (sides, sides[::-1])
    system = Message(role="system", content=prompts.text("system"))
    shown = {"question": _shown(problem.question), "answer": _shown(answer)}
    asked = (
        filled(prompts.text(entry), **shown, first=_shown(first), second=_shown(second)) for first, second in orders
    )
    return [(system, Message(role="user", content=text)) for text in asked]


def _shown(text: str) -> str:
    """`text` without tags like those of the prompt: an answer cannot end its own tag and go on as somebody else."""
    return _TAG.sub("‹", text)


def verdict_in(text: str) -> Literal["right", "wrong"] | None:
    """The last `<verdict>` of a reply, None where there is none that can be read."""
    found = _VERDICT.findall(without_thoughts(text))
    return None if not found else "right" if found[-1].lower() == "right" else "wrong"


def _unknown(detail: str) -> Verdict:
    return Verdict(status="unknown", verifier="judge", detail=detail)
