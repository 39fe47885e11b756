"""What clients were sent, as far as the server knows: notes at intervals of which connection has come how far.

A run of the server writes its notes into streams of its own, `delivery-<boot>.1`, `.2` and so on, so that none grows
without end; each begins with all connections there are. A note says what moved since the one before, in short arrays.
Positions are those of the log. `connections` are numbers, the second part of a connection's id.
"""

from __future__ import annotations

from typing import Never, assert_never

from msgspec import Struct
from msgspec.structs import replace

from core.decider import Decider
from core.identifiers import Category, StreamName

# --- what a note is made of -------------------------------------------------------------------------------------


class Opened(Struct, frozen=True, array_like=True):
    """Somebody connected at `time` (µs UTC). `path` are the parameters of the path; `since` is what it came back with,
    a version of its stream."""

    connection: int
    time: int
    principal: str
    dialect: str
    path: dict[str, str] = {}
    since: int | None = None


class Hearing(Struct, frozen=True, array_like=True):
    """These hear these streams from now on, and no others; a wide topic has a # in front."""

    names: tuple[str, ...]
    connections: tuple[int, ...]


class Written(Struct, frozen=True, array_like=True):
    """All up to `position` that was for them was handed to the kernel, and nothing from behind `at_most`."""

    position: int
    at_most: int
    connections: tuple[int, ...]


class Acknowledged(Struct, frozen=True, array_like=True):
    """They have received all up to `position` that was for them: they answered a ping that was sent behind it."""

    position: int
    connections: tuple[int, ...]


class Closed(Struct, frozen=True, array_like=True):
    """It ended at `time`, with this close code; 1006 where it broke off."""

    connection: int
    time: int
    code: int


class Note(Struct, frozen=True, omit_defaults=True):
    """What moved among some connections, all looked at in one moment, which is the stamp's time.

    `began`: when that look at all connections began, µs UTC; of one look there may be several notes, and only when
    there is one without `more` is what they do not mention known not to have moved.
    """

    began: int
    opened: tuple[Opened, ...] = ()
    hearing: tuple[Hearing, ...] = ()
    written: tuple[Written, ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()
    closed: tuple[Closed, ...] = ()
    more: bool = False


# --- commands, events -------------------------------------------------------------------------------------------


class NoteDelivery(Struct, frozen=True):
    """The server looked at its connections."""

    note: Note


Command = NoteDelivery


class Noted(Struct, frozen=True):
    note: Note


Event = Noted

# --- state ------------------------------------------------------------------------------------------------------


class Notes(Struct, frozen=True, gc=False):
    """How many there are. What they say is put together by who asks (core/sightings.py)."""

    count: int = 0


# --- decide -----------------------------------------------------------------------------------------------------


def decide(state: Notes, command: Command) -> tuple[Event, ...]:  # noqa: ARG001  # a decider's signature
    """What was seen was seen."""
    match command:
        case NoteDelivery(note):
            return (Noted(note),)
        case _:
            assert_never(command)


# --- evolve -----------------------------------------------------------------------------------------------------


def evolve(state: Notes, event: Event) -> Notes:
    """The state after `event`. Total: whatever the log holds can be folded."""
    match event:
        case Noted():
            return replace(state, count=state.count + 1)
        case _:
            assert_never(event)


# --- wanted -----------------------------------------------------------------------------------------------------


def wanted(state: Notes) -> frozenset[Never]:  # noqa: ARG001  # a decider's signature
    """Remembering is all."""
    return frozenset()


def is_terminal(state: Notes) -> bool:  # noqa: ARG001  # as above
    return False


def opens_work(event: Event) -> bool | None:  # noqa: ARG001  # as above
    return None


delivery: Decider[Notes, Command, Event, Never] = Decider(
    Category.DELIVERY, Notes(), decide, evolve, is_terminal, wanted, opens_work
)


def part_of(boot: str, part: int) -> StreamName:
    """The stream of the notes of one run of the server; parts are numbered from 1."""
    return StreamName.of(Category.DELIVERY, f"{boot}.{part}")
