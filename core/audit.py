"""The record of who looked into the log: every question to it, and every answer's size, is an event of the log itself.

One stream holds a day, `audit-<day in UTC>`. Who asked, and by which connection, is in the stamp.

What was searched for in texts is not written down again: somebody may want that text forgotten, everywhere. Its SHA-256
is, which says whether it was this.
"""

from __future__ import annotations

from typing import Never, assert_never

from msgspec import Struct
from msgspec.structs import replace

from core.decider import Decider
from core.identifiers import Category, StreamName

DAY = 86_400 * 1_000_000
"""µs."""


def stream_of(time: int) -> StreamName:
    """The stream of the day in which `time` is (µs UTC since the epoch): `audit-2025-01-31`."""
    return StreamName.of(Category.AUDIT, _date(time // DAY))


def _date(day: int) -> str:
    """The date of a day counted from 1970-01-01, in the Gregorian calendar without end. Years are cut into eras of 400,
    which all have 146 097 days, and begin in March, so that a leap day is a year's last."""
    era, day_of_era = divmod(day + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    day_of_month = day_of_year - (153 * month + 2) // 5 + 1
    year = year_of_era + era * 400 + (1 if month >= 10 else 0)
    return f"{year:04}-{month + 3 if month < 10 else month - 9:02}-{day_of_month:02}"


# --- commands ---------------------------------------------------------------------------------------------------


class NoteAccess(Struct, frozen=True):
    """Somebody is about to be told something. `way` is what they used: search, count, event, export, …"""

    way: str
    question: dict[str, str | int | bool]
    entries: int
    head: int


Command = NoteAccess


# --- events -----------------------------------------------------------------------------------------------------


class Accessed(Struct, frozen=True):
    """Somebody was told of so many `entries` in answer to the `question`, the log's last position being `head`."""

    way: str
    question: dict[str, str | int | bool]
    entries: int
    head: int


Event = Accessed


# --- state ------------------------------------------------------------------------------------------------------


class Accesses(Struct, frozen=True, gc=False):
    """How many there were on this day."""

    count: int = 0


# --- decide -----------------------------------------------------------------------------------------------------


def decide(state: Accesses, command: Command) -> tuple[Event, ...]:  # noqa: ARG001  # a decider's signature
    """Whatever was told is on record."""
    return (Accessed(command.way, command.question, command.entries, command.head),)


# --- evolve -----------------------------------------------------------------------------------------------------


def evolve(state: Accesses, event: Event) -> Accesses:
    """The state after `event`. Total: whatever the log holds can be folded."""
    match event:
        case Accessed():
            return replace(state, count=state.count + 1)
        case _:
            assert_never(event)


# --- wanted -----------------------------------------------------------------------------------------------------


def wanted(state: Accesses) -> frozenset[Never]:  # noqa: ARG001  # a decider's signature
    """Remembering is all."""
    return frozenset()


def is_terminal(state: Accesses) -> bool:  # noqa: ARG001  # as above
    """Somebody may look at any time, also late into a day that is over."""
    return False


def opens_work(event: Event) -> bool | None:  # noqa: ARG001  # as above
    return None


audit: Decider[Accesses, Command, Event, Never] = Decider(
    Category.AUDIT, Accesses(), decide, evolve, is_terminal, wanted, opens_work
)
"""The decider of this kind of actor."""
