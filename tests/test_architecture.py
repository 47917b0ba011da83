"""The shape of the house: imports run one way, and files stay readable."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "openstrawberry"

# Each room may import from rooms to its left, and from itself.
ORDER = [
    "errors",
    "wording",
    "settings",
    "registry",
    "stats",
    "chat",
    "problems",
    "prompts",
    "trace",
    "models",
    "verifiers",
    "strategies",
    "config",
    "engine",
    "store",
    "selection",
    "pieces",
    "calls",
    "generate",
    "writing",
    "estimate",
    "ask",
    "verify",
    "audit",
    "evolve",
    "berry",
    "training",
    "evaluation",
    "bootstrap",
    "doctor",
    "ui",
    "cli",
    "__main__",
]
# The model that ships in the package is read by its provider: these files of its room stand as low as `chat`.
LOW = {"berry.runtime", "berry.shape", "berry.tokenizer"}


def modules() -> list[tuple[str, Path]]:
    return [(".".join(path.relative_to(SOURCE).with_suffix("").parts), path) for path in sorted(SOURCE.rglob("*.py"))]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("openstrawberry."):
            found.add(node.module.removeprefix("openstrawberry."))
        elif isinstance(node, ast.Import):
            found.update(
                alias.name.removeprefix("openstrawberry.") for alias in node.names if "openstrawberry." in alias.name
            )
    return found


def test_every_room_has_its_place_in_the_pipeline() -> None:
    rooms = {name.split(".")[0] for name, _ in modules()} - {"__init__"}
    assert rooms == set(ORDER)


def test_imports_run_one_way() -> None:
    backwards = []
    for name, path in modules():
        room = name.split(".")[0]
        for target in imported(path):
            other = target.split(".")[0]
            place = ORDER.index("chat") if name in LOW else ORDER.index(room if room != "__init__" else "__main__")
            if target not in LOW and ORDER.index(other) > place:
                backwards.append(f"{name} imports {target}")
    assert not backwards


def test_strategies_never_know_a_concrete_model() -> None:
    for name, path in modules():
        if name.startswith("strategies"):
            assert not any(target.startswith(("models", "engine", "store")) for target in imported(path)), name


def test_the_environment_is_read_in_one_place() -> None:
    readers = [name for name, path in modules() if "os.environ" in path.read_text() or "getenv" in path.read_text()]
    assert readers == ["settings"]
