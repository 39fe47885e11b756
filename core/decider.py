"""The decider: a kind of actor as four pure functions and a value.

The shape is the one of FsUno and Equinox: `decide` turns a state and a command into events or a rejection, `evolve`
folds an event into the state, `wanted` names the work outstanding in a state. Time, ids and results of I/O come in
with the commands, so a recorded command can be decided again years later and must give the same events.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import Struct

from core.identifiers import Category

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E")
W = TypeVar("W", bound=Hashable)


class Rejected(Struct, frozen=True, gc=False):
    """A command's refusal as a value: `code` for programs, `message` for people."""

    code: str
    message: str
    retry_after: float | None = None


class CommandRejected(Struct, frozen=True, gc=False):
    """The event that records a refusal, of any kind of actor. It never changes the state.

    `code` is the rejection's, or `poisoned` for a command that crashed its actor again and again.
    """

    code: str
    message: str
    retry_after: float | None = None

    @classmethod
    def of(cls, rejection: Rejected) -> CommandRejected:
        return cls(rejection.code, rejection.message, rejection.retry_after)

    def rejection(self) -> Rejected:
        return Rejected(self.code, self.message, self.retry_after)


@dataclass(frozen=True, slots=True)
class Decider(Generic[S, C, E, W]):
    """One kind of actor.

    `opens_work` is the cheap hint start-up lives on: True when work may be outstanding after this event, False when
    none is, None when the event does not matter to that. It may say True too often, never False wrongly.
    """

    category: Category
    initial: S
    decide: Callable[[S, C], tuple[E, ...] | Rejected]
    evolve: Callable[[S, E], S]
    is_terminal: Callable[[S], bool]
    wanted: Callable[[S], frozenset[W]]
    opens_work: Callable[[E], bool | None]
    give_up: Callable[[W, str], C] | None = None
    """The command that settles an effect which crashes whenever it is tried; with the reason for people."""

    def fold(self, state: S, events: Iterable[E | CommandRejected]) -> S:
        """The state after `events`, which came after `state`. Rejections are in the log, but change nothing."""
        evolve = self.evolve
        for event in events:
            if type(event) is not CommandRejected:
                state = evolve(state, event)  # type: ignore[arg-type]  # narrowed by the line above
        return state


AnyDecider = Decider[Any, Any, Any, Any]
