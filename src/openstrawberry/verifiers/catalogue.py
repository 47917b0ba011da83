"""Verifiers by name, and the collection that a run opens. Adding one is one file and one line here.

Another package adds a verifier through an entry point in the group `openstrawberry.verifiers`: a class without required
arguments that fits the protocol `Verifier`.
"""

from collections.abc import Callable, Mapping

from openstrawberry.errors import UsageError
from openstrawberry.problems.problem import Problem
from openstrawberry.registry import Registry
from openstrawberry.verifiers.verifier import Cautious, Verdict, Verifier

VERIFIERS = Registry(
    kind="verifier",
    group="openstrawberry.verifiers",
    table={
        "exact": "openstrawberry.verifiers.exact:Exact",
        "numeric": "openstrawberry.verifiers.numeric:Numeric",
        "choice": "openstrawberry.verifiers.choice:Choice",
        "math": "openstrawberry.verifiers.math:Math",
        "gym": "openstrawberry.verifiers.gym:Gym",
        "judge": "openstrawberry.verifiers.judge:Judge",
        "code": "openstrawberry.verifiers.code:Code",
    },
)


def find_verifier(name: str) -> type[Verifier]:
    """The kind of verifier that is called `name`.

    Raises:
        UsageError: there is no such verifier; the nearest name is offered.
    """
    kind: type[Verifier] = VERIFIERS.load(name)
    return kind


def open_verifier(name: str) -> Verifier:
    """The verifier called `name`; close it when done.

    Raises:
        UsageError: as `find_verifier`, or it needs more than its name.
    """
    if name == "judge":
        raise UsageError("The verifier 'judge' asks a model: name it with --judge-model provider:NAME.")
    return find_verifier(name)()


class Verifiers:
    """Opens each verifier that the problems of a run name, once, and closes them all.

    Args:
        forced: a verifier to use for every problem, whatever the problem names; empty for the problem's own.
        made: how verifiers that need more than their name are made, such as `judge` its model; called when one is
            needed first.
        warn: told, once for each verifier, what a person should know before it is used.

    Raises:
        UsageError: there is no verifier called `forced`.
    """

    def __init__(
        self,
        forced: str = "",
        made: Mapping[str, Callable[[], Verifier]] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._forced = forced
        self._made = made or {}
        self._warn = warn
        self._warned: set[str] = set()
        self._open: dict[str, Verifier] = {}
        if forced and forced not in self._made:
            self._get(forced)

    async def verify(self, problem: Problem, answer: str) -> Verdict:
        """The verdict of the verifier that the problem names, or of the forced one.

        Raises:
            UsageError: there is no such verifier.
        """
        name = self._forced or problem.verifier
        verifier = self._get(name)
        if self._warn is not None and name not in self._warned:
            self._warned.add(name)
            if isinstance(verifier, Cautious) and (text := await verifier.warning()):
                self._warn(text)
        return await verifier.verify(problem, answer)

    async def close(self) -> None:
        """Close every verifier that was opened."""
        while self._open:
            _, verifier = self._open.popitem()
            await verifier.close()

    async def __aenter__(self) -> "Verifiers":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def _get(self, name: str) -> Verifier:
        if name not in self._open:
            self._open[name] = self._made[name]() if name in self._made else open_verifier(name)
        return self._open[name]
