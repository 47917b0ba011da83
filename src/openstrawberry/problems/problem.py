"""The record of one problem."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field

from openstrawberry.chat import Text


class Problem(BaseModel):
    """A question with a known answer.

    `verifier` names how an answer is checked. `difficulty` is a free number in the source's own unit (digits, letters,
    level; 0.0 unknown). `source` says where it came from, such as `builtin:demo` or `gsm8k.jsonl`. `metadata` is JSON
    text, so that the column has one type in every file.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    question: Text
    answer: Text
    verifier: str = "exact"
    difficulty: float = 0.0
    source: str = ""
    metadata: str = Field(default="{}")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def id(self) -> str:
        """Content key: hash of question, answer and verifier, so that editing a file never misaligns a resume."""
        text = json.dumps([self.question, self.answer, self.verifier], ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def meta(self) -> dict[str, Any]:
        """`metadata`, parsed."""
        parsed: dict[str, Any] = json.loads(self.metadata)
        return parsed
