"""Loads the prompt texts: one YAML file per strategy, in `prompts/` of the repository and inside the wheel.

A file holds one or more *sets* (`full` for large models, `brief` for small ones). A user's own folder
(`--prompts DIR`) overrides files by name. The digest of the texts used is part of a run's identity.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from openstrawberry.errors import SetupError, UsageError
from openstrawberry.wording import cause

_PACKAGE = Path(__file__).parent
_SHIPPED = (_PACKAGE / "prompt_texts", _PACKAGE.parent.parent / "prompts")  # inside the wheel; in a checkout


@dataclass(frozen=True)
class PromptSet:
    """One set of one file: entries by name, each a list of interchangeable wordings or free data.

    `others`: the sets of the strategies that work for this one, by strategy.
    """

    name: str
    entries: Mapping[str, Any]
    others: Mapping[str, "PromptSet"] = field(default_factory=dict)

    def pool(self, entry: str) -> list[str]:
        """The wordings of `entry`.

        Raises:
            SetupError: the set has no such entry, or it is not text or a list of texts.
        """
        found = self.entries.get(entry)
        wordings = [found] if isinstance(found, str) else found
        if not isinstance(wordings, list) or not wordings or not all(isinstance(text, str) for text in wordings):
            raise SetupError(
                f"The prompt set {self.name} has no texts under {entry!r}: add them to its YAML file, "
                "or leave out --prompts to use the shipped one."
            )
        return wordings

    def text(self, entry: str) -> str:
        """The first wording of `entry`."""
        return self.pool(entry)[0]

    def within(self, strategy: str) -> "PromptSet":
        """The set of a strategy that works for this one, as that strategy sees it."""
        return replace(self.others[strategy], others=self.others)

    @property
    def digest(self) -> str:
        """Hash of all texts and data in the set, and in those of the strategies that work for this one."""
        said = [self.entries, *([{name: each.digest for name, each in self.others.items()}] if self.others else [])]
        return hashlib.sha256("".join(json.dumps(each, sort_keys=True) for each in said).encode()).hexdigest()[:16]


def filled(text: str, **parts: str) -> str:
    """`text` with each `{name}` replaced by its part, in one pass: what stands in a part is never filled in itself."""
    return re.sub(r"\{(\w+)\}", lambda place: parts.get(place[1], place[0]), text)


def load_prompts(strategy: str, set_name: str, folder: Path | None = None, uses: Iterable[str] = ()) -> PromptSet:
    """Read the set `set_name` of `strategy` from `folder`, else from the shipped texts.

    `uses`: strategies that work for this one, whose sets are wanted too.

    Raises:
        SetupError: no such file or set, or the file is not YAML.
    """
    if folder is not None and not any(folder.glob("*.yaml")):
        raise SetupError(f"There are no prompts in {folder}: name a folder that holds {strategy}.yaml with --prompts.")
    for home in (folder, *_SHIPPED):
        if home is not None and (path := home / f"{strategy}.yaml").is_file():
            return replace(_read(path, set_name), others={name: load_prompts(name, set_name, folder) for name in uses})
    raise SetupError(
        f"There are no prompts for the strategy {strategy!r}: put a {strategy}.yaml into the --prompts folder."
    )


def _read(path: Path, set_name: str) -> PromptSet:
    try:
        sets = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SetupError(f"The prompt file {path} cannot be read ({cause(error)}): fix it and run again.") from error
    if not isinstance(sets, dict) or not isinstance(sets.get(set_name), dict):
        known = ", ".join(sorted(map(str, sets))) if isinstance(sets, dict) else "none"
        raise UsageError(f"The prompt file {path} has no set {set_name!r}: choose one of {known} with --prompt-set.")
    return PromptSet(f"{path.stem}/{set_name}", sets[set_name])
