"""The README is the product's face: its list of commands is made from the real `--help`, and this test keeps it so.

python -m tests.test_readme        writes the list anew
"""

import re
from pathlib import Path

from openstrawberry.cli.app import app

README = Path(__file__).parent.parent / "README.md"
PART = re.compile(r"(?<=<!-- help:begin -->\n).*?(?=<!-- help:end -->)", re.DOTALL)


def commands() -> str:
    """A table of every command with the first sentence of its help."""
    lines = ["| command | what it does |", "|---|---|"]
    for command in app.registered_commands:
        help_text = " ".join((command.callback.__doc__ or "").split("\n\n")[0].split())
        lines.append(f"| `strawberry {command.name}` | {help_text} |")
    return "\n".join(lines) + "\n"


def test_the_list_of_commands_in_the_readme_is_what_help_says() -> None:
    found = PART.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group(0) == commands(), "run `python -m tests.test_readme`"


def test_every_command_has_a_chapter_and_no_place_is_left_to_fill() -> None:
    text = README.read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert f"### `strawberry {command.name}`" in text
    assert set(re.findall(r"<!-- (.*?) -->", text)) == {"help:begin", "help:end"}


def test_every_figure_in_the_readme_names_a_script_that_exists() -> None:
    for script in re.findall(r"benchmarks/\w+\.py", README.read_text(encoding="utf-8")):
        assert (README.parent / script).is_file()


if __name__ == "__main__":
    README.write_text(PART.sub(lambda _: commands(), README.read_text(encoding="utf-8")), encoding="utf-8")
