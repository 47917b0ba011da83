"""The shape of the house: imports run one way, and files stay readable."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "openstrawberry"

# Each room may import from rooms to its left, and from itself.
ORDER = [
    "errors",
    "settings",
    "registry",
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
    "evaluation",
    "generate",
    "verify",
    "doctor",
    "berry",
    "cli",
]
# berry's runtime only reads files; its recipe comes later in the pipeline than the model that runs it.
EXCEPTIONS = {("models", "berry.runtime")}


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
            if room != "__init__" and (room, target) not in EXCEPTIONS and ORDER.index(other) > ORDER.index(room):
                backwards.append(f"{name} imports {target}")
    assert not backwards


def test_strategies_never_know_a_concrete_model() -> None:
    for name, path in modules():
        if name.startswith("strategies"):
            assert not any(target.startswith(("models", "engine", "store")) for target in imported(path)), name


def test_the_environment_is_read_in_one_place() -> None:
    readers = [name for name, path in modules() if "os.environ" in path.read_text() or "getenv" in path.read_text()]
    assert readers == ["settings"]
