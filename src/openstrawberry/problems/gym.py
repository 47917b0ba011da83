"""The problem source `gym:NAME?size=..&level=..&key=..`: the generators of reasoning-gym.

`size` is how many problems to make, `seed` which ones, `level` how far up the task's curriculum (0 the easiest), and
every other key is one of the task's own settings. What always holds:

- The metadata of each problem keeps what the verifier `gym` needs to rebuild the task's scorer, exactly (`encode` and
  `decode` carry tuples and number keys through JSON).
- A task whose scorer cannot tell right from wrong is refused: no stored answer, an own answer below full score, or full
  score for nonsense.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from openstrawberry.errors import SetupError, UsageError
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.source import Request, dump, split_query, whole_number
from openstrawberry.registry import unknown

_OWN_KEYS = ("size", "seed", "level")
_UNUSABLE = ("composite",)  # needs other tasks as its settings


def gym_problems(request: Request) -> Iterator[Problem]:
    """The problems of one task, made one at a time.

    Raises:
        SetupError: reasoning-gym is missing, or the task, a key or a value does not exist, or the task is refused.
    """
    try:
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise SetupError(
            "Problems from gym: need reasoning-gym; install it with: pip install 'openstrawberry[gym]'"
        ) from error
    task, query = split_query(request.place, "gym")
    tasks = sorted(set(DATASETS) - set(_UNUSABLE))
    if task not in tasks:
        near = unknown("reasoning-gym task", task, tasks) if task else f"Name a reasoning-gym task: {', '.join(tasks)}."
        raise UsageError(near)
    size = whole_number(query, "size", request.limit or 100)
    seed = whole_number(query, "seed", request.seed, least=0)
    config = dict(sorted({**query, "size": str(size), "seed": str(seed)}.items()))
    dataset = open_task(task, config)
    _refuse_blind_scorer(task, dataset)
    for index in range(size):
        entry = dataset[index]
        if not isinstance(entry.get("answer"), str):
            raise SetupError(f"The task gym:{task} keeps no known answer, so nothing can be checked: use another task.")
        kept = {"task": task, "config": config, "metadata": encode(entry["metadata"])}
        yield Problem(
            question=entry["question"],
            answer=entry["answer"],
            verifier="gym",
            difficulty=float(query.get("level", 0)),
            source=f"gym:{task}",
            metadata=dump({"gym": kept}),
        )


def open_task(task: str, config: Mapping[str, str]) -> Any:
    """The generator of a task with the keys of `gym:NAME?key=value`; its scorer comes with it.

    Raises:
        SetupError: a key or a value does not exist.
    """
    from reasoning_gym.factory import CURRICULA, DATASETS, create_dataset

    settings = _settings(task, config, DATASETS[task][1], CURRICULA.get(task))
    size, seed = whole_number(config, "size", 100), whole_number(config, "seed", 0, least=0)
    try:
        return create_dataset(task, **settings, size=size, seed=seed)
    except (AssertionError, TypeError, ValueError) as error:
        raise UsageError(f"The task gym:{task} refuses its settings ({error}): change or drop a key.") from error


def _settings(task: str, query: Mapping[str, str], config_class: Any, curriculum: Any) -> dict[str, Any]:
    known = [name for name in config_class.__dataclass_fields__ if name not in ("size", "seed")]
    settings: dict[str, Any] = {}
    if "level" in query:
        level = whole_number(query, "level", 0, least=0)
        if curriculum is None:
            raise UsageError(f"The task gym:{task} has no levels: drop level=, or set one of {', '.join(known)}.")
        steps = curriculum()
        steps.set_global_level(level)
        config = steps.generate_configuration()
        settings = {name: getattr(config, name) for name in known}
    for key, text in query.items():
        if key in _OWN_KEYS:
            continue
        if key not in known:
            raise UsageError(unknown(f"setting of gym:{task}", key, [*_OWN_KEYS, *known]))
        settings[key] = _like(text, getattr(config_class, key, None))
    return settings


def _like(text: str, default: object) -> object:
    """`text` as a value of the kind that the setting has: a number, yes or no, a list, or text."""
    if text.lower() in ("true", "false") and not isinstance(default, str):
        return text.lower() == "true"
    if "," in text and not isinstance(default, str):
        return tuple(_like(part.strip(), None) for part in text.split(",") if part.strip())
    if not isinstance(default, str):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _refuse_blind_scorer(task: str, dataset: Any) -> None:
    entry = dataset[0]
    if not isinstance(entry.get("answer"), str):
        raise SetupError(f"The task gym:{task} keeps no known answer, so nothing can be checked: use another task.")
    if dataset.score_answer(entry["answer"].strip(), entry) != 1.0:
        raise SetupError(
            f"The scorer of gym:{task} does not accept its own answer: use another task or other settings."
        )
    try:
        score = dataset.score_answer("no answer at all", entry)
    except Exception:  # a scorer that raises on nonsense tells right from wrong
        return
    if score == 1.0:
        raise SetupError(f"The scorer of gym:{task} accepts any text, so nothing can be checked: use another task.")


def encode(value: Any) -> Any:
    """`value` as JSON can carry it, with tuples, sets and keys that are no texts marked.

    Raises:
        SetupError: the value is of a kind that JSON cannot carry.
    """
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("__") for key in value):
            return {key: encode(item) for key, item in value.items()}
        return {"__items__": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    for kind, mark in ((tuple, "__tuple__"), (frozenset, "__frozenset__"), (set, "__set__")):
        if isinstance(value, kind):
            return {mark: [encode(item) for item in (value if kind is tuple else sorted(value, key=repr))]}
    if value is None or isinstance(value, bool | int | float | str):
        return getattr(value, "value", value)  # an enumeration is kept as its value
    if hasattr(value, "tolist"):  # numpy
        return encode(value.tolist())
    raise SetupError(f"The task keeps a {type(value).__name__}, which cannot be stored: use another task.")


def decode(value: Any) -> Any:
    """What `encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    for mark, kind in (("__tuple__", tuple), ("__frozenset__", frozenset), ("__set__", set)):
        if mark in value:
            return kind(decode(item) for item in value[mark])
    if "__items__" in value:
        return {decode(key): decode(item) for key, item in value["__items__"]}
    return {key: decode(item) for key, item in value.items()}
