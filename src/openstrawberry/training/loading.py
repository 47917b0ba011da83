"""Opening what is to be trained: packages, tokenizer, size; and keeping libraries quiet while it is done."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError
from openstrawberry.training.recipe import SMALL
from openstrawberry.wording import cause


def require_packages() -> None:
    """Raises the sentence that says what to install where the training packages are missing."""
    try:
        import datasets  # noqa: F401
        import peft  # noqa: F401
        import torch  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise SetupError(
            f'Training needs packages that are not installed ({error.name}): run pip install "openstrawberry[train]".'
        ) from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what comes of its retries is said anyway


def tokenizer(place: str, spec: str) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise _unreadable(spec, error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def take_training_template(tokenizer: Any) -> bool:
    """Gives a tokenizer trl's variant of its chat template, which renders a turn alike whatever follows.

    False where trl has none for it.
    """
    from trl.chat_template_utils import get_training_chat_template

    try:
        template = get_training_chat_template(tokenizer)
    except ValueError:  # a template that trl does not know
        return False
    tokenizer.chat_template = template or tokenizer.chat_template
    return template is not None


def sketch(place: str, spec: str, auto: Any, **settings: Any) -> Any:
    """The model without its weights, to count and measure; `auto` is the transformers class that opens its kind."""
    import torch
    from transformers import AutoConfig

    try:
        with torch.device("meta"):
            return auto.from_config(AutoConfig.from_pretrained(place, **settings))
    except (OSError, ValueError) as error:
        raise _unreadable(spec, error) from error


def _unreadable(spec: str, error: Exception) -> SetupError:
    return SetupError(f"{spec} cannot be loaded ({cause(error)}): check the folder or the name after --model.")


def lora_parameters(model: Any, rank: int) -> int:
    import torch

    return sum(
        rank * (part.in_features + part.out_features) for part in model.modules() if isinstance(part, torch.nn.Linear)
    )


def device_batch(parameters: int, method: str) -> int:
    """Rows at a time. For small models on a CPU four sequences are the fastest (larger batches leave its cache)."""
    if parameters < SMALL:
        return 2 if method == "dpo" else 4
    return 4 if parameters < 2_000_000_000 else 1


def context(place: str) -> int:
    """Tokens that the model can read at most."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(place).get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 2**31)


def final_weights(model: Any, best: Path, place: str, lora: bool) -> Any:
    """The weights to keep: the best of the probes where there were any, an adapter merged, in the base's own format."""
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = getattr(AutoConfig.from_pretrained(place), "dtype", None)
    if lora:
        if best.is_dir():
            from peft import set_peft_model_state_dict
            from safetensors.torch import load_file

            set_peft_model_state_dict(model, load_file(best / "adapter_model.safetensors"))
        model = model.merge_and_unload()
    elif best.is_dir():
        model = AutoModelForCausalLM.from_pretrained(best)
    return model if dtype is None else model.to(dtype)


@contextlib.contextmanager
def quietly(log: Path) -> Iterator[None]:
    """Sends what libraries print on the way to a file."""
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # a head that begins anew is no news
    try:
        with log.open("a", encoding="utf-8") as out, contextlib.redirect_stderr(out):
            yield
    finally:
        logging.set_verbosity(level)


@contextlib.contextmanager
def explained(device: str) -> Iterator[None]:
    """Running out of memory as one sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if "out of memory" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        raise SetupError(
            f"Training ran out of memory on this {device}: try --per-device-batch 1, a smaller --max-length, or "
            "--lora 16."
        ) from error
