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


class Rewritten(SetupError):
    """A chat template renders earlier turns differently once later ones follow."""


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
            Rewritten: the template rewrites earlier turns when later ones come, so that what the model read while it
                wrote cannot be rebuilt.
            SetupError: it cannot render these roles.
        """
        text, spans = self._render(messages), []
        for index in _replies(messages, given):
            before = self._render(messages[:index], add_generation_prompt=True)
            whole = self._render(messages[: index + 1])
            if not (text.startswith(before) and text.startswith(whole) and whole.startswith(before)):
                raise self._rewritten(
                    "so multi-turn traces cannot be learnt as they were: make the file with `strawberry select "
                    "--rendering flat`"
                )
            spans.append((len(before), _end(whole)))
        found = self._tokens(text)
        return Encoded(list(found["input_ids"]), _within(found["offset_mapping"], spans))

    def steps(self, messages: Sequence[dict[str, str]], given: int = 0) -> tuple[list[int], list[int]]:
        """Tokens of a whole conversation, and the place of each reply's last token, but for those among the first
        `given` messages. How a reply begins does not matter here: a template may open it as it likes.

        Raises:
            Rewritten: the template rewrites earlier turns, so that a reply is not read as it was when it was the last.
            SetupError: it cannot render these roles.
        """
        text, ends = self._render(messages), []
        for index in _replies(messages, given):
            whole = self._render(messages[: index + 1])
            if not text.startswith(whole):
                raise self._rewritten(
                    "so the steps of a trace cannot be read as they were: choose a model whose template does not, such "
                    "as hf:Qwen/Qwen2.5-0.5B-Instruct"
                )
            ends.append(_end(whole))
        found = self._tokens(text)
        starts = [start for start, _ in found["offset_mapping"]]
        return list(found["input_ids"]), [max(bisect_left(starts, end) - 1, 0) for end in ends]

    def _tokens(self, text: str) -> Any:
        return self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)

    def _rewritten(self, advice: str) -> Rewritten:
        return Rewritten(
            f"The chat template of {self.name} renders earlier turns differently once later ones follow, {advice}, or "
            "put a template that only appends into its folder as `chat_template.jinja`."
        )

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


def _replies(messages: Sequence[dict[str, str]], given: int) -> list[int]:
    """Where the assistant turns stand, but for those among the first `given` messages."""
    return [index for index, message in enumerate(messages) if message["role"] == "assistant" and index >= given]


def _end(rendered: str) -> int:
    """Where the last turn ends: its end mark included, space behind that not."""
    return len(rendered.rstrip())


def _within(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """For each token whether it begins inside one of the spans; both are in ascending order."""
    marks, current = [], 0
    for start, end in offsets:
        while current < len(spans) and start >= spans[current][1]:
            current += 1
        marks.append(current < len(spans) and start >= spans[current][0] and end > start)
    return marks
