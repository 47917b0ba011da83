"""One small registry type for every extension point: a table of names to lazy imports, open to other packages.

A built-in is a line in a table, `"name": "module:attribute"`. Another package adds one through an entry point in the
group `openstrawberry.<kind>`. Nothing is imported until it is asked for by name.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from openstrawberry.errors import UsageError


@dataclass(frozen=True)
class Registry:
    """Names of one kind of thing, such as `strategy`, and where each is defined."""

    kind: str
    group: str
    table: Mapping[str, str]

    def names(self) -> list[str]:
        """Every name that can be asked for, built-in ones first."""
        return [*self.table, *(point.name for point in entry_points(group=self.group) if point.name not in self.table)]

    def load(self, name: str) -> Any:
        """Import what `name` stands for.

        Raises:
            UsageError: there is no such name; the nearest one is offered.
        """
        if name in self.table:
            module, attribute = self.table[name].split(":")
            return getattr(importlib.import_module(module), attribute)
        for point in entry_points(group=self.group):
            if point.name == name:
                return point.load()
        raise UsageError(unknown(self.kind, name, self.names()))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist: the nearest valid one if it is close, else all of them."""
    names = list(known)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    advice = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}."
    return f"There is no {kind} called {name!r}: {advice}"
