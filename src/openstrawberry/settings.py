"""The only reader of the environment and of `.env`.

What the environment sets wins over `.env`, which is looked for in the working directory and then upwards. Nothing here
prints a value: keys are secrets.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values, find_dotenv

from openstrawberry.errors import SetupError
from openstrawberry.wording import cause


class Settings:
    """Environment variables by name; an empty value counts as unset."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: value.strip() for name, value in values.items() if value and value.strip()}

    @classmethod
    def load(cls, folder: Path | None = None) -> "Settings":
        """Read `.env` (from `folder`, or the nearest one above the working directory) and the environment over it."""
        path = str(folder / ".env") if folder else find_dotenv(usecwd=True)
        try:
            filed = dotenv_values(path) if path else {}
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"The file {path} cannot be read ({cause(error)}): fix or remove it.") from error
        merged = {name: value for name, value in filed.items() if value is not None}
        return cls({**merged, **os.environ})

    def over(self, values: Mapping[str, str]) -> "Settings":
        """These settings with `values` laid over them, in memory only."""
        return Settings({**self._values, **values})

    def first(self, *names: str) -> str:
        """The value of the first of `names` that is set, or an empty string."""
        return next((self._values[name] for name in names if name in self._values), "")

    def names(self, variable: str, provider: str = "") -> tuple[str, ...]:
        """A list of model names from one variable; a `provider:` prefix on a name is dropped.

        Accepts `a`, `a, b`, `[a, b]`, `["a", "b"]`, quoted or not.

        Raises:
            SetupError: brackets or quotes do not match, or a name is empty or has a space in it.
        """
        text = self.first(variable)
        names = _parse_list(text) if text else []
        if names is None:
            raise SetupError(
                f"{variable} holds a model list that cannot be read: {text!r}. "
                f'Write it as {variable}="[first-model, second-model]".'
            )
        return tuple(name.removeprefix(f"{provider}:") for name in names)

    def keys(self, variable: str) -> tuple[str, ...]:
        """The keys in one variable: one, or several in the same syntax as `names`; none where it is unset.

        Raises:
            SetupError: a list that cannot be read, or the same key twice; the value is not shown.
        """
        text = self.first(variable)
        if not set(text) & set("[],"):
            return (text,) if text else ()
        keys = _parse_list(text)
        if keys is None or len(set(keys)) < len(keys):
            wrong = "a list of keys that cannot be read" if keys is None else "the same key twice"
            raise SetupError(f'{variable} holds {wrong}. Write it as {variable}="[first-key, second-key]".')
        return tuple(keys)


def _parse_list(text: str) -> list[str] | None:
    """The items of a list however it is written, None where brackets, quotes or items make no sense."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, list) and all(isinstance(name, str) and name.strip() for name in parsed):
        return [name.strip() for name in parsed]
    inner = text
    if inner[:1] == "[" or inner[-1:] == "]":
        inner = inner[1:-1] if inner[0] == "[" and inner[-1] == "]" else "\0"
    names = [_unquote(name.strip()) for name in inner.split(",") if name.strip()]
    good = names and not any(not name or set(name) & set(" \t\0\"'[]{}") for name in names)
    return names if good else None


def _unquote(name: str) -> str:
    return name[1:-1].strip() if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name
