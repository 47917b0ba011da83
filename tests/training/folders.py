"""Model folders for trainings."""

from pathlib import Path

import trl
from transformers import AutoModelForCausalLM, AutoTokenizer

from openstrawberry.models.providers.berry import MODEL

QWEN3 = (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text(encoding="utf-8")
"""Qwen3's own template: only the last reply opens with a thought, which is empty unless the reply holds one."""

LIKE_QWEN3 = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}"
    "{% if m['role'] == 'assistant' and loop.last %}{{ '<think></think>' }}{% endif %}"
    "{{ m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""One that does the same, and that nobody knows."""


def with_template(folder: Path, template: str) -> str:
    """The spec of the embedded model's weights with another chat template."""
    AutoModelForCausalLM.from_pretrained(MODEL).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return f"hf:{folder}"
