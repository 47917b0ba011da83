"""What stands beside trained weights: `strawberry.json` for programs, `README.md` (a model card) for people."""

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from openstrawberry.wording import counted

CARD = "strawberry.json"
TRAINED_ON = "trained_on.txt"

# What the card says of a model that reasons (False), and of a process reward model (True).
_KINDS = {
    False: ["tags: [strawberry, reasoning, trl]"],
    True: ["pipeline_tag: token-classification", "tags: [strawberry, reasoning, process-reward-model, prm]"],
}
_TITLES = {False: "trained on its own reasoning", True: "as a process reward model"}
_USE = {
    False: "Run it with `strawberry ask --model {spec} QUESTION`, or load the folder with transformers.",
    True: "It scores steps: `strawberry generate --strategy vote --prm {spec}`. With transformers it is a token "
    "classifier: render a conversation with the chat template; the probability of the label `good` at the last token "
    "of each reply (its end mark) is the process reward of that step.",
}


def write(folder: Path, facts: dict[str, Any], problems: set[str]) -> None:
    """Both files, and the ids of every problem that was ever trained on (the base's too)."""
    known = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("openstrawberry", "torch", "transformers", "trl")},
    }
    (folder / CARD).write_text(json.dumps({**facts, **known}, indent=2) + "\n", encoding="utf-8")
    (folder / TRAINED_ON).write_text("".join(f"{each}\n" for each in sorted(problems)), encoding="utf-8")
    (folder / "README.md").write_text(_text({**facts, **known}, len(problems)), encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """`strawberry.json` of a trained folder, or nothing."""
    try:
        found = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def trained_on(folder: Path) -> set[str]:
    """The ids of the problems that went into a model, as far as its folder says."""
    try:
        return set((folder / TRAINED_ON).read_text(encoding="utf-8").split())
    except OSError:
        return set()


def _text(facts: dict[str, Any], problems: int) -> str:
    recipe = {key: value for key, value in facts["recipe"].items() if value not in (None, [], ())}
    lines = [
        "---",
        "library_name: transformers",
        *_KINDS[facts["method"] == "prm"],
        "---",
        "",
        f"# {facts['base']}, {_TITLES[facts['method'] == 'prm']}",
        "",
        f"Trained with [strawberry](https://pypi.org/project/openstrawberry/) from `{facts['base']}` by "
        f"{facts['method']} on {counted(facts['rows'], 'row')} from {counted(problems, 'problem')}: "
        f"{counted(facts['steps'], 'step')} in {facts['seconds']:.0f} s on {facts['device']}.",
        "",
        _USE[facts["method"] == "prm"].format(spec=facts["spec"]),
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in recipe.items()),
        "",
        "| measured in training | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in facts["metrics"].items()),
        "",
        f"Data: sha256 `{facts['data']}`. The ids of the problems are in `{TRAINED_ON}`. Versions: "
        + ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
        + ".",
    ]
    return "\n".join(lines) + "\n"
