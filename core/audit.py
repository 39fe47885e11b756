"""What is done with the log itself: who looked into it, whose text was forgotten, and what was
archived, is in the log too.

One stream holds a day, `audit-<day in UTC>`. Who it was, and by which connection, is in the stamp.

What was searched for in texts is not written down again: somebody may want that text forgotten, everywhere. Its SHA-256
is, which says whether it was this.
"""

from __future__ import annotations

from typing import Never, assert_never

from msgspec import Struct
from msgspec.structs import replace

from core.decider import Decider
from core.identifiers import Category

# --- commands ---------------------------------------------------------------------------------------------------


class NoteAccess(Struct, frozen=True):
    """Somebody is about to be told something. `way` is what they used: search, count, event, export, …"""

    way: str
    question: dict[str, str | int | bool]
    entries: int
    head: int


class RecordForgetting(Struct, frozen=True):
    """The keys of a subject's text were destroyed."""

    subject: str
    key_ids: tuple[str, ...]
    streams: int
    blobs: int


class RecordArchive(Struct, frozen=True):
    """Texts of ended streams are about to leave the log for a file, which has this digest."""

    archive: str
    sha256: str
    bytes: int
    events: int
    streams: int


Command = NoteAccess | RecordForgetting | RecordArchive


# --- events -----------------------------------------------------------------------------------------------------


class Accessed(Struct, frozen=True):
    """Somebody was told of so many `entries` in answer to the `question`, the log's last position being `head`."""

    way: str
    question: dict[str, str | int | bool]
    entries: int
    head: int


class SubjectForgotten(Struct, frozen=True):
    """Nobody can read any more what was sealed with these keys: texts in so many `streams`, and so many `blobs`."""

    subject: str
    key_ids: tuple[str, ...]
    streams: int
    blobs: int


class StreamsArchived(Struct, frozen=True):
    """The texts of so many `events` in so many `streams` are in an archive, a file of so many `bytes` with this SHA-256
    in hex."""

    archive: str
    sha256: str
    bytes: int
    events: int
    streams: int


Event = Accessed | SubjectForgotten | StreamsArchived


# --- state ------------------------------------------------------------------------------------------------------


class Deeds(Struct, frozen=True, gc=False):
    """How many there were on this day."""

    accesses: int = 0
    forgotten: int = 0
    archived: int = 0


# --- decide -----------------------------------------------------------------------------------------------------


def decide(state: Deeds, command: Command) -> tuple[Event, ...]:  # noqa: ARG001  # a decider's signature
    """Whatever was done is on record."""
    match command:
        case NoteAccess(way, question, entries, head):
            return (Accessed(way, question, entries, head),)
        case RecordForgetting(subject, key_ids, streams, blobs):
            return (SubjectForgotten(subject, key_ids, streams, blobs),)
        case RecordArchive(archive, sha256, bytes, events, streams):
            return (StreamsArchived(archive, sha256, bytes, events, streams),)
        case _:
            assert_never(command)


# --- evolve -----------------------------------------------------------------------------------------------------


def evolve(state: Deeds, event: Event) -> Deeds:
    """The state after `event`. Total: whatever the log holds can be folded."""
    match event:
        case Accessed():
            return replace(state, accesses=state.accesses + 1)
        case SubjectForgotten():
            return replace(state, forgotten=state.forgotten + 1)
        case StreamsArchived():
            return replace(state, archived=state.archived + 1)
        case _:
            assert_never(event)


# --- wanted -----------------------------------------------------------------------------------------------------


def wanted(state: Deeds) -> frozenset[Never]:  # noqa: ARG001  # a decider's signature
    """Remembering is all."""
    return frozenset()


def is_terminal(state: Deeds) -> bool:  # noqa: ARG001  # as above
    """Something may be done at any time, also late into a day that is over."""
    return False


def opens_work(event: Event) -> bool | None:  # noqa: ARG001  # as above
    return None


audit: Decider[Deeds, Command, Event, Never] = Decider(
    Category.AUDIT, Deeds(), decide, evolve, is_terminal, wanted, opens_work
)
