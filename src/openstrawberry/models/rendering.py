"""From messages to tokens: what the model reads, and which of it the model itself wrote.

Only what a model wrote may be learnt. User turns, system prompts and everything that a strategy put in are context: a
model that is trained on them learns to ask the questions. Which characters belong to an assistant turn is found by
rendering the chat template turn by turn, so any template that only appends works, with or without `{% generation %}`.

Trainings read with it, and so does a process reward model when it scores: both must see the same tokens.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openstrawberry.errors import SetupError


@dataclass(frozen=True)
class Encoded:
    """One conversation in tokens: `ids`, and for each whether the model is to learn it."""

    ids: list[int]
    learn: list[bool]

    def __len__(self) -> int:
        return len(self.ids)

    def after(self, count: int) -> "Encoded":
        """Without the first `count` tokens."""
        return Encoded(self.ids[count:], self.learn[count:])

    @property
    def learnt(self) -> int:
        """How many tokens are learnt."""
        return sum(self.learn)


class Renderer:
    """Renders conversations with a tokenizer's own chat template.

    Raises:
        SetupError: the tokenizer has no chat template, or cannot say which characters a token covers.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise SetupError(
                f"{name} has no chat template: choose the instruct version of the model, or put a "
                "`chat_template.jinja` into its folder."
            )
        if not tokenizer.is_fast:
            raise SetupError(f"{name} has only a slow tokenizer: choose a model with a tokenizer.json.")
        self.name = name
        self.tokenizer = tokenizer

    def encode(self, messages: Sequence[dict[str, str]], given: int = 0) -> Encoded:
        """Tokens of a whole conversation, assistant turns marked as learnt, but for those among the first `given`.

        Raises:
            SetupError: the template rewrites earlier turns when later ones come, so that what the model read while it
                wrote cannot be rebuilt.
        """
        text = self._render(messages)
        spans = self._spans(messages, text, given)
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return Encoded(list(found["input_ids"]), _within(found["offset_mapping"], spans))

    def steps(self, messages: Sequence[dict[str, str]], given: int = 0) -> tuple[list[int], list[int]]:
        """Tokens of a whole conversation, and the place of each reply's last token, but for those among the first
        `given` messages.

        Raises:
            SetupError: as `encode`.
        """
        text = self._render(messages)
        spans = self._spans(messages, text, given)
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        starts = [start for start, _ in found["offset_mapping"]]
        return list(found["input_ids"]), [max(bisect_left(starts, end) - 1, 0) for _, end in spans]

    def _spans(self, messages: Sequence[dict[str, str]], text: str, given: int) -> list[tuple[int, int]]:
        """Where in `text` each assistant turn begins and ends: its end mark included, space behind that not."""
        spans = []
        for index, message in enumerate(messages):
            if message["role"] == "assistant" and index >= given:
                before = self._render(messages[:index], add_generation_prompt=True)
                whole = self._render(messages[: index + 1])
                if not (text.startswith(before) and text.startswith(whole) and whole.startswith(before)):
                    raise SetupError(
                        f"The chat template of {self.name} renders earlier turns differently once later ones follow, "
                        "so multi-turn traces cannot be learnt as they were: make the file with `strawberry select "
                        "--rendering flat`, or use a template that only appends."
                    )
                spans.append((len(before), len(whole.rstrip())))
        return spans

    def _render(self, messages: Sequence[dict[str, str]], add_generation_prompt: bool = False) -> str:
        from jinja2.exceptions import TemplateError

        try:
            text: str = self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
            )
        except TemplateError as error:  # such as a template that knows no system turn
            raise SetupError(
                f"The chat template of {self.name} cannot render these traces ({error}): choose another model, or make "
                "traces whose prompts have only the roles that it knows (--prompts)."
            ) from error
        return text


def _within(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """For each token whether it begins inside one of the spans; both are in ascending order."""
    marks, current = [], 0
    for start, end in offsets:
        while current < len(spans) and start >= spans[current][1]:
            current += 1
        marks.append(current < len(spans) and start >= spans[current][0] and end > start)
    return marks
