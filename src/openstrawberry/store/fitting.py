"""Whether a command can go on with what is in a folder; what differs is told in the words of the command line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openstrawberry.errors import SetupError

_ASKED = {  # others are called as in the identity
    "prompts": "prompt_set",
    "prompt_digest": "prompts",
    "options": "set",
    "critic": "critic_model",
    "judge": "judge_model",
}
_OPTION_FLAGS = ("max_turns", "final_every", "temperature")  # the strategy's options that have a flag of their own
_TEXTS = {
    "prompt_digest": "the texts of the prompts",
    "weights": "the weights of the model",
    "critic_weights": "the weights of the critic",
    "judge_weights": "the weights of the judge",
}
_DECIDING = ("model", "strategy")  # the defaults of the rest follow from them


def refuse_foreign(path: Path) -> None:
    """Raises SetupError where `path` is there and no run: neither one that holds anything nor one that was begun."""
    if path.exists() and not (path / "run.json").exists() and (not path.is_dir() or _foreign(path)):
        raise SetupError(f"{path} exists and is no run directory: choose another with --out.")


def refuse_run(path: Path) -> None:
    """Raises SetupError where `path` holds a run, of which --fresh wants nothing."""
    if (path / "run.json").exists():
        raise SetupError(
            f"{path} holds a run already, and --fresh asks for a new one: "
            "choose another folder with --out, or leave out --fresh to go on with this one."
        )


def refuse_other(path: Path, run: Mapping[str, Any], identity: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raises SetupError where the run at `path` cannot be continued with these settings; `run` is its `run.json`."""
    changes = differences(run, plain(identity), config)
    if changes:
        raise SetupError(
            f"{path} holds a run with other settings ({', '.join(changes)}): give the old ones again, or give this run "
            "a folder of its own with --out."
        )


def covers(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether a command asks for at least what an earlier one asked for: same problems, no fewer samples or rows.

    One that stops sampling decided problems asks for less than one that does not.
    """
    unlimited = float("inf")
    return (
        new.get("problems") == old.get("problems")
        and bool(new.get("until_decided")) <= bool(old.get("until_decided"))
        and (new.get("samples") or 0) >= (old.get("samples") or 0)
        and (new.get("limit") or unlimited) >= (old.get("limit") or unlimited)
    )


def differences(run: Mapping[str, Any], identity: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """`--seed 0 -> 5` for each setting that a continuation must share and does not; `run` is an earlier `run.json`.

    What nobody asked for, and is different only because the model or the strategy is, goes without saying.
    """
    theirs, before = run.get("identity", {}), run.get("config", {})
    keys = [*_DECIDING, *sorted((set(theirs) | set(identity)) - set(_DECIDING))]
    changed = [key for key in keys if theirs.get(key) != identity.get(key)]
    decided = any(key in changed for key in _DECIDING)
    told: dict[str, str] = {}
    for key in changed:
        asked = _ASKED.get(key, key)
        follows = decided and key not in _DECIDING and before.get(asked) == config.get(asked)
        if follows or (key == "prompt_digest" and "prompts" in changed):
            continue
        if key in _TEXTS:
            told[key] = _TEXTS[key]
        elif key == "options":
            told.update(_options(theirs.get(key) or {}, identity.get(key) or {}))
        else:
            old, new = (_shown(each.get(key)) for each in (theirs, identity))
            if key == "prompts":  # a set is called strategy/set
                old, new = (each.rpartition("/")[2] for each in (old, new))
            told[key] = f"{_flag(asked)} {old} -> {new}"
    return list(told.values())


def plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity as it comes back from a file."""
    found: dict[str, Any] = json.loads(json.dumps(identity))
    return found


def _options(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """The options of a strategy, each as it is given: by its flag, or with `--set`."""
    told = {}
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            flag = f"{_flag(name)} " if name in _OPTION_FLAGS else f"--set {name}="
            told[name] = f"{flag}{_shown(old.get(name))} -> {_shown(new.get(name))}"
    return told


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(value: object) -> str:
    if value is None:
        return "unset"
    text = value if isinstance(value, str) and value and not set(value) & set(" \n") else json.dumps(value)
    return text if len(text) <= 60 else "…" + text[-59:]  # names and paths differ at their ends


def _foreign(path: Path) -> bool:
    """Whether a folder holds anything but what a command that was killed at its start leaves."""
    return any(file.name not in ("run.lock", "run.tmp") for file in path.iterdir())
