"""Given, when, then: what a decider does, said as one sentence. Pure; used by the tests and by nothing else.

    given(conversation, ConversationOpened(...)).when(RequestPhase(Phase.LISTENING)).then(PhaseEntered(...)).wants()

Every step returns something to go on with: a verdict can be asked several things, and met with the next command.
Each `when` also decides a second time, so that a decider which is not a function fails wherever it is specified.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from core.decider import CommandRejected, Decider, Rejected

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E")
W = TypeVar("W", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Situation(Generic[S, C, E, W]):
    """A decider in some state. All checks raise AssertionError."""

    decider: Decider[S, C, E, W]
    state: S

    def when(self, command: C) -> Verdict[S, C, E, W]:
        """Decide `command` here, and fold what it leads to."""
        outcome = self.decider.decide(self.state, command)
        if (again := self.decider.decide(self.state, command)) != outcome:
            raise AssertionError(f"deciding {command!r} twice gave first\n{_listed(outcome)}\nthen\n{_listed(again)}")
        events = () if isinstance(outcome, Rejected) else outcome
        return Verdict(self.decider, self.decider.fold(self.state, events), command, outcome)

    def wants(self, *effects: W) -> Self:
        """Exactly these effects are outstanding now."""
        found = self.decider.wanted(self.state)
        if found != frozenset(effects):
            raise AssertionError(f"expected to want\n{_listed(effects)}\nbut wanted\n{_listed(tuple(found))}")
        return self

    def leads_to(self, predicate: Callable[[S], bool] | None = None, **fields: Any) -> Self:
        """The state fulfils `predicate`, if one is given, and has these fields."""
        wrong = [
            f"  {name}: expected {value!r}, found {getattr(self.state, name)!r}"
            for name, value in fields.items()
            if getattr(self.state, name) != value
        ]
        if wrong:
            raise AssertionError("\n".join(["the state is another one:", *wrong]))
        if predicate is not None and not predicate(self.state):
            raise AssertionError(f"the predicate does not hold for {self.state!r}")
        return self

    def ends(self) -> Self:
        """The state is terminal."""
        if not self.decider.is_terminal(self.state):
            raise AssertionError(f"expected a terminal state, found {self.state!r}")
        return self


@dataclass(frozen=True, slots=True)
class Verdict(Situation[S, C, E, W]):
    """What a decider made of a command, and the state after it."""

    command: C
    outcome: tuple[E, ...] | Rejected

    def then(self, *events: E) -> Self:
        """The command led to exactly these events; none: it was overtaken and changed nothing."""
        if self.outcome != events:
            raise AssertionError(
                f"{self.command!r}: expected\n{_listed(events)}\nbut got\n{_listed(self.outcome)}"
                f"{_first_difference(events, self.outcome)}"
            )
        return self

    def rejected(self, code: str) -> Self:
        """The command was refused with this code."""
        if not isinstance(self.outcome, Rejected) or self.outcome.code != code:
            raise AssertionError(f"{self.command!r}: expected Rejected {code!r}, but got\n{_listed(self.outcome)}")
        return self


def given(decider: Decider[S, C, E, W], *events: E | CommandRejected, state: S | None = None) -> Situation[S, C, E, W]:
    """The situation after `events`, from `state` on when one is given, else from the very beginning."""
    return Situation(decider, decider.fold(decider.initial if state is None else state, events))


def _listed(outcome: Sequence[Any] | Rejected) -> str:
    if isinstance(outcome, Rejected):
        return f"  {outcome!r}"
    return "\n".join(f"  {item!r}" for item in outcome) or "  nothing"


def _first_difference(expected: Sequence[Any], found: Sequence[Any] | Rejected) -> str:
    """Names the field at fault when two lists of events first differ in one field of one event."""
    if isinstance(found, Rejected):
        return ""
    for number, (left, right) in enumerate(zip(expected, found, strict=False), start=1):
        if left != right and type(left) is type(right):
            names = [name for name in left.__struct_fields__ if getattr(left, name) != getattr(right, name)]
            return f"\nevent {number} differs in {', '.join(names)}"
    return ""
