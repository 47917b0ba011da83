"""Runs one strategy without doing any I/O: it turns nested generators into a flat set of open actions.

Every driver is built on this: it carries out the open actions in any way and order it likes and sends results back.
What always holds: an action is open from the moment its generator yields it until its result (or error) is sent, or
until its generator is cancelled because whoever started it has ended.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from openstrawberry.strategies.strategy import Ask, Check, Group, Score, Steps

T = TypeVar("T")
Leaf = Ask | Check | Score
Place = tuple[int, ...]
"""Who wants something: the numbers of group members, from the outermost in; empty for the strategy itself."""


@dataclass(eq=False)
class _Member:
    """One running generator, and the groups it has opened."""

    generator: Generator[Any, Any, Any]
    group: Group | None = None
    number: int = 0
    place: Place = ()
    groups: list[Group] = field(default_factory=list)


class Stepper(Generic[T]):
    """Drives `steps` to its end.

    `open` maps ticket numbers to the actions that wait for a result. `done` and `result` tell the end.
    """

    def __init__(self, steps: Steps[T]) -> None:
        self.open: dict[int, Leaf] = {}
        self.done = False
        self.result: T
        self._root = _Member(steps)
        self._owners: dict[int, _Member] = {}
        self._members: dict[Group, list[_Member]] = {}
        self._waiting: dict[Group, _Member] = {}
        self._tickets = 0
        self._ready: deque[tuple[_Member, Any, BaseException | None]] = deque([(self._root, None, None)])
        self._turn()

    def send(self, ticket: int, result: Any) -> None:
        """Hands the result of an open action to the generator that wants it."""
        self._hand(ticket, result, None)

    def throw(self, ticket: int, error: BaseException) -> None:
        """Makes an open action raise `error` in the generator that wants it."""
        self._hand(ticket, None, error)

    def place(self, ticket: int) -> Place:
        """Who wants the result of an open action; the same in whatever order results arrive."""
        return self._owners[ticket].place

    def close(self) -> None:
        """Cancels everything."""
        self._cancel(self._root)
        self.done = True

    def _hand(self, ticket: int, result: Any, error: BaseException | None) -> None:
        del self.open[ticket]
        self._ready.append((self._owners.pop(ticket), result, error))
        self._turn()

    def _turn(self) -> None:
        while self._ready and not self.done:
            self._advance(*self._ready.popleft())

    def _advance(self, member: _Member, result: Any, error: BaseException | None) -> None:
        try:
            action = member.generator.throw(error) if error is not None else member.generator.send(result)
        except StopIteration as stop:
            self._finish(member, stop.value, None)
        except Exception as failure:
            self._finish(member, None, failure)
        else:
            for group in [group for group in member.groups if group.cancelled]:
                member.groups.remove(group)
                self._abandon(group)
            if isinstance(action, Group):
                self._enter(member, action)
            else:
                self._tickets += 1
                self.open[self._tickets] = action
                self._owners[self._tickets] = member

    def _enter(self, member: _Member, group: Group) -> None:
        if not group:
            self._ready.append((member, None, RuntimeError("an empty group was yielded: it can never give a result")))
            return
        if group not in self._members:
            self._members[group] = []
            member.groups.append(group)
        self._waiting[group] = member
        for number, generator in group.new:
            started = _Member(generator, group, number, (*member.place, number))
            self._members[group].append(started)
            self._ready.append((started, None, None))
        group.new.clear()
        self._deliver(group)

    def _deliver(self, group: Group) -> None:
        if group.finished and group in self._waiting:
            number, result, error = group.finished.pop(0)
            group.claimed += 1
            self._ready.append((self._waiting.pop(group), (number, result), error))

    def _finish(self, member: _Member, result: Any, error: BaseException | None) -> None:
        for group in member.groups:
            self._abandon(group)
        if member.group is not None:
            self._members[member.group].remove(member)
            member.group.finished.append((member.number, result, error))
            self._deliver(member.group)
        elif error is not None:
            self.done = True
            raise error
        else:
            self.done, self.result = True, result

    def _abandon(self, group: Group) -> None:
        self._waiting.pop(group, None)
        for member in self._members.pop(group, []):
            self._cancel(member)

    def _cancel(self, member: _Member) -> None:
        for ticket in [ticket for ticket, owner in self._owners.items() if owner is member]:
            del self._owners[ticket], self.open[ticket]
        self._ready = deque(entry for entry in self._ready if entry[0] is not member)
        for group in member.groups:
            self._abandon(group)
        member.generator.close()
